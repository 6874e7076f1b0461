"""One answer passed on: what is reported, and when; on the virtual clock."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from pipeline.audio.formats import PCM_24K, PCMU, AudioFormat
from pipeline.commands import Respond
from pipeline.limits import LONGEST_SOUND_MS
from pipeline.provider import Prompt, ProviderError
from pipeline.reports import AudioMade, Finished, Report, TextMade, ToolRequested
from pipeline.timing import Timing
from pipeline.upstream.answer import Answer
from pipeline.upstream.telling import BEGIN_LIMIT_S, MOST_GAPS_S, SOUND_LIMIT_S, Stalled, Telling
from pipeline.upstream.wire import Called, Ended, ItemBegan, OfResponse, Sound, SoundDone, Text, Usage
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s, settle

pytestmark = pytest.mark.anyio
CALL = Called("t", "f1", "call_1", "weather", "{}")


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


def text(words: str) -> Text:
    return Text("t", "i", words)


def sound(ms: int, format: AudioFormat = PCMU) -> Sound:
    return Sound("t", "i", 0, b"\x20" * format.bytes_in(ms))


@dataclass
class Stage:
    speaks: bool = True
    format: AudioFormat = PCMU
    reports: list[Report] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    first_clauses: int = 0
    room: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.room.set()
        self.answer = Answer("r", self.format, is_aside=False)
        self.telling = Telling(
            self.answer,
            Respond("r", Prompt("", ()), speaks=self.speaks),
            PCMU,
            label="far",
            report=self.reports.append,
            room=self._room,
            first_clause=self._first_clause,
            asking=self.calls.append,
        )

    async def tell(self, *events: OfResponse) -> Finished:
        self.answer.begin("t")
        for event in events:
            self.answer.take(event)
        return await self.telling.run(Timing("far", "realtime", now_s, lambda _: None))

    async def _room(self) -> None:
        await self.room.wait()

    def _first_clause(self) -> None:
        self.first_clauses += 1

    @property
    def audio(self) -> bytes:
        return b"".join(made.audio for made in self.reports if isinstance(made, AudioMade))

    @property
    def captions(self) -> str:
        return " ".join(made.text for made in self.reports if isinstance(made, AudioMade) and made.text)


async def test_words_go_with_their_sound_in_pieces_no_longer_than_a_delta_may_be() -> None:
    stage = Stage()
    usage = Usage(10, 5, 2)
    done = await stage.tell(text("one two"), sound(1_000), SoundDone("t"), Ended("t", "completed", usage=usage))
    assert done == Finished("r", 10, 5, 2)
    assert stage.reports[0] == TextMade("r", "one two")
    assert stage.audio == sound(1_000).audio
    assert stage.captions == "one two"
    pieces = [made.audio for made in stage.reports if isinstance(made, AudioMade)]
    assert all(len(piece) <= PCMU.bytes_in(LONGEST_SOUND_MS) for piece in pieces)
    assert all(len(piece) % PCMU.bytes_in(20) == 0 for piece in pieces)
    assert stage.first_clauses == 1


async def test_words_without_sound_are_kept_back_so_that_it_can_be_asked_again() -> None:
    stage = Stage()
    with pytest.raises(ProviderError, match="nothing at all") as failed:
        await stage.tell(text("one two"), Ended("t", "completed"))
    assert (stage.reports, stage.answer.is_told, failed.value.retryable) == ([], False, True)


async def test_an_answer_of_text_is_passed_on_as_it_comes() -> None:
    stage = Stage(speaks=False)
    await stage.tell(text("one "), sound(20), text("two"), Ended("t", "completed"))
    assert stage.reports == [TextMade("r", "one "), TextMade("r", "two")]


async def test_functions_are_asked_for_with_the_end_and_once() -> None:
    stage = Stage()
    other = Called("t", "f2", "call_2", "time", "{}")
    await stage.tell(ItemBegan("t", "f1", True), CALL, Ended("t", "completed", calls=(CALL, other)))
    assert stage.reports == [
        ToolRequested("r", "call_1", "weather", "{}"),
        ToolRequested("r", "call_2", "time", "{}"),
    ]
    assert stage.calls == ["call_1", "call_2"]


async def test_an_answer_that_breaks_off_has_asked_for_nothing() -> None:
    stage = Stage()
    with pytest.raises(ProviderError, match="failed: rate limit"):
        await stage.tell(CALL, Ended("t", "failed", "rate limit"))
    assert stage.reports == []


async def test_one_that_is_cut_off_says_by_what() -> None:
    stage = Stage()
    done = await stage.tell(text("one"), sound(40), Ended("t", "incomplete", cut_off="content_filter"))
    assert done.cut_off == "content_filter"


async def test_words_that_come_after_all_sound_are_still_told() -> None:
    stage = Stage()
    await stage.tell(sound(400), text("late words"), Ended("t", "completed"))
    assert stage.captions == "late words"


async def test_half_samples_wait_for_their_other_half_and_other_formats_are_turned_into_the_lines() -> None:
    stage = Stage(format=PCM_24K)
    whole = sound(200, PCM_24K).audio
    halves = [Sound("t", "i", 0, whole[:101]), Sound("t", "i", 0, whole[101:])]
    await stage.tell(text("Hi."), *halves, Ended("t", "completed"))
    assert abs(len(stage.audio) - PCMU.bytes_in(200)) <= 8


@pytest.mark.parametrize(
    ("events", "limit_s"),
    [
        ((), BEGIN_LIMIT_S),
        ((text("one"), sound(20)), SOUND_LIMIT_S),
        ((text("one"), sound(20), SoundDone("t")), BEGIN_LIMIT_S),
        ((text("one"), sound(20), ItemBegan("t", "f", True)), BEGIN_LIMIT_S),
    ],
)
async def test_what_says_nothing_for_too_long_has_stalled(events: tuple[OfResponse, ...], limit_s: float) -> None:
    with pytest.raises(Stalled):
        await Stage().tell(*events)
    assert now_s() == pytest.approx(limit_s, abs=0.01)


async def test_what_never_begins_has_stalled() -> None:
    stage = Stage()
    with pytest.raises(Stalled, match="has not begun"):
        await stage.telling.run(Timing("far", "realtime", now_s, lambda _: None))


async def test_sound_waits_until_there_is_room_and_that_is_no_stall() -> None:
    stage = Stage()
    stage.room.clear()
    async with asyncio.TaskGroup() as tasks:
        telling = tasks.create_task(stage.tell(text("one"), sound(800), Ended("t", "completed")))
        await settle()
        assert len(stage.audio) < PCMU.bytes_in(800)
        await asyncio.sleep(60)
        stage.room.set()
        await telling
    assert len(stage.audio) == PCMU.bytes_in(800)


async def test_an_answer_that_drips_is_given_up_before_long() -> None:
    stage = Stage()
    stage.answer.begin("t")
    began_s = now_s()

    async def drip() -> None:
        while True:
            stage.answer.take(sound(20))
            await asyncio.sleep(0.4)

    async with asyncio.TaskGroup() as tasks:
        dripping = tasks.create_task(drip())
        with pytest.raises(Stalled, match="slower than it plays"):
            await stage.telling.run(Timing("far", "realtime", now_s, lambda _: None))
        dripping.cancel()
    assert now_s() - began_s == pytest.approx(MOST_GAPS_S, abs=0.4)
