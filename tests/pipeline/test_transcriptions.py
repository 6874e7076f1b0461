"""Utterances on their way through the transcriber, on the clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest

from pipeline.audio.formats import PCM_8K, PCM_16K, PCMU
from pipeline.events.config import SessionConfig, Transcription
from pipeline.legs.means import Means
from pipeline.observations import Observation, ProviderTimed
from pipeline.reports import Report, Transcribed, TranscriptionFailed
from pipeline.transcriptions import (
    PIECE_MS,
    STALL_PER_S,
    TRANSCRIPT_STALL_S,
    UTTERANCE_BACKLOG,
    Transcriptions,
)
from tests.fakes import STALL, FakeTranscriber, Wait, failure
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s, settle

pytestmark = pytest.mark.anyio

CONFIG = SessionConfig(input_format=PCMU, language="en-US")
SECOND = b"\x10" * 8_000
Script = Sequence[str | Wait | Exception] | str


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


@dataclass
class Desk:
    """Transcriptions, and what they have reported by when."""

    transcriber: FakeTranscriber
    tasks: asyncio.TaskGroup
    reports: list[Report] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    observed: list[Observation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.transcriptions = Transcriptions([self.transcriber], self._report, Means(now_s, self.observed.append))

    def begin(self, item_id: str, audio: bytes = b"", config: SessionConfig = CONFIG) -> None:
        self.transcriptions.begin(item_id, audio, config, self.tasks)

    def _report(self, report: Report) -> None:
        self.reports.append(report)
        self.times.append(now_s())


@asynccontextmanager
async def desk(*script: Script, early: bool = False, deaf_s: float = 0.0) -> AsyncIterator[Desk]:
    """At its end every task is done, and no generator is left behind."""
    transcriber = FakeTranscriber(*script, early=early, deaf_s=deaf_s)
    async with asyncio.timeout(1_000), asyncio.TaskGroup() as tasks:
        yield Desk(transcriber, tasks)
    assert transcriber.running == 0


async def test_an_utterance_is_heard_from_its_beginning_to_its_end() -> None:
    async with desk(["hello", Wait(0.5), "hello there"]) as at:
        at.begin("a", b"12")
        at.transcriptions.hear(b"34")
        await settle()
        at.transcriptions.hear(b"56")
        at.transcriptions.end("a")
        at.transcriptions.hear(b"78")
    assert at.transcriber.heard == [b"123456"]
    assert at.reports == [Transcribed("a", "hello", False), Transcribed("a", "hello there", True)]
    (timed,) = at.observed
    assert isinstance(timed, ProviderTimed)
    assert (timed.provider, timed.kind, timed.error) == ("fake-stt", "stt", None)
    assert timed.seconds == pytest.approx(0.5), "from the end of the utterance"


async def test_what_came_as_a_whole_takes_no_sound_from_what_is_being_said() -> None:
    async with desk("spoken", "brought") as at:
        at.begin("spoken", b"12")
        at.begin("brought", SECOND)
        at.transcriptions.end("brought")
        at.transcriptions.hear(b"34")
        await settle()
        at.transcriptions.end("spoken")
    assert at.transcriber.heard == [b"1234", SECOND]
    assert sorted(r.text for r in at.reports if isinstance(r, Transcribed)) == ["brought", "spoken"]


async def test_sound_goes_to_the_transcriber_in_pieces() -> None:
    async with desk("") as at:
        at.begin("a")
        for _ in range(PIECE_MS // 20 - 1):
            at.transcriptions.hear(b"\x10" * PCMU.bytes_in(20))
        await settle()
        assert at.transcriber.heard == [b""]
        at.transcriptions.hear(b"\x10" * PCMU.bytes_in(20))
        await settle()
        assert at.transcriber.heard == [b"\x10" * PCMU.bytes_in(PIECE_MS)]
        at.transcriptions.end("a")


@pytest.mark.parametrize(
    ("asked", "session", "language"),
    [("de", "en-US", "de"), (None, "en-US", "en-US"), (None, None, None), ("", "en-US", "en-US")],
)
async def test_the_language_that_was_asked_for_goes_before_the_sessions(
    asked: str | None, session: str | None, language: str | None
) -> None:
    transcription = None if asked is None else Transcription(language=asked)
    config = msgspec.structs.replace(CONFIG, language=session, transcription=transcription)
    async with desk("hello") as at:
        at.begin("a", config=config)
        at.transcriptions.end("a")
    assert at.transcriber.asked == [(PCMU, language)]


async def test_a_transcriber_is_given_a_format_it_knows() -> None:
    async with desk("hello") as at:
        at.transcriber.formats = (PCM_16K, PCM_8K)
        at.begin("a", SECOND)
        at.transcriptions.end("a")
    assert at.transcriber.asked == [(PCM_16K, "en-US")]
    assert PCM_16K.seconds_of(at.transcriber.heard[0]) == pytest.approx(1.0, abs=0.01)


async def test_words_that_do_not_come_are_given_up_later_for_more_sound_at_once() -> None:
    async with desk([STALL], [STALL]) as at:
        at.begin("short")
        at.begin("long", SECOND * 10)
        await asyncio.sleep(3)
        for item_id in ("short", "long"):
            at.transcriptions.end(item_id)
    stalls_s = [TRANSCRIPT_STALL_S, TRANSCRIPT_STALL_S + 10 * STALL_PER_S]
    assert at.reports == [
        TranscriptionFailed(item_id, f"fake-stt: no words {stall_s:g} seconds after the caller stopped")
        for item_id, stall_s in zip(("short", "long"), stalls_s, strict=True)
    ]
    assert at.times == [pytest.approx(3 + stall_s) for stall_s in stalls_s]


async def test_what_ends_before_its_task_has_begun_has_its_deadline_too() -> None:
    async with desk([STALL]) as at:
        at.begin("a")
        at.transcriptions.end("a")
    assert at.times == [pytest.approx(TRANSCRIPT_STALL_S)]


async def test_whoever_still_speaks_has_no_deadline() -> None:
    async with desk("hello") as at:
        at.begin("a")
        await asyncio.sleep(60)
        assert at.reports == []
        at.transcriptions.end("a")
    assert at.reports == [Transcribed("a", "hello", True)]


@pytest.mark.parametrize("starts", [False, True])
async def test_of_a_void_utterance_nothing_is_reported(starts: bool) -> None:
    async with desk("never mind") as at:
        at.begin("a", SECOND)
        if starts:
            await settle()
        at.transcriptions.drop("a")
        at.transcriptions.drop("a")
        at.transcriptions.hear(SECOND)
    assert (at.reports, at.observed) == ([], [])


async def test_when_nobody_waits_any_more_all_of_them_stop() -> None:
    async with desk("one", [STALL]) as at:
        at.begin("a")
        at.begin("b")
        await settle()
        assert at.transcriber.running == 2
        at.transcriptions.leave()
        await settle()
        assert at.transcriber.running == 0
    assert at.reports == []


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ([failure("stt")], "stt: is out of order"),
        ([], "fake-stt: ended without a final transcript"),
        ([ZeroDivisionError("a bug")], "internal error"),
    ],
)
async def test_a_failure_is_reported_once(script: Script, message: str, caplog: pytest.LogCaptureFixture) -> None:
    async with desk(script) as at:
        at.begin("a")
        at.transcriptions.end("a")
    assert at.reports == [TranscriptionFailed("a", message)]
    assert ("transcription of a failed by a fault of ours" in caplog.text) == (message == "internal error")


async def test_an_utterance_that_runs_ahead_of_its_transcriber_ends_there() -> None:
    async with desk("a long story", deaf_s=35.0) as at:
        at.begin("a")
        piece = b"\x10" * PCMU.bytes_in(PIECE_MS)
        for _ in range(UTTERANCE_BACKLOG + 50):
            at.transcriptions.hear(piece)
            await asyncio.sleep(PIECE_MS / 1000)
    assert len(at.transcriber.heard[0]) == UTTERANCE_BACKLOG * len(piece)
    assert at.reports == [Transcribed("a", "a long story", True)]


async def test_ending_what_nobody_has_begun_is_harmless() -> None:
    async with desk() as at:
        at.transcriptions.end("a")
        at.transcriptions.drop("a")
        at.transcriptions.hear(SECOND)
