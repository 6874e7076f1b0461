"""A phone call whose answers the Realtime stand-in makes: a real engine, a real socket, the real clock.

The phone takes sound at its own pace; the caller speaks in frames of 20 ms. No wait lasts longer than `LIMIT_S`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from pipeline.agent import Agent, load_agent
from pipeline.audio.formats import PCMU
from pipeline.commands import HangUp
from pipeline.engine import Engine
from pipeline.events.config import ServerVad, SessionConfig, Transcription
from pipeline.events.items import FunctionCallOutput, Item, Message
from pipeline.observations import Observation
from pipeline.opening import saying
from pipeline.providers.source import Source
from pipeline.session import Session
from pipeline.toolbox import Toolbox
from pipeline.upstream.connection import Dial, dial
from pipeline.upstream.remote import RemoteRealtime
from simulator.standins.realtime import RealtimeStandin
from simulator.standins.realtime_session import RealtimeSession
from simulator.standins.serving import served
from tests.fakes import FRAME_MS, VOICE_BYTE, FakeActivity, FakePhone, Ids

LIMIT_S: Final = 20.0
APOLOGY: Final = "Sorry about that."
CONFIG: Final = SessionConfig(
    input_format=PCMU,
    output_format=PCMU,
    instructions="Be kind.",
    transcription=Transcription(),
    turn_detection=ServerVad(silence_duration_ms=200),
)
AGENT: Final = load_agent("reception")

T = TypeVar("T")


def source(host: str, *, agent: Agent = AGENT, name: str = "openai", **options: Any) -> Source:
    """The stand-in at `host`, as a configuration names it."""
    return Source(
        name=name, agent=agent, model="stand-in", api_key="sk-1", base_url=f"ws://{host}", options=options
    )


@dataclass
class HeldCall:
    """One call, from both ends."""

    session: Session
    engine: Engine
    phone: FakePhone
    standin: RealtimeStandin
    running: asyncio.Task[HangUp | None]
    observed: list[Observation] = field(default_factory=list)
    spoken: bytearray = field(default_factory=bytearray)
    """All the caller's sound, frame by frame."""

    @property
    def far(self) -> RealtimeSession:
        """The session the remote holds now."""
        return self.standin.sessions[-1]

    async def speak(self, ms: int) -> None:
        await self._make(VOICE_BYTE, ms)

    async def wait(self, ms: int) -> None:
        await self._make(PCMU.silence, ms)

    async def utter(self) -> None:
        """A sentence, and the silence that ends the turn."""
        await self.speak(400)
        await self.wait(400)

    async def until(self, is_so: Callable[[], object]) -> None:
        """The line goes on, in silence, until something has happened."""
        async with asyncio.timeout(LIMIT_S):
            while not is_so():
                await self.wait(FRAME_MS)

    def seen(self, kind: type[T]) -> list[T]:
        return [one for one in self.observed if isinstance(one, kind)]

    @property
    def said(self) -> list[tuple[str, str]]:
        """The conversation here: who said what."""
        return [_said(item) for item in self.session.conversation.items if isinstance(item, Message)] + [
            ("function", item.output)
            for item in self.session.conversation.items
            if isinstance(item, FunctionCallOutput)
        ]

    async def _make(self, byte: bytes, ms: int) -> None:
        for _ in range(ms // FRAME_MS):
            frame = byte * PCMU.bytes_in(FRAME_MS)
            self.spoken += frame
            self.engine.hear(frame)
            await asyncio.sleep(FRAME_MS / 1000)


def _said(item: Message) -> tuple[str, str]:
    return item.role, item.text


@asynccontextmanager
async def call_held_by(
    remote: RemoteRealtime,
    standin: RealtimeStandin,
    *,
    config: SessionConfig = CONFIG,
    toolbox: Toolbox | None = None,
    history: tuple[Item, ...] = (),
    greeting: str = "",
    plays: bool = True,
) -> AsyncIterator[HeldCall]:
    """A call that runs until the block ends or it hangs up."""
    toolbox = toolbox or Toolbox(())
    phone = FakePhone(plays=plays)
    session = Session(
        config,
        Ids(),
        plays=plays,
        own_tools=toolbox.names,
        apology=APOLOGY,
        history=history,
        hears_sound=remote.hears_sound,
    )
    observed: list[Observation] = []
    engine = Engine(
        session,
        remote,
        phone,
        activity=FakeActivity().as_service,
        toolbox=toolbox,
        observe=observed.append,
        now=time.monotonic,
    )
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(phone.play(engine.report))
        running = tasks.create_task(engine.run(saying(greeting)))
        await asyncio.sleep(0)
        yield HeldCall(session, engine, phone, standin, running, observed)
        engine.stop()
        await running
        playing.cancel()


@asynccontextmanager
async def held_call(
    standin: RealtimeStandin, *, dial: Dial = dial, options: Mapping[str, Any] | None = None, **call: Any
) -> AsyncIterator[HeldCall]:
    """A call that the stand-in holds. Afterwards no connection is left, and no task."""
    before = asyncio.all_tasks()
    async with served(standin) as host:
        remote = RemoteRealtime(source(host, **(options or {})), dial=dial)
        async with call_held_by(remote, standin, **call) as held:
            yield held
        async with asyncio.timeout(LIMIT_S):
            while standin.open:  # noqa: ASYNC110 - the other side sees the close a moment later
                await asyncio.sleep(0.005)
    assert asyncio.all_tasks() == before
