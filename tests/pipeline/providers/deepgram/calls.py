"""What the tests of the Deepgram provider share: sound, sources, and a server that says just what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from pipeline.agent import Agent
from pipeline.audio.formats import PCMU
from pipeline.providers.source import Source
from simulator.standins.tone import hum_ulaw

KEY = "a-key-nobody-may-see"

SCRIPT = ("What are your opening hours?", "Thank you, goodbye.")


def source(at: str, model: str, *, language: str | None = None, **options: Any) -> Source:
    """One whose server stands at `at` (`127.0.0.1:port`)."""
    agent = Agent(name="test", language=language)
    return Source(name="deepgram", agent=agent, model=model, api_key=KEY, base_url=f"http://{at}", options=options)


def voice(words: int) -> bytes:
    """As much µ-law sound as `words` words take."""
    return hum_ulaw(words)


def silence(ms: int) -> bytes:
    return PCMU.silence * PCMU.bytes_in(ms)


async def spoken(*sounds: bytes) -> AsyncIterator[bytes]:
    """The sounds in packets of 20 ms, and between them the empty pieces a resampler makes now and then."""
    for sound in sounds:
        for start in range(0, len(sound), PCMU.bytes_in(20)):
            yield sound[start : start + PCMU.bytes_in(20)]
        yield b""


async def held(sounds: Iterable[bytes], until: asyncio.Event) -> AsyncIterator[bytes]:
    """The sounds; the end comes only after `until`."""
    async for piece in spoken(*sounds):
        yield piece
    await until.wait()


def saying(*lines: str | bytes, close: int | None = None) -> ASGIApp:
    """A server that answers the first text message with `lines`, then closes with `close` or waits for the peer."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        while (message := await websocket.receive()).get("text") is None:
            if message["type"] == "websocket.disconnect":
                return
        for line in lines:
            await (websocket.send_text(line) if isinstance(line, str) else websocket.send_bytes(line))
        if close is not None:
            await websocket.close(close)
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass

    return serve
