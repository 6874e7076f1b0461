"""A throw-away WebRTC server for the tests of the client: all published shapes of an offer, and an echo.

It sends `session.created` when the channel opens, answers `session.update`, and returns every other message and all
sound. It stands on aiortc's whole peer connection, as the client does; what judges the gateway is that the gateway
does not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiortc import RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from simulator.loopback_ice import gather_on


@dataclass
class Asked:
    """One request as it came."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    sdp: str = ""
    session: dict[str, Any] | None = None
    types: dict[str, str] = field(default_factory=dict)
    """Content type of each part of a form."""


@dataclass
class ThrowawayWebRtc:
    """What it does beside its duty, and what has come."""

    refuses: int | None = None
    """Answer every offer with this status."""
    forgets_sdp: bool = False
    updates: bool = True
    """Answer `session.update`."""
    ice_servers: object = None
    canned_answer: str | None = None
    """Answer offers with this, and no peer."""
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    peers: list[RTCPeerConnection] = field(default_factory=list)
    channels: list[RTCDataChannel] = field(default_factory=list)
    hung_up: list[str] = field(default_factory=list)
    updated: list[dict[str, Any]] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def calls(self, request: web.Request) -> web.Response:
        asked = Asked(request.path, dict(request.query), dict(request.headers))
        self.asked.append(asked)
        if request.content_type == "application/sdp":
            asked.sdp = await request.text()
        elif request.content_type == "multipart/form-data":
            async for part in await request.multipart():
                text = (await part.read()).decode()  # type: ignore[union-attr]  # a part, no multipart within
                asked.types[str(part.name)] = part.headers["Content-Type"]  # type: ignore[union-attr]
                if part.name == "sdp":  # type: ignore[union-attr]
                    asked.sdp = text
                else:
                    asked.session = json.loads(text)
        else:
            told = await request.json()
            asked.sdp = told["sdp"]
            asked.session = told.get("session", told.get("sessionConfig"))
        if self.refuses is not None:
            return web.json_response({"error": {"message": "no"}}, status=self.refuses)
        answer = self.canned_answer or await self._answer(asked.sdp)
        if request.content_type != "application/json":
            location = {"Location": "/v1/realtime/calls/rtc_1"}
            return web.Response(text=answer, content_type="application/sdp", status=201, headers=location)
        if self.forgets_sdp:
            return web.json_response({"id": "rtc_1"})
        if request.path.endswith("/webrtc"):
            return web.json_response({"sdp": answer, "sessionId": "sess_1"})
        return web.json_response({"id": "rtc_1", "sdp": answer, "ice_servers": []})

    async def tell_ice_servers(self, request: web.Request) -> web.Response:
        self.asked.append(Asked(request.path, dict(request.query), dict(request.headers)))
        return web.json_response(self.ice_servers)

    async def hang_up(self, request: web.Request) -> web.Response:
        self.hung_up.append(request.match_info["call_id"])
        await self.peers[-1].close()
        return web.Response()

    async def until(self, state: str) -> None:
        """The last peer's connection has come to this state."""
        async with asyncio.timeout(30):
            while state not in self.states:
                self.changed.clear()
                await self.changed.wait()

    async def _answer(self, offer_sdp: str) -> str:
        peer = RTCPeerConnection()
        self.peers.append(peer)

        def note_state() -> None:
            self.states.append(peer.connectionState)
            self.changed.set()

        def echo_sound(track: MediaStreamTrack) -> None:
            if "a=recvonly" not in offer_sdp:
                peer.addTrack(track)

        peer.on("connectionstatechange", note_state)
        peer.on("track", echo_sound)
        peer.on("datachannel", self._serve)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=offer_sdp, type="offer"))
        gather_on(peer)
        await peer.setLocalDescription(await peer.createAnswer())
        return peer.localDescription.sdp

    def _serve(self, channel: RTCDataChannel) -> None:
        self.channels.append(channel)
        channel.send(json.dumps({"type": "session.created", "session": {"id": "sess_of_event"}}))

        def answer(message: str | bytes) -> None:
            event = json.loads(message) if isinstance(message, str) and message.startswith("{") else {}
            if event.get("type") != "session.update":
                channel.send(message)
            elif self.updates:
                self.updated.append(event["session"])
                channel.send(json.dumps({"type": "session.updated", "session": event["session"]}))

        channel.on("message", answer)


@asynccontextmanager
async def webrtc(server: ThrowawayWebRtc) -> AsyncIterator[ThrowawayWebRtc]:
    """The server on a free port of loopback, until the block is left."""
    app = web.Application()
    app.add_routes(
        [
            web.post("/v1/realtime/calls", server.calls),
            web.post("/v1/realtime/webrtc", server.calls),
            web.get("/v1/realtime/ice-servers", server.tell_ice_servers),
            web.post("/v1/realtime/calls/{call_id}/hangup", server.hang_up),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        for peer in server.peers:
            await peer.close()
        await runner.cleanup()
