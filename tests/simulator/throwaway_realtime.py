"""A throw-away Realtime server for the tests of the load: real sockets, and answers without thought."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web


@dataclass
class ThrowawayRealtime:
    """Echoes, or answers configuration, questions in writing and probes as the protocol does."""

    echoes: bool = False
    closes_with: int | None = None
    """Close each connection at once."""
    port: int = 0
    headers: list[dict[str, str]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime?model=m"

    def types(self) -> list[str]:
        return [str(event["type"]) for event in self.events]

    async def talk(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=())
        await socket.prepare(request)
        self.headers.append(dict(request.headers))
        self.sockets.append(socket)
        if self.closes_with is not None:
            await socket.close(code=self.closes_with, message=b"invalid_api_key")
            return socket
        async for frame in socket:
            if frame.type is WSMsgType.TEXT:
                self.events.append(json.loads(frame.data))
                await self._answer(socket, frame.data)
        return socket

    async def _answer(self, socket: web.WebSocketResponse, text: str) -> None:
        if self.echoes:
            await socket.send_str(text)
            return
        match json.loads(text)["type"]:
            case "session.update":
                await socket.send_bytes(b"no event of a session")
                await socket.send_json({"type": "session.updated"})
            case "conversation.item.retrieve":
                await socket.send_json({"type": "conversation.item.retrieved"})
            case "response.create":
                sound = base64.b64encode(bytes(960)).decode()
                for _ in range(2):
                    await socket.send_json({"type": "response.output_audio.delta", "delta": sound})
                await socket.send_json({"type": "response.done", "response": {"status": "completed"}})


@asynccontextmanager
async def realtime(server: ThrowawayRealtime) -> AsyncIterator[ThrowawayRealtime]:
    """The server on a free port of loopback, until the block is left."""

    async def ready(_request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/v1/realtime", server.talk), web.get("/readyz", ready)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()
