"""Answers begun before the caller's turn is over, in whole calls on the clock that jumps: what is gained, what is
thrown away, and that nothing of it is heard or done before its time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import pytest

from pipeline.audio.formats import PCMU, AudioFormat
from pipeline.call_controls import CallControls
from pipeline.events.config import SemanticVad, ServerVad, SessionConfig
from pipeline.events.conversation import TranscriptionCompleted
from pipeline.events.input_audio import InputAudioBufferClear, SpeechStopped
from pipeline.events.response import OutputAudioDelta, ResponseCreate, ResponseCreated, ResponseDone
from pipeline.observations import Anticipated
from pipeline.provider import FunctionTool, ToolRequest, TranscriberSkills, Transcript, TurnSignal
from pipeline.toolbox import Tool, ToolResult
from pipeline.turn.early_end import EARLY_MS
from tests.fakes import FakeModel, FakeTranscriber, FakeVoice, Wait, failure
from tests.pipeline.phone_call import PHONE_CONFIG, PhoneCall, phone_call
from tests.virtual_time import VIRTUAL_TIME, VirtualTime

pytestmark = pytest.mark.anyio

FINAL_S, THINK_S, SPEAK_S = 0.15, 0.30, 0.12
MORNING = "Good morning to you."
FRAME_S = 0.02


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


@dataclass(frozen=True)
class Said:
    """One utterance as the transcriber hears it: after so many ms of its sound it thinks that; at last, `final`."""

    final: str
    partials: tuple[tuple[int, str, TurnSignal], ...] = ()
    final_s: float = FINAL_S


def known(text: str, final: str | None = None, *, at_ms: int = 200) -> Said:
    """All its words are known early."""
    return Said(text if final is None else final, ((at_ms, text, "going_on"),))


class Typist:
    """Understands while the caller speaks, and finds turns by itself."""

    name = "typist"
    formats = (PCMU,)
    skills = TranscriberSkills(has_partials=True, ends_turns=True)

    def __init__(self, *script: Said) -> None:
        self.running = 0
        self._script = deque(script)

    async def transcribe(
        self, audio: AsyncIterator[bytes], *, format: AudioFormat, language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        self.running += 1
        said = self._script.popleft()
        partials, heard = deque(said.partials), 0
        try:
            async for sound in audio:
                heard += len(sound)
                while partials and heard >= PCMU.bytes_in(partials[0][0]):
                    _, text, turn = partials.popleft()
                    yield Transcript(text, is_final=False, turn=turn)
            await asyncio.sleep(said.final_s)
            yield Transcript(said.final, is_final=True)
        finally:
            self.running -= 1


@asynccontextmanager
async def call_of(
    *said: Said,
    model: FakeModel,
    config: SessionConfig = PHONE_CONFIG,
    tools: tuple[Tool, ...] = (),
    voice: FakeVoice | None = None,
    anticipates: bool = True,
) -> AsyncGenerator[PhoneCall, None]:
    async with phone_call(
        transcriber=cast("FakeTranscriber", Typist(*said)),  # as far as a call uses it
        model=model,
        voice=voice or FakeVoice({0: Wait(SPEAK_S), 1: Wait(SPEAK_S)}),
        config=config,
        tools=tools,
        anticipates=anticipates,
    ) as call:
        yield call


def thinking(*script: Sequence[Any]) -> FakeModel:
    return FakeModel(*([Wait(THINK_S), *steps] for steps in script))


def asked(model: FakeModel) -> list[str]:
    """What the caller had said, of each request."""
    return [prompt.items[-1].text for prompt in model.prompts]  # type: ignore[union-attr]  # a caller's words


def outcomes(call: PhoneCall) -> list[Anticipated]:
    return call.seen(Anticipated)


def has_left_nothing(call: PhoneCall) -> bool:
    return call.providers_running == (0, 0, 0)


async def test_the_answer_is_there_when_the_turn_is_understood_and_looks_as_it_always_does() -> None:
    sounded: dict[bool, float] = {}
    kinds: dict[bool, list[str]] = {}
    for anticipates in (False, True):
        model = thinking([MORNING])
        async with call_of(known("hello there", "Hello there."), model=model, anticipates=anticipates) as call:
            await call.utter()
            await call.wait(3_000)
            (understood,), (first, *_) = call.seen_at(TranscriptionCompleted), call.seen_at(OutputAudioDelta)
            sounded[anticipates], kinds[anticipates] = first - understood, call.phone.kinds
            assert call.said == [("user", "Hello there."), ("assistant", MORNING)]
            assert len(model.prompts) == 1
            assert has_left_nothing(call)
    assert sounded[False] == pytest.approx(THINK_S + SPEAK_S)
    # It was begun 300 ms before the silence of the turn was full and was not quite ready when that was understood.
    head_start_s = (500 - EARLY_MS) / 1000 + FINAL_S
    assert sounded[True] == pytest.approx(max(0.0, THINK_S + SPEAK_S - head_start_s), abs=FRAME_S)
    assert kinds[True] == kinds[False]
    (kept,) = outcomes(call)
    assert kept.head_start_s == pytest.approx(head_start_s, abs=FRAME_S)
    assert kept.wasted_words == 0


async def test_nothing_is_told_of_an_answer_before_the_turn_is_over() -> None:
    async with call_of(known("hello there"), model=FakeModel([MORNING]), voice=FakeVoice()) as call:
        await call.speak(640)
        await call.wait(440)
        assert call.model.prompts, "it has been made"
        assert call.voice.clauses == [MORNING]
        assert not call.seen(ResponseCreated)
        assert not call.seen(OutputAudioDelta)
        assert call.said == []


async def test_an_answer_to_other_words_is_thrown_away() -> None:
    model = thinking(["We are open."], ["We are closed."])
    async with call_of(known("are you open", "are you open on sunday"), model=model) as call:
        await call.utter()
        await call.wait(3_000)
        assert asked(model) == ["are you open", "are you open on sunday"]
        assert call.said == [("user", "are you open on sunday"), ("assistant", "We are closed.")]
        assert outcomes(call) == [Anticipated(0.0, 3)]
        assert has_left_nothing(call)


async def test_who_speaks_on_takes_the_guess_back_and_is_guessed_at_anew() -> None:
    model = thinking(["Open when?"], ["Not on Sunday."])
    said = Said(
        "are you open on sunday", ((200, "are you open", "going_on"), (900, "are you open on sunday", "going_on"))
    )
    async with call_of(said, model=model) as call:
        await call.speak(400)
        await call.wait(300)
        assert asked(model) == ["are you open"]
        await call.speak(400)
        assert model.running == 0, "it is broken off as soon as the voice is back"
        await call.wait(3_000)
        assert asked(model) == ["are you open", "are you open on sunday"]
        assert call.said == [("user", "are you open on sunday"), ("assistant", "Not on Sunday.")]
        assert [one.head_start_s > 0 for one in outcomes(call)] == [False, True]


@dataclass
class Counted:
    """A tool that counts how often it is run."""

    runs: int = 0

    async def __call__(self, arguments: Mapping[str, Any], controls: CallControls) -> ToolResult:
        self.runs += 1
        return ToolResult('{"ok": true}')


def tool(run: Counted) -> Tool:
    return Tool(FunctionTool("transfer"), run)


ASKED = ToolRequest("call_1", "transfer", "{}")
WITH_TOOL = msgspec.structs.replace(PHONE_CONFIG, tools=(FunctionTool("transfer"),))


async def test_a_function_that_an_abandoned_answer_has_asked_for_is_never_run() -> None:
    run = Counted()
    model = FakeModel(["One moment. ", ASKED], [MORNING])
    said = Said("transfer me no wait", ((200, "transfer me", "going_on"), (900, "transfer me no wait", "going_on")))
    async with call_of(said, model=model, config=WITH_TOOL, tools=(tool(run),)) as call:
        await call.speak(400)
        await call.wait(360)
        assert (len(model.prompts), model.running) == (1, 0), "the answer is made, the function asked for"
        await call.speak(400)
        await call.wait(3_000)
        assert call.said == [("user", "transfer me no wait"), ("assistant", MORNING)]
    assert run.runs == 0


async def test_a_function_that_a_kept_answer_has_asked_for_is_run_once_the_turn_is_over() -> None:
    run = Counted()
    model = FakeModel(["One moment. ", ASKED], [MORNING])
    async with call_of(known("transfer me"), model=model, config=WITH_TOOL, tools=(tool(run),)) as call:
        await call.speak(640)
        await call.wait(480)
        assert (len(model.prompts), run.runs) == (1, 0)
        await call.wait(3_000)
        assert [kind for kind, _ in call.said] == ["user", "assistant", "function", "assistant"]
    assert run.runs == 1


async def test_a_guess_that_failed_is_answered_afresh() -> None:
    model = FakeModel([failure()], [MORNING])
    async with call_of(known("hello there"), model=model) as call:
        await call.utter()
        await call.wait(3_000)
        assert call.said == [("user", "hello there"), ("assistant", MORNING)]
        assert [done.response.status for done in call.seen(ResponseDone)] == ["completed"]


async def test_a_caller_who_cuts_into_an_anticipated_answer_stops_it() -> None:
    long = "One two three four five six seven eight nine ten. " * 4
    async with call_of(known("hello there"), Said("stop"), model=FakeModel([long], [MORNING])) as call:
        await call.utter()
        await call.wait(400)
        assert call.seen(OutputAudioDelta)
        await call.utter()
        assert [done.response.status for done in call.seen(ResponseDone)] == ["cancelled"]
        await call.wait(3_000)
        assert call.said[-1] == ("assistant", MORNING)
        assert has_left_nothing(call)


SEMANTIC = msgspec.structs.replace(PHONE_CONFIG, turn_detection=SemanticVad())


async def test_where_words_end_turns_the_wait_for_more_of_them_is_used_too() -> None:
    # "I would like to" is no end of a sentence, so the wait is long; the answer to it is made meanwhile.
    model = thinking(["What would you like?"])
    async with call_of(known("i would like to"), model=model, config=SEMANTIC) as call:
        await call.speak(640)
        await call.wait(6_000)
        (understood,), (first, *_) = call.seen_at(TranscriptionCompleted), call.seen_at(OutputAudioDelta)
        assert first == pytest.approx(understood, abs=FRAME_S)
        assert len(model.prompts) == 1


def signalled(*signals: tuple[int, TurnSignal], final: str = "hello there") -> Said:
    return Said(final, tuple((at_ms, "hello there", signal) for at_ms, signal in signals))


async def test_a_hint_of_the_transcriber_is_as_good_as_a_silence() -> None:
    model = thinking([MORNING])
    async with call_of(signalled((600, "may_be_over")), model=model) as call:
        await call.speak(640)
        await call.wait(60)
        assert asked(model) == ["hello there"]
        await call.wait(3_000)
        assert len(model.prompts) == 1


async def test_a_hint_that_is_taken_back_breaks_the_answer_off() -> None:
    model = thinking([MORNING], [MORNING])
    async with call_of(signalled((400, "may_be_over"), (500, "resumed")), model=model) as call:
        await call.speak(460)
        assert model.running == 1
        await call.speak(180)
        assert (model.running, outcomes(call)) == (0, [Anticipated(0.0, 0)])
        await call.wait(3_000)
        assert call.said == [("user", "hello there"), ("assistant", MORNING)]


async def test_taking_back_what_was_never_hinted_does_nothing() -> None:
    model = thinking([MORNING])
    async with call_of(signalled((400, "resumed")), model=model) as call:
        await call.utter()
        await call.wait(3_000)
        assert len(model.prompts) == 1
        assert [one.head_start_s > 0 for one in outcomes(call)] == [True]


async def test_the_transcribers_end_of_a_turn_ends_it_where_words_do_and_finds_the_answer_begun() -> None:
    model = thinking([MORNING])
    said = signalled((640, "may_be_over"), (840, "over"))
    async with call_of(said, model=model, config=SEMANTIC) as call:
        await call.speak(640)
        await call.wait(3_000)
        (stopped,) = call.seen(SpeechStopped)
        assert stopped.audio_end_ms < 640 + 400, "no rule of ours would have ended it so soon"
        assert len(model.prompts) == 1
        assert outcomes(call)[0].head_start_s == pytest.approx(0.2 + FINAL_S, abs=2 * FRAME_S)


async def test_a_silence_that_the_peer_asked_for_is_waited_for_whatever_the_transcriber_says() -> None:
    model = thinking([MORNING])
    async with call_of(signalled((640, "over")), model=model) as call:
        await call.speak(640)
        await call.wait(3_000)
        (stopped,) = call.seen(SpeechStopped)
        assert stopped.audio_end_ms >= 640 + 500
        assert outcomes(call)[0].head_start_s == pytest.approx(0.5 + FINAL_S, abs=2 * FRAME_S)


async def test_without_anticipation_the_signals_begin_nothing() -> None:
    model = thinking([MORNING])
    said = signalled((400, "may_be_over"), (500, "resumed"))
    async with call_of(said, model=model, anticipates=False) as call:
        await call.speak(640)
        await call.wait(480)
        assert model.prompts == []
        await call.wait(3_000)
        assert (len(model.prompts), outcomes(call)) == (1, [])


async def test_nothing_is_begun_for_a_peer_that_asks_for_its_answers_by_itself() -> None:
    config = msgspec.structs.replace(PHONE_CONFIG, turn_detection=ServerVad(create_response=False))
    async with call_of(known("hello there"), model=thinking([MORNING]), config=config) as call:
        await call.utter()
        await call.wait(1_000)
        assert call.model.prompts == []


async def test_a_cleared_buffer_takes_the_guess_along() -> None:
    async with call_of(known("hello there"), model=thinking([MORNING])) as call:
        await call.speak(640)
        await call.wait(300)
        assert call.model.running == 1
        call.engine.receive(InputAudioBufferClear())
        await call.wait(40)
        assert (call.model.running, outcomes(call)) == (0, [Anticipated(0.0, 0)])
        await call.wait(1_000)
        assert call.said == []


async def test_while_earlier_words_are_awaited_nobody_guesses_and_then_they_do() -> None:
    model = thinking([MORNING])
    async with call_of(Said("my name is", final_s=0.8), known("anna"), model=model) as call:
        await call.speak(640)
        await call.wait(520)  # that turn is over, its words are not there
        await call.speak(400)
        await call.wait(300)
        assert model.prompts == []
        await call.wait(140)
        assert asked(model) == ["anna"]
        await call.wait(3_000)
        assert call.said == [("user", "my name is"), ("user", "anna"), ("assistant", MORNING)]
        assert len(model.prompts) == 1


TEXT = msgspec.structs.replace(PHONE_CONFIG, output_modality="text")


async def test_an_answer_aside_leaves_the_guess_alone() -> None:
    model = FakeModel([Wait(THINK_S), MORNING], ["Aside."])
    async with call_of(known("hello there"), model=model) as call:
        await call.speak(640)
        await call.wait(300)
        call.engine.receive(ResponseCreate(is_out_of_band=True, config=TEXT))
        await call.wait(3_000)
        assert len(model.prompts) == 2
        assert [one.head_start_s > 0 for one in outcomes(call)] == [True]
