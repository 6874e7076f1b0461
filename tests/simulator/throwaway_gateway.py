"""A throw-away gateway for the simulator's tests: real sockets, a scripted agent, everything asked written down."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web

from simulator.sound import Codec, pcm_of

AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
ACCOUNT_SID = "AC" + "1" * 32


def tone(duration_ms: int, codec: Codec = Codec.PCMU) -> bytes:
    """A loud tone in G.711: to the ear of the simulator, an agent speaking."""
    times = np.arange(duration_ms * 8) / 8000
    return codec.encode(pcm_of(0.3 * np.sin(2 * np.pi * 440 * times)))


class JumpingClock:
    """A clock whose waits take no time: it jumps, once the event loop has moved what is in the sockets."""

    def __init__(self) -> None:
        self._now_s = 1000.0

    def now_s(self) -> float:
        return self._now_s

    async def wait(self, wake: asyncio.Event, duration_s: float) -> None:
        until_s = self._now_s + max(0.0, duration_s)
        for _ in range(12):
            await asyncio.sleep(0)
            if wake.is_set():
                return
        self._now_s = max(self._now_s, until_s)


@dataclass
class Line:
    """The gateway's end of one media socket."""

    socket: web.WebSocketResponse
    headers: dict[str, str]
    path: str
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def stream_sid(self) -> str:
        return next(str(one["streamSid"]) for one in self.messages if one["event"] == "start")

    def of(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.messages if one["event"] == event]

    async def until(self, event: str, count: int = 1) -> dict[str, Any]:
        """Read on until `count` messages of that kind have come, and return the last."""
        while len(self.of(event)) < count:
            frame = await self.socket.receive(timeout=10)
            if frame.type is not WSMsgType.TEXT:
                raise ConnectionError(f"the stream ended while waiting for {event}")
            self.messages.append(json.loads(frame.data))
        return self.of(event)[count - 1]

    async def until_closed(self) -> None:
        while (frame := await self.socket.receive(timeout=10)).type is WSMsgType.TEXT:
            self.messages.append(json.loads(frame.data))

    async def play(self, audio: bytes) -> None:
        await self.send("media", {"payload": base64.b64encode(audio).decode()})

    async def send(self, event: str, body: dict[str, Any] | None = None) -> None:
        message = {"event": event, "streamSid": self.stream_sid} | ({} if body is None else {event: body})
        await self.socket.send_str(json.dumps(message))


Agent = Callable[[Line], Awaitable[None]]
Page = Callable[[dict[str, str]], web.Response]


@dataclass
class ThrowawayGateway:
    """Answers `/PATH` with `pages[PATH]` and speaks on `/media…` with `agent`."""

    port: int = 0
    pages: dict[str, str | Page] = field(default_factory=dict)
    agent: Agent | None = None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def forms_at(self, path: str) -> list[dict[str, str]]:
        return [form for asked, form in self.asked if asked == path]

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith("/media") and self.agent is not None:
            return await self._stream(request)
        form = {key: str(value) for key, value in (await request.post()).items()}
        fields = form or dict(request.query)
        self.asked.append((request.path, fields))
        self.requests.append((request.method, str(request.path_qs), form, dict(request.headers)))
        page = self.pages.get(request.path)
        if page is None:
            return web.Response(status=404, text="no such page")
        return twiml(page) if isinstance(page, str) else page(fields)

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        line = Line(socket, dict(request.headers), request.path_qs)
        self.lines.append(line)
        assert self.agent is not None
        await line.until("start")
        await self.agent(line)
        await socket.close()
        return socket


def twiml(verbs: str) -> web.Response:
    return web.Response(body=f"<Response>{verbs}</Response>".encode(), content_type="text/xml")


@asynccontextmanager
async def running(gateway: ThrowawayGateway) -> AsyncIterator[ThrowawayGateway]:
    server = web.Server(gateway.answer)
    runner = web.ServerRunner(server, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    gateway.port = runner.addresses[0][1]
    try:
        yield gateway
    finally:
        await runner.cleanup()
