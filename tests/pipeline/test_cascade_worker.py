"""What a cascade's worker tells of what its answers took: everything once, whoever wanted it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from pipeline.audio.formats import PCM_24K, PCMU
from pipeline.cascade_worker import CascadeWorker
from pipeline.commands import Anticipate, Respond
from pipeline.costs import Tally, Used
from pipeline.events.config import SessionConfig
from pipeline.events.input_audio import InputAudioBufferCleared
from pipeline.events.items import InputAudio, Message
from pipeline.observations import Anticipated, Observation, TurnUsed
from pipeline.prices import Prices, Rates
from pipeline.provider import Prompt, TokensUsed
from pipeline.reports import AudioMade, Finished, Report, TextEnded, TextMade, Transcribed
from pipeline.responder import Cascade
from pipeline.worker import Seat
from tests.fakes import STALL, WORD_MS, FakeModel, FakeTranscriber, FakeVoice, Step, Wait, failure
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s, settle

pytestmark = pytest.mark.anyio

ANSWER = Respond("resp_1", Prompt("Be kind.", ()))
OTHER = replace(ANSWER, prompt=Prompt("Be brief.", ()))
USED = TokensUsed(20, 4)
PRICES = Prices({"fake-llm": Rates(input=1_000_000, output=1_000_000), "fake-tts": Rates(characters=1_000_000)})
SECOND = b"\x20" * PCMU.bytes_in(1_000)


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


@dataclass
class Work:
    """A worker at work, and what it has told."""

    cascade: Cascade
    reports: list[Report] = field(default_factory=list)
    observed: list[Observation] = field(default_factory=list)

    @asynccontextmanager
    async def going_on(self) -> AsyncGenerator[tuple[CascadeWorker, asyncio.TaskGroup], None]:
        seat = Seat(
            report=self.reports.append,
            observe=self.observed.append,
            room=_at_once,
            first_clause=lambda: None,
            now=now_s,
            items=lambda: (),
        )
        worker = CascadeWorker(self.cascade, seat)
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(worker.run())
            await settle()
            yield worker, tasks
            worker.leave()
            running.cancel()

    @property
    def told(self) -> list[TurnUsed]:
        return [each for each in self.observed if isinstance(each, TurnUsed)]

    @property
    def words(self) -> list[tuple[str, str]]:
        return [(made.response_id, made.text) for made in self.reports if isinstance(made, TextMade)]

    @property
    def outcomes(self) -> list[Anticipated]:
        return [each for each in self.observed if isinstance(each, Anticipated)]

    @property
    def finished(self) -> Finished:
        (finished,) = [each for each in self.reports if isinstance(each, Finished)]
        return finished


async def _at_once() -> None:
    return None


def by_kind(used: tuple[Used, ...]) -> dict[str, Used]:
    return {each.kind: each for each in used}


async def test_an_answer_tells_what_was_heard_thought_and_said_for_it() -> None:
    model = FakeModel(["Hello there.", USED])
    work = Work(Cascade(FakeTranscriber("hi"), model, FakeVoice(), prices=PRICES))
    async with work.going_on() as (worker, tasks):
        worker.begin("item_1", SECOND, SessionConfig(input_format=PCMU), tasks)
        worker.end("item_1")
        await settle()
        await worker.respond(ANSWER, PCMU)
        used = by_kind(work.finished.used)
    assert work.told == [TurnUsed("resp_1", work.finished.used)]
    assert (used["stt"].audio_s, used["stt"].requests, used["stt"].cost_usd) == (1.0, 1, None)
    assert used["llm"].tokens == 24 and used["llm"].cost_usd == pytest.approx(24)
    assert used["tts"].characters == 12 and used["tts"].cost_usd == pytest.approx(12)
    assert used["tts"].audio_s == pytest.approx(2 * WORD_MS / 1000)


async def test_an_answer_that_is_cancelled_or_fails_is_paid_for_all_the_same() -> None:
    model = FakeModel(["Hello there.", STALL], ["Good morning.", failure()])
    work = Work(Cascade(FakeTranscriber(), model, FakeVoice()))
    async with work.going_on() as (worker, tasks):
        answering = tasks.create_task(worker.respond(ANSWER, PCMU))
        await settle()
        answering.cancel()
        await settle()
        await worker.respond(replace(ANSWER, response_id="resp_2"), PCMU)
    assert [each.response_id for each in work.told] == ["resp_1", "resp_2"]
    cancelled, failed = (by_kind(each.used)["llm"] for each in work.told)
    assert (cancelled.output_tokens, failed.output_tokens) == (3, 3)
    assert cancelled.is_estimated and failed.is_estimated


async def test_an_answer_begun_early_and_wanted_is_paid_once() -> None:
    work = Work(Cascade(FakeTranscriber(), FakeModel(["Hello there.", USED]), FakeVoice()))
    async with work.going_on() as (worker, _):
        worker.anticipate(Anticipate(replace(ANSWER, response_id="")), PCMU)
        await settle()
        assert work.told == []
        await worker.respond(ANSWER, PCMU)
    assert [each.response_id for each in work.told] == ["resp_1"]
    used = by_kind(work.finished.used)
    assert (used["llm"].tokens, used["llm"].wasted_tokens) == (24, 0)


@pytest.mark.parametrize(
    ("script", "spoken"), [(["Hello there.", USED], "Hello there."), (["Hello ", "there.", USED, STALL], "")]
)
async def test_an_answer_begun_in_vain_is_on_the_next_ones_bill_as_wasted(script: list[Step], spoken: str) -> None:
    work = Work(Cascade(FakeTranscriber(), FakeModel(script, ["Yes.", TokensUsed(8, 1)]), FakeVoice()))
    async with work.going_on() as (worker, _):
        worker.anticipate(Anticipate(replace(ANSWER, response_id="")), PCMU)
        await settle()
        worker.abandon()
        await settle()
        await worker.respond(OTHER, PCMU)
    used = by_kind(work.finished.used)
    assert (used["llm"].tokens, used["llm"].wasted_tokens, used["llm"].requests) == (33, 24, 2)
    assert used["tts"].characters == len(spoken) + len("Yes.")


async def test_what_no_answer_came_of_is_told_at_the_end() -> None:
    work = Work(Cascade(FakeTranscriber("", [STALL]), FakeModel(), FakeVoice()))
    async with work.going_on() as (worker, tasks):
        for item_id in ("item_1", "item_2"):
            worker.begin(item_id, SECOND, SessionConfig(input_format=PCMU), tasks)
            worker.end(item_id)
        await settle()
        assert work.told == []
    assert [each.response_id for each in work.told] == ["", ""]
    (heard,) = Tally(used for each in work.told for used in each.used).used
    assert (heard.kind, heard.requests, heard.audio_s) == ("stt", 2, 2.0)


def asks(words: str) -> Prompt:
    return Prompt("Be kind.", (Message(id="item_1", role="user", content=(InputAudio(transcript=words),)),))


GUESSED = Anticipate(Respond("", asks("are you open")))
ASKED = Respond("resp_1", asks("Are you open?"))
MORE = Respond("resp_1", asks("are you open now"))


def guessing(*script: Sequence[Step]) -> Work:
    return Work(Cascade(FakeTranscriber(), FakeModel(*script), FakeVoice()))


def running(work: Work) -> tuple[int, int]:
    model, voice = work.cascade.model, work.cascade.voice
    assert isinstance(model, FakeModel) and isinstance(voice, FakeVoice)
    return model.running, voice.running


async def test_an_answer_that_was_anticipated_is_taken_up_with_its_head_start() -> None:
    work = guessing([Wait(0.5), "Yes, we are."])
    async with work.going_on() as (worker, _):
        worker.anticipate(GUESSED, PCMU)
        await asyncio.sleep(0.4)
        assert work.reports == []
        await worker.respond(ASKED, PCMU)
        assert now_s() == pytest.approx(0.5, abs=1e-3)
    assert work.words == [("resp_1", "Yes, we are.")]
    assert {type(made) for made in work.reports} == {TextMade, TextEnded, AudioMade, Finished}
    (kept,) = work.outcomes
    assert kept.head_start_s == pytest.approx(0.4, abs=1e-3)
    assert kept.wasted_words == 0


async def test_it_is_taken_up_once() -> None:
    work = guessing(["One."], ["Two."])
    async with work.going_on() as (worker, _):
        worker.anticipate(GUESSED, PCMU)
        await worker.respond(ASKED, PCMU)
        await worker.respond(replace(ASKED, response_id="resp_2"), PCMU)
    assert work.words == [("resp_1", "One."), ("resp_2", "Two.")]


@pytest.mark.parametrize("asked", [MORE, replace(ASKED, script="Sorry.")], ids=["other words", "a script"])
async def test_what_does_not_suit_is_thrown_away_and_answered_afresh(asked: Respond) -> None:
    work = guessing(["Thrown away.", STALL], ["Yes, now."])
    async with work.going_on() as (worker, _):
        worker.anticipate(GUESSED, PCMU)
        await settle()
        await worker.respond(asked, PCMU)
        await settle()
        assert running(work) == (0, 0)
    assert work.words == [("resp_1", asked.script or "Yes, now.")]
    assert work.outcomes == [Anticipated(0.0, 2)]


async def test_a_guess_takes_the_place_of_the_one_before() -> None:
    work = guessing([STALL], ["Yes, now."])
    async with work.going_on() as (worker, _):
        worker.anticipate(GUESSED, PCMU)
        await settle()
        worker.anticipate(Anticipate(replace(MORE, response_id="")), PCMU)
        await settle()
        assert running(work)[0] == 0
        await worker.respond(MORE, PCMU)
    assert work.words == [("resp_1", "Yes, now.")]
    assert [one.wasted_words for one in work.outcomes] == [0, 0]


async def test_a_guess_that_failed_is_not_taken_up() -> None:
    work = guessing([failure()], ["Yes."])
    async with work.going_on() as (worker, _):
        worker.anticipate(GUESSED, PCMU)
        await settle()
        assert work.reports == []
        await worker.respond(ASKED, PCMU)
    assert work.words == [("resp_1", "Yes.")]


async def test_an_answer_aside_leaves_the_guess_alone() -> None:
    work = guessing(["Guessed."], ["Aside."])
    async with work.going_on() as (worker, _):
        worker.anticipate(GUESSED, PCMU)
        await settle()
        await worker.respond(replace(ASKED, response_id="resp_0", is_out_of_band=True), PCMU)
        await worker.respond(ASKED, PCMU)
    assert work.words == [("resp_0", "Aside."), ("resp_1", "Guessed.")]


async def test_it_sounds_as_it_was_ordered_to() -> None:
    voice = FakeVoice(formats=(PCM_24K, PCMU))
    work = Work(Cascade(FakeTranscriber(), FakeModel(["Yes."]), voice))
    async with work.going_on() as (worker, _):
        worker.anticipate(Anticipate(replace(GUESSED.respond, format=PCM_24K)), PCMU)
        await worker.respond(replace(ASKED, format=PCM_24K), PCMU)
    assert [format for format, _ in voice.asked] == [PCM_24K]


async def test_abandoning_nothing_is_no_news_and_leaving_abandons_all() -> None:
    work = guessing([STALL])
    async with work.going_on() as (worker, _):
        worker.abandon()
        assert work.outcomes == []
        worker.anticipate(GUESSED, PCMU)
        await settle()
        assert running(work)[0] == 1
    assert (running(work), work.outcomes) == ((0, 0), [Anticipated(0.0, 0)])


async def test_when_it_no_longer_runs_nothing_is_begun() -> None:
    work = guessing(["Yes."])
    async with work.going_on() as (worker, _):
        pass
    worker.anticipate(GUESSED, PCMU)
    await settle()
    assert (running(work), work.outcomes) == ((0, 0), [])


async def test_an_utterance_that_is_void_is_not_told_of() -> None:
    work = Work(Cascade(FakeTranscriber("hello", "hello again"), FakeModel(), FakeVoice()))
    async with work.going_on() as (worker, tasks):
        for item_id in ("item_1", "item_2"):
            worker.begin(item_id, b"", SessionConfig(input_format=PCMU), tasks)
        await settle()
        worker.hear(SECOND)
        worker.drop("item_1")
        worker.end("item_2")
        await settle()
        worker.see(InputAudioBufferCleared(event_id="event"))
    assert work.reports == [Transcribed("item_2", "hello again", True)]
