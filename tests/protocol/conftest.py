"""What the protocol's tests share: the real gateway, one for each file of tests, and ways to connect to it.

A test that takes `house` runs over each transport that `transports.py` gives it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx2
import pytest

from pipeline.dialects import Dialect
from pipeline.mcp_errands import McpTools
from pipeline.provider import Voice
from pipeline.providers.stub import StubVoice
from pipeline.responder import Cascade
from tests.calls.support import LIMIT_S, RunningGateway, running_gateway
from tests.protocol.lines import by_channel
from tests.protocol.peer import Peer, connect
from tests.protocol.providers import Actor, Listener
from tests.protocol.transports import Transport, transports_of

KEY: Final = "sk-" + "protocol-" * 5
BEARER: Final = {"Authorization": f"Bearer {KEY}"}
GA_PATH: Final = "/v1/realtime?model=m"
EVENTS_PER_S: Final = "10000"
"""Tests push sound in many small pieces; how fast events may come is another suite's matter."""


@dataclass(frozen=True)
class House:
    """A gateway that runs, the model behind it, and how it is reached."""

    running: RunningGateway
    model: Actor
    transport: Transport = Transport.WEBSOCKET
    """By which sessions are reached."""

    async def post(self, path: str, body: object = None, **headers: str) -> Any:
        """What an endpoint over plain HTTP answers to the operator's key, or to other `headers`."""
        async with httpx2.AsyncClient(base_url=self.running.url, timeout=LIMIT_S) as client:
            response = await client.post(path, json=body, headers=BEARER | headers)
        assert response.status_code == 200, response.text
        return response.json()

    @asynccontextmanager
    async def connect(
        self, path: str = GA_PATH, *, dialect: Dialect = Dialect.GA, headers: dict[str, str] = BEARER
    ) -> AsyncGenerator[Peer, None]:
        """A connection by this house's transport: to the WebSocket of this path, or its like over WebRTC."""
        if self.transport is Transport.WEBSOCKET:
            async with connect(self.running.url + path, dialect=dialect, headers=headers) as peer:
                yield peer
            return
        async with by_channel(self.running.url, path, headers=headers) as line:
            yield Peer(line, dialect)

    def side_band(self, id: str) -> AbstractAsyncContextManager[Peer]:
        """A WebSocket onto a session or call that there is."""
        return connect(f"{self.running.url}/v1/realtime?call_id={id}", headers=BEARER)

    @asynccontextmanager
    async def session(self, path: str = GA_PATH, **asked: Any) -> AsyncGenerator[Peer, None]:
        """A connection that has had its first two events. `asked` is of `connect`."""
        async with self.connect(path, **asked) as peer:
            await peer.expect("conversation.created")
            yield peer

    @asynccontextmanager
    async def text_session(self, instructions: str = "") -> AsyncGenerator[Peer, None]:
        """GA, answering in text."""
        async with self.session() as peer:
            await peer.update(output_modalities=["text"], instructions=instructions)
            yield peer

    @asynccontextmanager
    async def voice_session(self, **input: Any) -> AsyncGenerator[Peer, None]:
        """GA with µ-law both ways and transcripts; `input` are fields of `audio.input`."""
        async with self.session() as peer:
            pcmu = {"type": "audio/pcmu"}
            heard = {"format": pcmu, "transcription": {"model": "whisper-1"}, **input}
            await peer.update(audio={"input": heard, "output": {"format": pcmu}})
            yield peer


@asynccontextmanager
async def open_house(
    *,
    transport: Transport = Transport.WEBSOCKET,
    takes_images: bool = True,
    voice: Voice | None = None,
    mcp: Callable[[], AbstractAsyncContextManager[McpTools]] | None = None,
    **settings: str,
) -> AsyncGenerator[House, None]:
    model = Actor(takes_images=takes_images)
    providers = Cascade(Listener(), model, voice or StubVoice())
    usual: dict[str, Any] = {"SWITCHBOARD_TOKEN": KEY, "SWITCHBOARD_REALTIME_EVENTS_PER_S": EVENTS_PER_S}
    async with running_gateway(providers=providers, mcp=mcp, **(usual | settings)) as running:
        yield House(running, model, transport)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop for a file, since its gateway lives in it."""
    return "asyncio"


@pytest.fixture(scope="module")
async def shared_house(anyio_backend: str) -> AsyncGenerator[House, None]:
    """A file's own; both transports lead into it."""
    async with open_house() as opened:
        yield opened


@pytest.fixture
def house(shared_house: House, transport: Transport) -> House:
    return replace(shared_house, transport=transport)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test of the protocol, over each of its transports."""
    if "transport" in metafunc.fixturenames:
        over = transports_of(metafunc.definition.path.name, metafunc.definition.originalname)
        metafunc.parametrize("transport", over, ids=[one.value for one in over])
