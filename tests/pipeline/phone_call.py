"""A call on the virtual clock: an engine between scripted providers and a phone, and a caller who speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from pipeline.audio.formats import PCMU
from pipeline.commands import HangUp
from pipeline.engine import Engine
from pipeline.events.config import SessionConfig, Transcription
from pipeline.events.items import AnyItem, FunctionCallOutput, Message
from pipeline.observations import Observation
from pipeline.opening import Opening, saying
from pipeline.phrasebook import Phrasebook
from pipeline.responder import Cascade
from pipeline.session import Session
from pipeline.toolbox import Tool, Toolbox
from pipeline.turn.end_of_turn import EndOfTurn
from tests.fakes import (
    FRAME_MS,
    VOICE_BYTE,
    FakeActivity,
    FakeModel,
    FakePhone,
    FakeTranscriber,
    FakeVoice,
    Ids,
)
from tests.virtual_time import now_s, settle

PHONE_CONFIG = SessionConfig(
    input_format=PCMU, output_format=PCMU, instructions="Be kind.", language="en-US", transcription=Transcription()
)
APOLOGY = "Sorry about that."
LONGEST_CALL_S = 600

T = TypeVar("T")


@dataclass
class PhoneCall:
    """All that takes part in one call."""

    session: Session
    engine: Engine
    phone: FakePhone
    transcriber: FakeTranscriber
    model: FakeModel
    voice: FakeVoice
    activity: FakeActivity
    observed: list[tuple[float, Observation]]
    running: asyncio.Task[HangUp | None]

    async def speak(self, ms: int) -> None:
        await self._make(VOICE_BYTE, ms)

    async def wait(self, ms: int) -> None:
        """The caller is silent; the line is not."""
        await self._make(PCMU.silence, ms)

    async def utter(self) -> None:
        """A sentence, and the silence that ends the turn."""
        await self.speak(640)
        await self.wait(640)

    def seen(self, kind: type[T]) -> list[T]:
        """All observations of a kind."""
        return [o for _, o in self.observed if isinstance(o, kind)]

    def seen_at(self, kind: type[T]) -> list[float]:
        """When."""
        return [at for at, o in self.observed if isinstance(o, kind)]

    @property
    def said(self) -> list[tuple[str, str]]:
        """The conversation: who said what, functions' results included."""
        said: list[tuple[str, str]] = []
        for item in self.session.conversation.items:
            match item:
                case Message():
                    said.append((item.role, item.text))
                case FunctionCallOutput():
                    said.append(("function", item.output))
        return said

    @property
    def providers_running(self) -> tuple[int, int, int]:
        return self.transcriber.running, self.model.running, self.voice.running

    async def _make(self, byte: bytes, ms: int) -> None:
        for _ in range(ms // FRAME_MS):
            self.engine.hear(byte * PCMU.bytes_in(FRAME_MS))
            await asyncio.sleep(FRAME_MS / 1000)


@asynccontextmanager
async def phone_call(
    *,
    transcriber: FakeTranscriber | None = None,
    model: FakeModel | None = None,
    voice: FakeVoice | None = None,
    phone: FakePhone | None = None,
    tools: tuple[Tool, ...] = (),
    config: SessionConfig = PHONE_CONFIG,
    greeting: str = "",
    activity: FakeActivity | None = None,
    end_of_turn: EndOfTurn | None = None,
    phrasebook: Phrasebook | None = None,
    anticipates: bool = False,
    history: tuple[AnyItem, ...] = (),
    opening: Opening | None = None,
    make_id: Ids | None = None,
) -> AsyncIterator[PhoneCall]:
    """A call that runs until the block ends or it hangs up. Nothing of it is left behind: no task, no generator."""
    before = asyncio.all_tasks()
    toolbox = Toolbox(tools)
    phone, activity = phone or FakePhone(), activity or FakeActivity()
    session = Session(
        config,
        make_id or Ids(),
        plays=phone.plays,
        own_tools=toolbox.names,
        patient_tools=toolbox.patient,
        apology=APOLOGY,
        anticipates=anticipates,
        history=history,
    )
    transcriber, model, voice = transcriber or FakeTranscriber(), model or FakeModel(), voice or FakeVoice()
    cascade = Cascade(transcriber, model, voice, "anna")
    observed: list[tuple[float, Observation]] = []
    engine = Engine(
        session,
        cascade,
        phone,
        activity=activity.as_service,
        toolbox=toolbox,
        observe=lambda observation: observed.append((now_s(), observation)),
        now=now_s,
        end_of_turn=end_of_turn,
        facts={"call_sid": "CA1"},
        phrasebook=phrasebook,
    )
    async with asyncio.timeout(LONGEST_CALL_S), asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(phone.play(engine.report))
        running = tasks.create_task(engine.run(opening or saying(greeting)))
        await settle()
        call = PhoneCall(session, engine, phone, transcriber, model, voice, activity, observed, running)
        yield call
        engine.stop()
        await running
        playing.cancel()
    await settle()
    assert call.providers_running == (0, 0, 0)
    assert all(ear.is_closed for ear in activity.ears)
    assert asyncio.all_tasks() == before
