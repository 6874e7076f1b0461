"""Listening in: both sides of a call as they are heard, over a WebSocket.

    GET /v1/calls/{call_sid}/listen[?channels=1]

Binary frames of 100 ms, little-endian PCM16 at 8 kHz: the caller left and the agent right, or with `channels=1`
both in one. Who does not read in time misses the oldest. Closed with 1000 `stream_over` when the stream has ended,
and with 1001 `worker_lost` when the call's worker is gone; while the call lives, connect again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.calls.errand import ErrandEnd
from gateway.calls.orders import Refused
from gateway.control import refusal_of, refuse, refuse_as
from gateway.credentials.door import Door
from gateway.media_stream.live_sound import mixed
from gateway.reach import Ear, Reach

log = logging.getLogger(__name__)

STUCK_S: Final = 10.0
"""A listener that takes not one frame for so long will not come back to its socket."""


def listen_route(reach: Reach, door: Door) -> WebSocketRoute:
    """To be mounted at the root."""

    async def listen(socket: WebSocket) -> None:
        if (refused := refusal_of(door, socket)) is not None:
            await socket.send_denial_response(refused)
            return
        channels = socket.query_params.get("channels", "2")
        if channels not in ("1", "2"):
            message = "channels: expected 1 or 2"
            await socket.send_denial_response(
                refuse(400, "invalid_request_error", "invalid_value", message, "channels")
            )
            return
        async with reach.listening(socket.path_params["call_sid"]) as ear:
            if isinstance(ear, Refused):
                await socket.send_denial_response(refuse_as(ear))
                return
            await socket.accept()
            await _pass_on(ear, socket, is_mono=channels == "1")

    return WebSocketRoute("/v1/calls/{call_sid}/listen", listen)


async def _pass_on(ear: Ear, socket: WebSocket, *, is_mono: bool) -> None:
    """Until the stream is over, or the listener is gone."""
    async with asyncio.TaskGroup() as tasks:
        leaving = tasks.create_task(_left(socket))
        sending = tasks.create_task(_sent(ear, socket, is_mono=is_mono))
        await asyncio.wait((leaving, sending), return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        sending.cancel()


async def _sent(ear: Ear, socket: WebSocket, *, is_mono: bool) -> None:
    try:
        while (stereo := await ear.get()) is not None:
            async with asyncio.timeout(STUCK_S):
                await socket.send_bytes(mixed(stereo) if is_mono else stereo)
        is_lost = isinstance(ear, ErrandEnd) and not ear.was_left
        code, reason = (1001, "worker_lost") if is_lost else (1000, "stream_over")
        async with asyncio.timeout(STUCK_S):
            await socket.close(code, reason)
    except (TimeoutError, RuntimeError, OSError, WebSocketDisconnect):
        log.info("a listener does not read, or is gone")


async def _left(socket: WebSocket) -> None:
    """A listener says nothing that counts, until it leaves."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
