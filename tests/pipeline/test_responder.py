"""One answer, from prompt to sound: what is reported in which order, and every way in which it can go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import pytest

from pipeline.audio.apology import APOLOGY_TEXT, apology
from pipeline.audio.formats import PCM_24K, PCMU, AudioFormat
from pipeline.commands import Respond
from pipeline.legs.voice_leg import SpareVoice
from pipeline.provider import CutOff, Prompt, ProviderError, Speech, TokensUsed, ToolRequest, WordTime
from pipeline.reports import AudioMade, Failed, Finished, Report, TextEnded, TextMade, ToolRequested
from pipeline.responder import CLAUSES_AHEAD, MODEL_STALL_S, VOICE_STALL_S, Cascade, Responder
from tests.fakes import (
    SPEECH_BYTE,
    STALL,
    WORD_MS,
    FakeModel,
    FakeTranscriber,
    FakeVoice,
    Step,
    Wait,
    failure,
)
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s

pytestmark = pytest.mark.anyio

PROMPT = Prompt(instructions="Be kind.", items=())
WORD = SPEECH_BYTE * PCMU.bytes_in(WORD_MS)
LONGEST_S = 120


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


async def no_wait() -> None:
    return None


class Answer:
    """One answer under test: what it reports, and when."""

    def __init__(
        self,
        model: FakeModel | None = None,
        voice: FakeVoice | None = None,
        *,
        format: AudioFormat = PCMU,
        room: Callable[[], Awaitable[None]] = no_wait,
    ) -> None:
        self.model, self.voice = model or FakeModel(), voice or FakeVoice()
        self.reports: list[Report] = []
        self.times: list[float] = []
        self.first_clauses: list[float] = []
        cascade = Cascade(FakeTranscriber(), self.model, self.voice, "anna")
        self._format = format
        self._responder = Responder(cascade, self._report, room, lambda: self.first_clauses.append(now_s()))

    async def run(self, command: Respond | None = None) -> list[Report]:
        """To its end; afterwards no provider is at work."""
        async with asyncio.timeout(LONGEST_S):
            await self._responder.respond(command or Respond("resp_1", PROMPT), self._format)
        assert (self.model.running, self.voice.running) == (0, 0)
        return self.reports

    def _report(self, report: Report) -> None:
        self.reports.append(report)
        self.times.append(now_s())


async def test_words_are_reported_as_thought_and_sound_as_spoken() -> None:
    model = FakeModel(["Good morning,", " dear caller.", TokensUsed(20, 4)])
    assert await Answer(model).run() == [
        TextMade("resp_1", "Good morning,"),
        TextMade("resp_1", " dear caller."),
        TextEnded("resp_1"),
        AudioMade("resp_1", WORD, "Good morning,", (WordTime("Good", 0), WordTime("morning,", WORD_MS))),
        AudioMade("resp_1", WORD),
        AudioMade("resp_1", WORD, "dear caller.", (WordTime("dear", 0), WordTime("caller.", WORD_MS))),
        AudioMade("resp_1", WORD),
        Finished("resp_1", input_tokens=20, output_tokens=4),
    ]
    assert model.prompts == [PROMPT]


async def test_speech_begins_with_the_first_clause_while_the_model_still_thinks() -> None:
    answer = Answer(FakeModel(["Good morning. ", Wait(3.0), "How are you?"]))
    await answer.run()
    sounds = [at for at, r in zip(answer.times, answer.reports, strict=True) if isinstance(r, AudioMade)]
    began = answer.times[0]
    assert sounds[0] == began
    assert sounds[-1] - began == pytest.approx(3.0)
    assert answer.first_clauses == [began]


async def test_a_script_is_spoken_word_for_word_and_no_model_is_asked() -> None:
    answer = Answer()
    assert await answer.run(Respond("resp_1", PROMPT, script="Hello. Bye.")) == [
        TextMade("resp_1", "Hello. Bye."),
        AudioMade("resp_1", WORD, "Hello. Bye.", (WordTime("Hello.", 0), WordTime("Bye.", WORD_MS))),
        AudioMade("resp_1", WORD),
        Finished("resp_1"),
    ]
    assert answer.model.prompts == []


async def test_an_answer_in_writing_needs_no_voice() -> None:
    words: list[Step] = [f"Sentence number {number}. " for number in range(2 * CLAUSES_AHEAD)]
    answer = Answer(FakeModel(words))
    written = await answer.run(Respond("resp_1", PROMPT, speaks=False))
    assert written == [
        *(TextMade("resp_1", str(word)) for word in words),
        TextEnded("resp_1"),
        Finished("resp_1"),
    ]
    assert answer.voice.asked == []


async def test_an_answer_without_words_is_a_whole_answer() -> None:
    asked = ToolRequest("call_1", "look_up", "{}")
    answer = Answer(FakeModel([asked]))
    assert await answer.run() == [ToolRequested("resp_1", "call_1", "look_up", "{}"), Finished("resp_1")]
    assert (answer.voice.clauses, answer.first_clauses) == ([], [])


async def test_sound_is_reported_in_the_sessions_format_to_its_last_sample() -> None:
    answer = Answer(FakeModel("Good morning to you."), FakeVoice(formats=(PCMU,)), format=PCM_24K)
    made = [r.audio for r in await answer.run() if isinstance(r, AudioMade)]
    assert answer.voice.asked == [(PCMU, "anna")]
    assert sum(map(len, made)) == PCM_24K.bytes_in(4 * WORD_MS)


async def test_the_recording_is_played_without_asking_anybody() -> None:
    answer = Answer()
    assert await answer.run(Respond("resp_1", PROMPT, script=APOLOGY_TEXT, is_recorded=True)) == [
        TextMade("resp_1", APOLOGY_TEXT),
        AudioMade("resp_1", apology(PCMU), APOLOGY_TEXT),
        Finished("resp_1"),
    ]
    assert (answer.model.prompts, answer.voice.asked) == ([], [])


@pytest.mark.parametrize("said_before", [[], ["Good morning to you. "]])
async def test_a_model_that_says_nothing_more_is_given_up(said_before: list[Step]) -> None:
    answer = Answer(FakeModel([*said_before, STALL]))
    began = now_s()
    failed = (await answer.run())[-1]
    assert failed == Failed("resp_1", "model_failed", f"fake-llm: no word for {MODEL_STALL_S:g} seconds")
    assert answer.times[-1] - began == pytest.approx(MODEL_STALL_S)


async def test_a_model_that_is_slow_but_steady_is_left_alone() -> None:
    steps: list[Step] = []
    for word in ("Well", " then", " let", " us", " see."):
        steps += [word, Wait(MODEL_STALL_S - 0.1)]
    assert isinstance((await Answer(FakeModel(steps)).run())[-1], Finished)


async def test_the_failure_of_a_model_is_told_and_the_voice_is_stopped() -> None:
    answer = Answer(FakeModel(["Good morning to you. ", failure("llm")]), FakeVoice({0: Wait(1.0)}))
    assert (await answer.run())[-1] == Failed("resp_1", "model_failed", "llm: is out of order")


@pytest.mark.parametrize("clause", [0, 1])
async def test_a_voice_that_makes_no_sound_is_given_up(clause: int) -> None:
    answer = Answer(FakeModel("Good morning to you. How are you?"), FakeVoice({clause: STALL}))
    began = now_s()
    message = f"fake-tts: no sound for {VOICE_STALL_S:g} seconds"
    assert (await answer.run())[-1] == Failed("resp_1", "voice_failed", message, is_voiceless=True)
    assert answer.times[-1] - began == pytest.approx(VOICE_STALL_S)


async def test_the_failure_of_a_voice_is_told_and_the_model_is_stopped() -> None:
    model = FakeModel(["Good morning to you. ", STALL])
    answer = Answer(model, FakeVoice({0: failure("tts")}))
    failed = (await answer.run())[-1]
    assert failed == Failed("resp_1", "voice_failed", "tts: is out of order", is_voiceless=True)


async def test_a_voice_without_a_clause_to_speak_owes_no_sound() -> None:
    pause_s = MODEL_STALL_S - 0.5
    assert pause_s > VOICE_STALL_S
    model = FakeModel([Wait(pause_s), "Good morning to you. ", Wait(pause_s), "How are you?", Wait(pause_s)])
    assert isinstance((await Answer(model).run())[-1], Finished)


async def test_a_voice_that_asks_ahead_still_owes_what_it_was_given() -> None:
    model = FakeModel(["Good morning to you. ", Wait(VOICE_STALL_S + 0.5), "How are you?"])
    failed = (await Answer(model, FakeVoice(asks_ahead=True)).run())[-1]
    assert isinstance(failed, Failed) and failed.is_voiceless


async def test_a_full_phone_holds_the_voice_and_the_voice_is_not_judged_for_it() -> None:
    async def slow_phone() -> None:
        await asyncio.sleep(5 * VOICE_STALL_S)

    answer = Answer(FakeModel("Good morning to you."), room=slow_phone)
    began = now_s()
    assert isinstance((await answer.run())[-1], Finished)
    assert answer.times[-1] - began == pytest.approx(4 * 5 * VOICE_STALL_S)


async def test_an_endless_answer_waits_for_the_voice() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    words: list[Step] = [f"Sentence number {number}. " for number in range(10 * CLAUSES_AHEAD)]
    answer = Answer(FakeModel(words), room=never)
    task = asyncio.create_task(answer.run())
    await asyncio.sleep(30)
    thought = sum(isinstance(r, TextMade) for r in answer.reports)
    assert thought <= CLAUSES_AHEAD + 4, "the queue, one in the voice, one waiting, and what the cutter holds"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelling_closes_both_providers_and_reports_nothing_more() -> None:
    answer = Answer(FakeModel(["Good morning to you. ", STALL]), FakeVoice({0: Wait(1.0)}))
    task = asyncio.create_task(answer.run())
    await asyncio.sleep(0.5)
    assert (answer.model.running, answer.voice.running) == (1, 1)
    before = list(answer.reports)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (answer.model.running, answer.voice.running) == (0, 0)
    await asyncio.sleep(10)
    assert answer.reports == before


async def test_a_fault_of_ours_is_not_taken_for_a_providers() -> None:
    answer = Answer(FakeModel([ZeroDivisionError("a bug")]))
    with pytest.raises(ExceptionGroup) as caught:
        await answer.run()
    assert caught.group_contains(ZeroDivisionError, match="a bug")
    assert answer.reports == []


async def test_a_voice_that_stops_before_it_has_said_everything_has_failed() -> None:
    words: list[Step] = [f"Sentence number {number}. " for number in range(3 * CLAUSES_AHEAD)]
    failed = (await Answer(FakeModel(words), FakeVoice(gives_up_after=1)).run())[-1]
    message = "fake-tts: stopped before it had said everything"
    assert failed == Failed("resp_1", "voice_failed", message, is_voiceless=True)


async def test_a_provider_error_names_its_provider() -> None:
    async with aclosing(FakeModel([failure("llm")]).respond(PROMPT)) as outputs:
        with pytest.raises(ProviderError, match="^llm: is out of order$") as caught:
            await anext(outputs)
    assert (caught.value.provider, caught.value.retryable) == ("llm", False)


async def test_an_answer_may_have_a_format_a_voice_and_a_pace_of_its_own() -> None:
    answer = Answer(FakeModel("Hello."), FakeVoice(formats=(PCMU, PCM_24K)))
    reports = await answer.run(Respond("resp_1", PROMPT, format=PCM_24K, voice="eve", speed=1.2))
    assert (answer.voice.asked, answer.voice.speeds) == ([(PCM_24K, "eve")], [1.2])
    assert [len(r.audio) for r in reports if isinstance(r, AudioMade)] == [PCM_24K.bytes_in(WORD_MS)]


async def test_a_recording_is_played_in_the_format_that_is_asked_for() -> None:
    command = Respond("resp_1", PROMPT, script=APOLOGY_TEXT, is_recorded=True, format=PCM_24K)
    assert (await Answer().run(command))[1] == AudioMade("resp_1", apology(PCM_24K), APOLOGY_TEXT)


async def test_a_model_that_is_cut_off_has_its_words_spoken_and_its_tokens_counted() -> None:
    model = FakeModel(["Good morning", CutOff("max_output_tokens"), TokensUsed(20, 4, 12)])
    answer = Answer(model)
    assert (await answer.run())[-1] == Finished("resp_1", 20, 4, 12, "max_output_tokens")
    assert answer.voice.clauses == ["Good morning"]


class Choir:
    """A voice that knows which names it has."""

    name = "fake-choir"
    formats: tuple[AudioFormat, ...] = (PCMU,)

    def __init__(self, *names: str) -> None:
        self.inner = FakeVoice()
        self.speak = self.inner.speak
        self._names = names

    async def knows(self, voice: str) -> bool:
        return voice in self._names


async def test_a_voice_that_the_provider_does_not_have_is_replaced_by_our_own_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    choir = Choir("eve")
    responder = Responder(
        Cascade(FakeTranscriber(), FakeModel(*["Hello."] * 5), choir, "anna"), lambda _: None, no_wait, lambda: None
    )
    for voice in ("eve", "marin", "marin", "anna", None):
        await responder.respond(Respond("resp_1", PROMPT, voice=voice), PCMU)
    assert [name for _, name in choir.inner.asked] == ["eve", "anna", "anna", "anna", "anna"]
    assert [r.message for r in caplog.records] == ["fake-choir has no voice 'marin'; speaking with 'anna'"]


async def test_an_answer_goes_through_whatever_fails_and_is_reported_once() -> None:
    """The model breaks off, then the voice: the spares say the rest, and the broken request runs no tool."""
    reports: list[Report] = []
    asked = ToolRequest("call_1", "look_up", "{}")
    model, spare_model = (
        FakeModel(["As we all say, ", asked, failure()]),
        FakeModel(["dear caller.", TokensUsed(9, 2)]),
    )
    voice, spare_voice = FakeVoice({1: failure()}), FakeVoice()
    transcribers = FakeTranscriber(), FakeTranscriber()
    cascade = Cascade(
        transcribers[0],
        model,
        voice,
        "anna",
        spare_transcribers=transcribers[1:],
        spare_models=(spare_model,),
        spare_voices=(SpareVoice(spare_voice, "eve"),),
    )
    assert cascade.transcribers == transcribers
    responder = Responder(cascade, reports.append, no_wait, lambda: None)
    await responder.respond(Respond("resp_1", PROMPT), PCMU)
    assert "".join(r.text for r in reports if isinstance(r, TextMade)) == "As we all say, dear caller."
    spoken = [r for r in reports if isinstance(r, AudioMade)]
    assert [r.text for r in spoken if r.text] == ["As we all say,", "dear caller."]
    assert b"".join(r.audio for r in spoken) == 6 * WORD
    assert reports[-1] == Finished("resp_1", 9, 2) and not any(isinstance(r, ToolRequested) for r in reports)
    assert (voice.asked, spare_voice.asked) == ([(PCMU, "anna")], [(PCMU, "eve")])
    assert [each.running for each in (model, spare_model, voice, spare_voice)] == [0, 0, 0, 0]


async def test_every_answer_earns_budget_for_second_requests() -> None:
    """Two at the beginning, and one more for every five answers."""
    stalled: list[Step] = [STALL]
    model = FakeModel(stalled, "1", stalled, "2", *["3", "4"], stalled, "5", stalled)
    reports: list[Report] = []
    cascade = Cascade(FakeTranscriber(), model, FakeVoice(), hedges=True)
    responder = Responder(cascade, reports.append, no_wait, lambda: None)
    for _ in range(6):
        await responder.respond(Respond("resp_1", PROMPT, speaks=False), PCMU)
    ends = [isinstance(r, Finished) for r in reports if isinstance(r, Finished | Failed)]
    assert ends == [True] * 5 + [False]


async def test_a_long_sound_is_reported_in_several() -> None:
    class Endless:
        name = "endless"
        formats: tuple[AudioFormat, ...] = (PCMU,)

        async def speak(
            self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
        ) -> AsyncGenerator[Speech, None]:
            async for clause in clauses:
                yield Speech(WORD * 5, clause)

    reports: list[Report] = []
    responder = Responder(
        Cascade(FakeTranscriber(), FakeModel("Hello."), Endless()), reports.append, no_wait, lambda: None
    )
    await responder.respond(Respond("resp_1", PROMPT), PCMU)
    made = [(len(r.audio), r.text) for r in reports if isinstance(r, AudioMade)]
    assert made == [(2 * len(WORD), "Hello."), (2 * len(WORD), ""), (len(WORD), "")]
