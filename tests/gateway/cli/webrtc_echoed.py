"""A light client talks to an endpoint that echoes, called as it is, without a server in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiortc import RTCCertificate
from starlette.requests import Request
from starlette.responses import Response

from simulator.webrtc_light_peer import LightPeer
from simulator.webrtc_mark import FRAME_BYTES, FRAME_MS, MarkEar, OpusCoder, make_mark

LIMIT_S = 20
STILL = OpusCoder().packets(bytes(FRAME_BYTES * 25))
MARK = make_mark(STILL)

SOON_MS = 1_000
"""An echo is back, on a machine that keeps up: ten times what stock buffers hold back."""


async def echoed(endpoint: Callable[[Request], Awaitable[Response]], *, least_ms: float) -> None:
    """A message comes back as it is, and a mark at least so much later."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[float] = loop.create_future()
    messages: asyncio.Queue[str] = asyncio.Queue()
    ear = MarkEar()

    def hear(packet: bytes, sequence: int, timestamp: int) -> None:
        came_s = ear.hear(peer.deciphered(packet), loop.time())
        if came_s is not None and not heard.done():
            heard.set_result(came_s)

    peer = LightPeer(RTCCertificate.generateCertificate(), on_packet=hear, on_message=messages.put_nowait)
    try:
        async with asyncio.timeout(LIMIT_S):
            answer = await endpoint(_posted(await peer.offer()))
            assert answer.status_code == 201
            await peer.connect(bytes(answer.body).decode())
            peer.send_text("as it is")
            assert await messages.get() == "as it is"
            first_s, began_s = loop.time(), 0.0
            for nth in range(1_000):
                at = nth % (len(STILL) + len(MARK.packets))
                if at == len(STILL):
                    began_s = loop.time() + MARK.onset_s
                peer.send((*STILL, *MARK.packets)[at])
                await asyncio.sleep(FRAME_MS / 1000)
                if heard.done():
                    break
            took_ms = (heard.result() - began_s) * 1000
            # Both ends share this loop: by what it was late to send, the echo may be late, there and back.
            late_ms = (loop.time() - first_s) * 1000 - (nth + 1) * FRAME_MS
            assert least_ms < took_ms < SOON_MS + 2 * late_ms
    finally:
        await peer.close()


def _posted(sdp: str) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": sdp.encode(), "more_body": False}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)
