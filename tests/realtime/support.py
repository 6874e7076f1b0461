"""What tests over the whole stack need: the real gateway on a loopback port, and clients of the Realtime protocol.

A client writes down every frame it gets, in order. Sound is PCM16 at 24 kHz unless a test says otherwise.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from gateway.credentials.credential import Scope
from gateway.credentials.keyring import entry
from pipeline.audio.formats import PCM_8K, PCM_24K
from pipeline.audio.transcode import transcode
from pipeline.dialects import Dialect
from pipeline.responder import Cascade
from tests.calls.support import LIMIT_S, RunningGateway, cascade, clip, running_gateway
from tests.pipeline.oracle import Oracle

OPERATOR_TOKEN = "operator-token-of-the-tests"
KEY = "acme:" + "k" * 40
"""An API key for sessions only."""
OTHER_KEY = "other:" + "o" * 40
SUPERVISOR = "boss:" + "s" * 40
"""An API key that may steer calls."""

CHUNK_MS = 20
GAP = bytes(PCM_24K.bytes_in(1_000))
"""Silence that ends a turn."""

Frame = dict[str, Any]


def keys_file(folder: Path) -> str:
    """A file of API keys."""
    scopes = {KEY: [Scope.REALTIME], OTHER_KEY: [Scope.REALTIME], SUPERVISOR: [Scope.CONTROL]}
    path = folder / "keys.toml"
    path.write_text("\n".join(_entry(key, granted) for key, granted in scopes.items()))
    return str(path)


def _entry(key: str, scopes: list[Scope]) -> str:
    id, _, secret = key.partition(":")
    return entry(id, secret, scopes)


def speech(name: str = "opening-hours") -> bytes:
    """A shipped clip of somebody speaking."""
    return transcode(clip(name).pcm, PCM_8K, PCM_24K)


@dataclass
class Client:
    """One connection, every frame of it judged. `frames` is all it was sent so far, as far as it was asked for."""

    socket: ClientConnection
    oracle: Oracle = field(default_factory=lambda: Oracle(Dialect.GA))
    frames: list[Frame] = field(default_factory=list)

    async def say(self, type: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": type, **fields}))

    async def next(self) -> Frame:
        async with asyncio.timeout(LIMIT_S):
            text = await self.socket.recv()
        frame = self.oracle.see(text)
        self.frames.append(frame)
        return frame

    async def hear(self, type: str) -> Frame:
        """The next frame of this type; those before it are written down."""
        while (frame := await self.next())["type"] != type:
            pass
        return frame

    async def hear_where(self, holds: Callable[[Frame], bool]) -> Frame:
        while not holds(frame := await self.next()):
            pass
        return frame

    async def speak(self, audio: bytes, *, chunk_bytes: int = PCM_24K.bytes_in(CHUNK_MS)) -> None:
        for at in range(0, len(audio), chunk_bytes):
            await self.append(audio[at : at + chunk_bytes])

    async def append(self, audio: bytes) -> None:
        await self.say("input_audio_buffer.append", audio=base64.b64encode(audio).decode())

    async def say_text(self, text: str, **fields: Any) -> None:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        await self.say("conversation.item.create", item=item, **fields)

    async def closed(self) -> tuple[int, str]:
        """Read to the end: code and reason of the close frame."""
        try:
            while True:
                await self.next()
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, "the connection broke without a close frame"
            return closed.rcvd.code, closed.rcvd.reason

    @property
    def types(self) -> list[str]:
        return [frame["type"] for frame in self.frames]

    def of(self, type: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] == type]

    def audio(self, delta: str = "response.output_audio.delta") -> bytes:
        return b"".join(base64.b64decode(frame["delta"]) for frame in self.of(delta))


@dataclass(frozen=True)
class Service:
    """A gateway that serves the protocol."""

    running: RunningGateway

    @asynccontextmanager
    async def connected(
        self,
        path: str = "/v1/realtime",
        *,
        key: str | None = OPERATOR_TOKEN,
        subprotocols: tuple[str, ...] = (),
        dialect: Dialect = Dialect.GA,
        **headers: str,
    ) -> AsyncGenerator[Client, None]:
        """A client that has opened this path; nothing is read yet."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        offered = [Subprotocol(name) for name in subprotocols] or None
        url = self.running.url.replace("http", "ws", 1) + path
        async with connect(
            url, additional_headers=sent, subprotocols=offered, compression=None, max_size=None
        ) as socket:
            yield Client(socket, Oracle(dialect))

    @asynccontextmanager
    async def session(
        self, path: str = "/v1/realtime?model=test", *, key: str | None = OPERATOR_TOKEN, **update: Any
    ) -> AsyncGenerator[Client, None]:
        """A client whose session is open, and updated if `update` names fields of a GA session."""
        async with self.connected(path, key=key) as client:
            await client.hear("conversation.created")
            if update:
                await client.say("session.update", session={"type": "realtime", **update})
                await client.hear("session.updated")
            yield client


@asynccontextmanager
async def service(providers: Cascade | None = None, **settings: str) -> AsyncGenerator[Service, None]:
    """The gateway with an operator's token; `settings` go by their names without `SWITCHBOARD_`."""
    named: dict[str, Any] = {f"SWITCHBOARD_{name.upper()}": value for name, value in settings.items()}
    named["SWITCHBOARD_TOKEN"] = OPERATOR_TOKEN
    async with running_gateway(providers=providers or cascade(), **named) as running:
        yield Service(running)
