"""Whole turns of an engine with scripted providers, on the clock that jumps: every moment is exact."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import pytest

from pipeline.audio.apology import apology
from pipeline.audio.formats import PCM_8K, PCM_16K, PCMU, AudioFormat
from pipeline.call_controls import CallControls
from pipeline.commands import HangUp
from pipeline.engine import KEEP_UP_S, MOST_BEHIND_MS, Engine
from pipeline.events.config import SemanticVad, ServerVad
from pipeline.events.conversation import ConversationItemTruncated, TranscriptionFailedEvent
from pipeline.events.event import ServerEvent
from pipeline.events.input_audio import (
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    SpeechStarted,
    SpeechStopped,
)
from pipeline.events.response import (
    OutputAudioDelta,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
)
from pipeline.events.session import SessionUpdate
from pipeline.observations import CutShort, Interrupted, ProviderTimed, ToolTimed, TurnTimed
from pipeline.provider import FunctionTool, ToolRequest
from pipeline.reports import DigitPressed, Played
from pipeline.responder import MODEL_STALL_S, VOICE_STALL_S, Cascade
from pipeline.toolbox import TOOL_LIMIT_S, Tool, Toolbox, ToolResult
from pipeline.transcriptions import PIECE_MS, STALL_PER_S, TRANSCRIPT_STALL_S, UTTERANCE_BACKLOG
from pipeline.turn import semantic_vad
from pipeline.turn.end_of_turn import EndOfTurn
from tests.fakes import (
    STALL,
    VOICE_BYTE,
    WORD_MS,
    FakeActivity,
    FakeModel,
    FakePhone,
    FakeTranscriber,
    FakeVoice,
    Wait,
    failure,
)
from tests.pipeline.phone_call import APOLOGY, PHONE_CONFIG, phone_call
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s, settle

pytestmark = pytest.mark.anyio

TEN_WORDS = "One two three four five six seven eight nine ten."


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


async def test_a_question_is_heard_understood_thought_about_and_answered() -> None:
    transcriber = FakeTranscriber(["hello", Wait(0.3), "hello there"])
    model = FakeModel([Wait(0.4), "Good morning to you.", " How are you?"])
    async with phone_call(transcriber=transcriber, model=model, voice=FakeVoice({0: Wait(0.25)})) as call:
        await call.utter()
        await call.wait(3_000)
        assert call.phone.kinds == [
            "SessionCreated",
            "ConversationCreated",
            "SpeechStarted",
            "SpeechStopped",
            "InputAudioBufferCommitted",
            "ConversationItemAdded",
            "ConversationItemDone",
            "TranscriptionDelta",
            "TranscriptionCompleted",
            "ResponseCreated",
            "OutputItemAdded",
            "ConversationItemAdded",
            "ContentPartAdded",
            "TranscriptDelta",
            "OutputAudioDelta",
            "OutputAudioBufferStarted",
            "OutputAudioDelta",
            "OutputAudioDone",
            "TranscriptDone",
            "ContentPartDone",
            "ConversationItemDone",
            "OutputItemDone",
            "ResponseDone",
            "OutputAudioBufferStopped",
        ]
        assert call.said == [("user", "hello there"), ("assistant", "Good morning to you. How are you?")]
        assert call.voice.clauses == ["Good morning to you.", "How are you?"]
        assert call.phone.position == PCMU.bytes_in(7 * WORD_MS)
        assert [p.items[-1] for p in model.prompts] == [call.session.conversation.items[0]]
        assert (transcriber.asked, call.voice.asked) == ([(PCMU, "en-US")], [(PCMU, "anna")])


async def test_the_stages_of_a_turn_are_timed_without_gaps() -> None:
    transcriber = FakeTranscriber([Wait(0.3), "hello"])
    model = FakeModel([Wait(0.4), "Good morning to you. Yes?"])
    async with phone_call(transcriber=transcriber, model=model, voice=FakeVoice({0: Wait(0.25)})) as call:
        await call.utter()
        await call.wait(3_000)
        (timed,) = call.seen(TurnTimed)
        assert timed.seconds == pytest.approx({"stt": 0.3, "llm": 0.4, "tts": 0.25})
        (decided,), (sounded, *_) = call.seen_at(SpeechStopped), call.seen_at(OutputAudioDelta)
        assert sounded - decided == pytest.approx(sum(timed.seconds.values()))
        # The voice ended after 640 ms; the turn ends with the window in which 500 ms of silence are full.
        assert timed.audio_end_ms - 640 == pytest.approx(timed.silence_s * 1000, abs=FRAME_AND_WINDOW_MS)
        assert timed.silence_s >= 0.5
        providers = {t.kind: (t.provider, t.error, round(t.seconds, 6)) for t in call.seen(ProviderTimed)}
        assert providers == {
            "stt": ("fake-stt", None, 0.3),
            "llm": ("fake-llm", None, 0.4),
            "tts": ("fake-tts", None, 0.25),
        }


FRAME_AND_WINDOW_MS = 52


async def test_a_greeting_is_spoken_word_for_word_and_no_model_is_asked() -> None:
    async with phone_call(greeting="Hello, this is the front desk. How can I help?") as call:
        await call.wait(4_000)
        assert call.said == [("assistant", "Hello, this is the front desk. How can I help?")]
        assert call.model.prompts == []
        assert call.phone.position == PCMU.bytes_in(10 * WORD_MS)


async def test_barge_in_stops_the_voice_and_the_phone_before_any_later_event_is_sent() -> None:
    async with phone_call(greeting=TEN_WORDS) as call:
        await call.wait(700)
        assert call.voice.running == 1, "it still speaks: the phone takes no more than it can play soon"
        await call.speak(200)
        assert call.providers_running == (1, 0, 0)
        told = call.phone.told
        flushed = told.index("flush")
        assert [type(e) for e in told[flushed:] if not isinstance(e, str)][:1] == [SpeechStarted]
        assert not [e for e in told[flushed:] if isinstance(e, OutputAudioDelta)]
        (done,) = [e.response for e in told[flushed:] if isinstance(e, ResponseDone)]
        assert (done.status, done.status_details and done.status_details.reason) == ("cancelled", "turn_detected")


async def test_barge_in_ends_the_work_of_model_and_voice_at_once() -> None:
    model = FakeModel(["One two three four five. ", Wait(3), "Six seven eight nine ten."])
    async with phone_call(model=model) as call:
        call.engine.receive(ResponseCreate())
        await call.wait(300)
        assert call.providers_running == (0, 1, 1), "the model thinks, and the voice waits for its next clause"
        await call.speak(100)
        assert call.providers_running == (1, 0, 0)
        await call.wait(4_000)
        assert call.voice.clauses == ["One two three four five."]


async def test_the_conversation_keeps_the_words_that_were_heard_and_no_more() -> None:
    async with phone_call(greeting=TEN_WORDS) as call:
        await call.wait(700)
        await call.speak(200)
        (cut,) = [e for e in call.phone.told if isinstance(e, ConversationItemTruncated)]
        assert cut.audio_end_ms == PCMU.ms_in(call.phone.position)
        # A word has been heard when the next one begins.
        words = " ".join(TEN_WORDS.split()[: cut.audio_end_ms // WORD_MS])
        assert call.said == [("assistant", words)]
        assert call.seen(CutShort) == [CutShort("item_1", cut.audio_end_ms, words)]
        (interrupted,) = call.seen(Interrupted)
        assert 0 < interrupted.clear_after_s < 0.1
        await call.wait(2_000)
        assert call.phone.position == PCMU.bytes_in(cut.audio_end_ms), "not a sample more is played"


async def test_a_caller_who_speaks_again_while_being_transcribed_gets_one_answer() -> None:
    transcriber = FakeTranscriber([Wait(1.0), "I would like"], "a table")
    async with phone_call(transcriber=transcriber, model=FakeModel("For how many people?")) as call:
        await call.utter()
        await call.utter()
        await call.wait(3_000)
        assert call.said == [("user", "I would like"), ("user", "a table"), ("assistant", "For how many people?")]
        assert len(call.seen(ResponseDone)) == 1


async def test_a_model_that_stalls_is_given_up_and_the_caller_hears_an_apology() -> None:
    async with phone_call(transcriber=FakeTranscriber("hello"), model=FakeModel([STALL])) as call:
        await call.utter()
        await call.wait(6_000)
        created, done = call.seen_at(ResponseCreated), call.seen_at(ResponseDone)
        assert done[0] - created[0] == pytest.approx(MODEL_STALL_S)
        assert [d.response.status for d in call.seen(ResponseDone)] == ["failed", "completed"]
        assert call.said == [("user", "hello"), ("assistant", APOLOGY)]


async def test_a_voice_that_makes_no_sound_is_replaced_by_a_recording() -> None:
    voice = FakeVoice({0: STALL})
    async with phone_call(voice=voice, greeting="Hello and good morning.") as call:
        await call.wait(8_000)
        statuses = [d.response.status_details for d in call.seen(ResponseDone)]
        assert statuses[0] is not None and statuses[0].code == "voice_failed"
        assert call.seen_at(ResponseDone)[0] == pytest.approx(VOICE_STALL_S, abs=0.001)
        assert [e.delta for e in call.seen(OutputAudioDelta)] == [apology(PCMU)]
        assert call.said == [("assistant", ""), ("assistant", APOLOGY)], "words without sound were never said"


async def test_a_transcriber_that_stays_silent_is_given_up() -> None:
    async with phone_call(transcriber=FakeTranscriber([STALL])) as call:
        await call.utter()
        await call.wait(int(TRANSCRIPT_STALL_S * 1000) + 1_500)
        (stopped,), (failed,) = call.seen_at(SpeechStopped), call.seen_at(TranscriptionFailedEvent)
        assert failed - stopped == pytest.approx(TRANSCRIPT_STALL_S + STALL_PER_S * 0.04), "two frames came at once"
        assert call.said == [("user", ""), ("assistant", APOLOGY)]


@pytest.mark.parametrize(
    ("fault", "message"),
    [(failure("stt"), "stt: is out of order"), (ValueError("a bug"), "internal error")],
)
async def test_a_transcriber_that_fails_before_the_caller_is_done_costs_the_turn_only(
    fault: Exception, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    transcriber = FakeTranscriber([fault], ["can you hear me"], early=True)
    async with phone_call(transcriber=transcriber, model=FakeModel("Now I can.")) as call:
        await call.utter()
        assert [f.message for f in call.seen(TranscriptionFailedEvent)] == [message]
        await call.wait(2_000)
        await call.utter()
        await call.wait(2_000)
        assert call.said == [
            ("user", ""),
            ("assistant", APOLOGY),
            ("user", "can you hear me"),
            ("assistant", "Now I can."),
        ]
    assert ("by a fault of ours" in caplog.text) == (message == "internal error")


async def test_a_transcriber_that_knows_the_words_early_is_heard_when_the_turn_is_over() -> None:
    transcriber = FakeTranscriber("yes please", early=True)
    async with phone_call(transcriber=transcriber, model=FakeModel("With pleasure.")) as call:
        await call.speak(640)
        assert call.model.prompts == []
        await call.wait(3_000)
        assert call.said == [("user", "yes please"), ("assistant", "With pleasure.")]


async def test_a_transcriber_that_ends_without_a_word_is_a_failure_and_not_a_silence() -> None:
    async with phone_call(transcriber=FakeTranscriber([])) as call:
        await call.utter()
        await call.wait(2_000)
        assert call.said == [("user", ""), ("assistant", APOLOGY)]


async def test_a_transcriber_too_far_behind_gets_the_beginning_of_the_utterance() -> None:
    transcriber = FakeTranscriber("a long story", deaf_s=35)
    async with phone_call(transcriber=transcriber, model=FakeModel("I see.")) as call:
        await call.speak(40_000)
        assert len(transcriber.heard[0]) == pytest.approx(PCMU.bytes_in(UTTERANCE_BACKLOG * PIECE_MS), rel=0.05)
        await call.wait(2_000)
        assert call.said == [("user", "a long story"), ("assistant", "I see.")]


async def test_a_transcriber_that_never_listens_is_given_up_as_well() -> None:
    async with phone_call(transcriber=FakeTranscriber("too late", deaf_s=300)) as call:
        await call.speak(PIECE_MS * (UTTERANCE_BACKLOG + 20))
        await call.wait(int(TRANSCRIPT_STALL_S * 1000) + 3_000)
        assert call.said == [("user", ""), ("assistant", APOLOGY)]


async def test_what_is_committed_by_hand_is_transcribed_within_the_same_time() -> None:
    config = msgspec.structs.replace(PHONE_CONFIG, turn_detection=None)
    async with phone_call(config=config, transcriber=FakeTranscriber("hello", [STALL])) as call:
        await call.speak(400)
        call.engine.receive(InputAudioBufferCommit())
        await settle()
        assert call.said == [("user", "hello")]
        await call.speak(400)
        call.engine.receive(InputAudioBufferCommit())
        began = now_s()
        await asyncio.sleep(TRANSCRIPT_STALL_S + 1)
        assert call.seen_at(TranscriptionFailedEvent) == [
            pytest.approx(began + TRANSCRIPT_STALL_S + STALL_PER_S * 0.4)
        ]


async def test_the_transcriber_hears_the_whole_utterance_with_what_came_before_it() -> None:
    async with phone_call(transcriber=FakeTranscriber("hello")) as call:
        await call.wait(1_000)
        await call.utter()
        await call.wait(100)
        heard = call.transcriber.heard[0]
        before = heard.index(b"\x10")
        assert before == pytest.approx(PCMU.bytes_in(300), abs=PCMU.bytes_in(FRAME_AND_WINDOW_MS))
        assert heard.count(b"\x10") == PCMU.bytes_in(640)
        assert heard.strip(PCMU.silence).count(PCMU.silence) == 0


async def test_providers_get_and_give_the_formats_they_know() -> None:
    transcriber, voice = FakeTranscriber("hello", formats=(PCM_16K,)), FakeVoice(formats=(PCM_8K,))
    async with phone_call(transcriber=transcriber, model=FakeModel("Good morning."), voice=voice) as call:
        await call.utter()
        await call.wait(2_000)
        assert transcriber.asked[0][0] == PCM_16K and voice.asked[0][0] == PCM_8K
        heard_ms = PCM_16K.ms_in(PCM_16K.samples_in(transcriber.heard[0]))
        assert heard_ms == pytest.approx(640 + 500, abs=2 * FRAME_AND_WINDOW_MS)
        assert call.phone.position == PCMU.bytes_in(2 * WORD_MS)


async def test_sound_that_is_cleared_is_no_longer_transcribed() -> None:
    transcriber = FakeTranscriber("never mind", "hello")
    async with phone_call(transcriber=transcriber, model=FakeModel("Hello to you.")) as call:
        await call.speak(300)
        await call.wait(100)
        assert transcriber.running == 1
        call.engine.receive(InputAudioBufferClear())
        await settle()
        assert transcriber.running == 0
        await call.wait(1_000)
        assert call.said == []
        await call.utter()
        await call.wait(1_000)
        assert call.said == [("user", "hello"), ("assistant", "Hello to you.")]


async def test_clearing_an_utterance_whose_words_are_known_already_is_harmless() -> None:
    async with phone_call(transcriber=FakeTranscriber("too early", early=True)) as call:
        await call.speak(300)
        await call.wait(100)
        call.engine.receive(InputAudioBufferClear())
        await call.wait(1_000)
        assert call.said == []


def tool(name: str, *, takes_s: float = 0.0, ends_call: bool = False, result: str = '{"ok": true}') -> Tool:
    async def run(arguments: Mapping[str, Any], _controls: CallControls) -> ToolResult:
        await asyncio.sleep(takes_s)
        return ToolResult(result, ends_call)

    return Tool(FunctionTool(name), run)


async def test_a_function_is_run_and_its_result_answered() -> None:
    model = FakeModel([ToolRequest("call_1", "find_table", '{"for": 4}')], "There is one at eight.")
    tools = (tool("find_table", takes_s=0.7, result='{"at": "eight"}'),)
    async with phone_call(transcriber=FakeTranscriber("a table"), model=model, tools=tools) as call:
        await call.utter()
        await call.wait(4_000)
        (timed,) = call.seen(ToolTimed)
        assert (timed.name, timed.arguments, timed.output) == ("find_table", '{"for": 4}', '{"at": "eight"}')
        assert timed.seconds == pytest.approx(0.7)
        assert call.said == [
            ("user", "a table"),
            ("function", '{"at": "eight"}'),
            ("assistant", "There is one at eight."),
        ]
        (turn,) = call.seen(TurnTimed)
        assert turn.seconds["tool"] == pytest.approx(0.7)
        assert list(turn.seconds) == ["stt", "llm", "tool", "tts"]


async def test_a_function_may_run_without_a_turn_to_time() -> None:
    model = FakeModel([ToolRequest("call_1", "look", "")], "Nothing to be seen.")
    async with phone_call(model=model, tools=(tool("look"),)) as call:
        call.engine.receive(ResponseCreate())
        await call.wait(2_000)
        assert call.said == [("function", '{"ok": true}'), ("assistant", "Nothing to be seen.")]


async def test_a_function_that_hangs_is_answered_for() -> None:
    model = FakeModel([ToolRequest("call_1", "look", "{}")], "It takes too long.")
    async with phone_call(model=model, tools=(tool("look", takes_s=60),)) as call:
        call.engine.receive(ResponseCreate())
        await call.wait(9_000)
        (timed,) = call.seen(ToolTimed)
        assert timed.seconds == pytest.approx(TOOL_LIMIT_S)
        assert list(json.loads(timed.output)) == ["error"]
        assert ("assistant", "It takes too long.") in call.said


async def test_the_agent_hangs_up_when_its_last_word_was_heard() -> None:
    model = FakeModel(["Thank you and goodbye.", ToolRequest("call_1", "end_call", "{}")])
    tools = (tool("end_call", ends_call=True),)
    async with phone_call(transcriber=FakeTranscriber("bye"), model=model, tools=tools) as call:
        await call.utter()
        await call.wait(600)
        assert not call.running.done(), "four words take 800 ms"
        await call.wait(1_000)
        assert call.running.result() == HangUp("agent_hung_up")
        assert call.phone.position == PCMU.bytes_in(4 * WORD_MS)
        assert call.activity.ears[0].is_closed


async def test_a_caller_who_objects_to_a_farewell_goes_on_talking() -> None:
    model = FakeModel(["Thank you and goodbye.", ToolRequest("call_1", "end_call", "{}")], "Of course.")
    tools = (tool("end_call", ends_call=True),)
    transcriber = FakeTranscriber("bye", "wait one more thing")
    async with phone_call(transcriber=transcriber, model=model, tools=tools) as call:
        await call.utter()
        await call.wait(200)
        await call.utter()
        await call.wait(2_000)
        assert not call.running.done()
        assert call.said[-2:] == [("user", "wait one more thing"), ("assistant", "Of course.")]


async def test_what_was_not_heard_when_the_line_goes_dead_was_never_said() -> None:
    async with phone_call(greeting=TEN_WORDS) as call:
        await call.wait(1_000)
        position = call.phone.position
        call.engine.stop()
        call.engine.stop()
        await settle()
        assert call.running.done()
        assert call.phone.position == position
        assert call.said == [("assistant", " ".join(TEN_WORDS.split()[: 1_000 // WORD_MS]))]
        assert call.phone.told.count("flush") == 1
        assert [d.response.status for d in call.seen(ResponseDone)] == ["cancelled"]


async def test_an_answer_cut_off_by_the_end_between_two_clauses_keeps_what_was_heard() -> None:
    model = FakeModel(["We are open today. ", Wait(3), "And tomorrow."])
    async with phone_call(model=model) as call:
        call.engine.receive(ResponseCreate())
        await call.wait(2_000)
        call.engine.stop()
        await settle()
        assert call.said == [("assistant", "We are open")], "its last word has no successor to prove it"
        assert [d.response.status for d in call.seen(ResponseDone)] == ["cancelled"]


async def test_a_caller_who_hangs_up_with_the_last_word_is_not_hung_up_on() -> None:
    model = FakeModel(["Goodbye.", ToolRequest("call_1", "end_call", "{}")])
    async with phone_call(model=model, tools=(tool("end_call", ends_call=True),)) as call:
        call.engine.receive(ResponseCreate())
        await call.wait(100)
        assert call.session.phase.name == "ENDING"
        call.engine.stop()
        call.engine.report(Played(PCMU.bytes_in(WORD_MS)))
        await settle()
        assert call.running.done() and call.running.result() is None


async def test_an_utterance_under_way_ends_with_the_call() -> None:
    async with phone_call(transcriber=FakeTranscriber("hello")) as call:
        await call.speak(400)
        assert call.transcriber.running == 1
        call.engine.stop()
        await settle()
        assert call.running.done() and call.transcriber.running == 0


async def test_a_function_that_outlives_the_call_is_answered_by_nobody() -> None:
    model = FakeModel([ToolRequest("call_1", "book", "{}")], "You are booked.")
    async with phone_call(model=model, tools=(tool("book", takes_s=3),)) as call:
        call.engine.receive(ResponseCreate())
        await call.wait(1_000)
        call.engine.stop()
        await asyncio.sleep(10)
        assert call.running.done()
        assert len(model.prompts) == 1
        assert call.said == [("function", '{"ok": true}')], "it ran, and the conversation knows"


async def test_a_fault_of_ours_becomes_an_apology_and_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    async with phone_call(model=FakeModel([ZeroDivisionError("a bug")])) as call:
        call.engine.receive(ResponseCreate())
        await call.wait(2_000)
        (failed, _) = call.seen(ResponseDone)
        assert failed.response.status_details is not None
        assert failed.response.status_details.code == "internal_error"
        assert call.said == [("assistant", APOLOGY)]
    assert "response resp_1 failed by a fault of ours" in caplog.text


async def test_the_fourth_failure_in_a_row_ends_the_call_with_words() -> None:
    transcriber = FakeTranscriber(*([failure("stt")] for _ in range(4)))
    async with phone_call(transcriber=transcriber) as call:
        for _ in range(4):
            assert not call.running.done()
            await call.utter()
            await call.wait(2_000)
        assert call.running.result() == HangUp("provider_failed", farewell=APOLOGY)


async def test_a_key_stops_the_voice_and_a_later_word_has_not_interrupted() -> None:
    async with phone_call(greeting=TEN_WORDS, transcriber=FakeTranscriber("hello")) as call:
        await call.wait(500)
        call.engine.report(DigitPressed("1"))
        await call.wait(3_000)
        assert call.said[1] == ("user", "[keypad] 1")
        await call.utter()
        assert call.seen(Interrupted) == []


async def test_an_answer_goes_on_under_a_caller_who_may_not_interrupt() -> None:
    rule = ServerVad(interrupt_response=False)
    config = msgspec.structs.replace(PHONE_CONFIG, turn_detection=rule)
    transcriber, model = FakeTranscriber("hello"), FakeModel("I was just saying.")
    async with phone_call(greeting=TEN_WORDS, config=config, transcriber=transcriber, model=model) as call:
        await call.wait(300)
        await call.utter()
        await call.wait(4_000)
        assert call.said == [("assistant", TEN_WORDS), ("user", "hello"), ("assistant", "I was just saying.")]
        assert "flush" not in call.phone.told


async def test_a_client_that_plays_for_itself_is_never_flushed() -> None:
    async with phone_call(greeting=TEN_WORDS, phone=FakePhone(plays=False)) as call:
        began = now_s()
        await call.wait(100)
        assert [d.response.status for d in call.seen(ResponseDone)] == ["completed"], "it takes sound as it comes"
        assert call.seen_at(ResponseDone)[0] == pytest.approx(began, abs=0.001)
        call.engine.stop()
        await settle()
        assert "flush" not in call.phone.told


async def test_answers_out_of_band_run_beside_the_conversations() -> None:
    model = FakeModel([Wait(1.0), "I was first."], [Wait(0.3), "Aside."], [Wait(0.6), "Aside too."])
    async with phone_call(model=model, phone=FakePhone(plays=False)) as call:
        aside = ResponseCreate(
            is_out_of_band=True, config=msgspec.structs.replace(PHONE_CONFIG, output_modality="text")
        )
        for event in (ResponseCreate(), aside, aside):
            call.engine.receive(event)
        await settle()
        assert call.model.running == 3
        await call.wait(2_000)
        assert [d.response.id for d in call.seen(ResponseDone)] == ["resp_2", "resp_3", "resp_1"]
        assert call.seen_at(ResponseDone) == [pytest.approx(at_s, abs=0.01) for at_s in (0.3, 0.6, 1.0)]
        assert call.said == [("assistant", "I was first.")]
        assert call.voice.clauses == ["I was first."]


async def test_an_answer_out_of_band_goes_on_when_the_caller_cuts_in() -> None:
    model = FakeModel([STALL], [Wait(2.0), "Aside."])
    async with phone_call(model=model, phone=FakePhone(plays=False)) as call:
        call.engine.receive(ResponseCreate())
        call.engine.receive(ResponseCreate(is_out_of_band=True))
        await call.speak(200)
        assert call.model.running == 1
        await call.wait(3_000)
        assert [d.response.status for d in call.seen(ResponseDone)][:2] == ["cancelled", "completed"]


async def test_answers_that_are_cancelled_before_they_begin_leave_nothing_behind() -> None:
    async with phone_call(model=FakeModel([STALL])) as call:
        call.engine.receive(ResponseCreate())
        call.engine.receive(ResponseCancel())
        await settle()
        assert (call.model.prompts, call.engine._answers) == ([], {})


async def test_an_answer_is_spoken_in_the_format_there_was_when_it_was_asked_for() -> None:
    voice = FakeVoice(formats=(PCMU, PCM_16K))
    async with phone_call(model=FakeModel("Hello.", "Again."), voice=voice, phone=FakePhone(plays=False)) as call:
        call.engine.receive(ResponseCreate())
        call.engine.receive(SessionUpdate(session=msgspec.structs.replace(PHONE_CONFIG, output_format=PCM_16K)))
        await call.wait(100)
        call.engine.receive(ResponseCreate())
        await call.wait(100)
        assert [format for format, _ in voice.asked] == [PCMU, PCM_16K]
        lengths_ms = [call.session.ledger.kept_ms(item.id) for item in call.session.conversation.items]
        assert lengths_ms == [WORD_MS, WORD_MS]


async def test_the_caller_is_heard_in_the_format_that_was_asked_for_last() -> None:
    async with phone_call(phone=FakePhone(plays=False)) as call:
        wide = msgspec.structs.replace(PHONE_CONFIG, input_format=PCM_16K)
        for config in (PHONE_CONFIG, wide, wide):
            call.engine.receive(SessionUpdate(session=config))
        assert call.activity.formats == [PCMU, PCM_16K]
        assert [ear.is_closed for ear in call.activity.ears] == [True, False]


async def test_nobody_looks_for_turns_where_the_peer_commits_and_later_they_are_found_at_their_place() -> None:
    manual = msgspec.structs.replace(PHONE_CONFIG, turn_detection=None)
    async with phone_call(config=manual, phone=FakePhone(plays=False)) as call:
        call.engine.receive(InputAudioBufferAppend(audio=spoken_ms(2_000)))
        assert call.activity.ears == []
        call.engine.receive(SessionUpdate(session=PHONE_CONFIG))
        quiet = PCMU.silence * PCMU.bytes_in(1_000)
        await call.engine.take_in(InputAudioBufferAppend(audio=quiet + spoken_ms(640) + quiet))
        (started,) = call.seen(SpeechStarted)
        assert started.audio_start_ms == pytest.approx(3_000 - 300, abs=FRAME_AND_WINDOW_MS)
        call.engine.receive(SessionUpdate(session=manual))
        assert [ear.is_closed for ear in call.activity.ears] == [True]


async def test_whoever_watches_is_told_what_the_transport_is_told_until_it_leaves() -> None:
    async with phone_call() as call:
        one, two = list[ServerEvent](), list[ServerEvent]()

        def leaves(event: ServerEvent) -> None:
            one.append(event)
            call.engine.unwatch(leaves)

        before = len(call.phone.told)
        call.engine.watch(leaves)
        call.engine.watch(two.append)
        call.engine.receive(ResponseCancel())
        call.engine.receive(ResponseCancel())
        assert (one, two) == (two[:1], call.phone.told[before:])
        assert len(two) == 2


# Sound that comes faster than it was spoken


def spoken_ms(ms: int) -> bytes:
    return VOICE_BYTE * PCMU.bytes_in(ms)


async def test_a_whole_recording_at_once_has_its_turns_where_they_were_spoken() -> None:
    recording = (spoken_ms(640) + PCMU.silence * PCMU.bytes_in(1_000)) * 3
    transcriber = FakeTranscriber("one", "two", "three")
    phone = FakePhone(plays=False)
    async with phone_call(transcriber=transcriber, model=FakeModel("A.", "B.", "C."), phone=phone) as call:
        await call.engine.take_in(InputAudioBufferAppend(audio=recording))
        starts_ms = [e.audio_start_ms for e in call.seen(SpeechStarted)]
        assert starts_ms == [pytest.approx(at_ms, abs=FRAME_AND_WINDOW_MS) for at_ms in (0, 1_340, 2_980)]
        assert call.session.unjudged_ms <= MOST_BEHIND_MS
        assert not call.engine.is_behind
        assert len(call.seen(SpeechStopped)) == 3


async def test_sound_that_is_committed_by_hand_is_taken_in_at_once() -> None:
    config = msgspec.structs.replace(PHONE_CONFIG, turn_detection=None)
    async with phone_call(config=config, activity=FakeActivity(is_stuck=True)) as call:
        await call.engine.take_in(InputAudioBufferAppend(audio=spoken_ms(10_000)))
        assert now_s() == pytest.approx(0, abs=0.001)
        assert not call.engine.is_behind
        call.engine.receive(InputAudioBufferCommit())
        assert len(call.seen(SpeechStarted)) == 0
        assert call.said == [("user", "")]


async def test_an_overloaded_detector_holds_sound_back_for_a_moment_and_not_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with phone_call(activity=FakeActivity(is_stuck=True)) as call:
        await call.engine.take_in(InputAudioBufferAppend(audio=spoken_ms(10_000)))
        assert now_s() == pytest.approx(KEEP_UP_S, abs=0.001)
        assert call.session.unjudged_ms == 10_000
        assert call.engine.is_behind
    assert [r.message for r in caplog.records] == ["speech activity has not kept up for 2 s"]


async def test_a_session_that_ends_waits_for_no_detector(caplog: pytest.LogCaptureFixture) -> None:
    async with phone_call(activity=FakeActivity(is_stuck=True)) as call, asyncio.TaskGroup() as tasks:
        tasks.create_task(call.engine.take_in(InputAudioBufferAppend(audio=spoken_ms(10_000))))
        await asyncio.sleep(0.5)
        call.engine.stop()
        await settle()
        assert not call.engine.is_running
        assert call.session.unjudged_ms < 1_000, "the rest is heard by nobody"
    assert caplog.records == []


async def test_sound_that_is_refused_is_heard_by_nobody() -> None:
    config = msgspec.structs.replace(PHONE_CONFIG, turn_detection=None)
    async with phone_call(config=config, transcriber=FakeTranscriber("hello")) as call:
        call.engine.receive(InputAudioBufferAppend(audio=spoken_ms(400)))
        room = call.session._turns.listening.buffer.room_bytes
        call.engine.receive(InputAudioBufferAppend(audio=bytes(room + 1), event_id="mine"))
        call.engine.receive(InputAudioBufferCommit())
        await settle()
        assert [type(e).__name__ for e in call.phone.told[2:3]] == ["ErrorEvent"]
        assert call.transcriber.heard == [spoken_ms(400)]


# The end-of-turn model


@dataclass
class Listener:
    """An end-of-turn model that says what it is told to, after a while."""

    probability: float | None
    takes_s: float = 0.1
    fails: bool = False
    is_there: bool = True
    heard: list[tuple[int, AudioFormat]] = field(default_factory=list)

    async def judge(self, audio: bytes, format: AudioFormat) -> float | None:
        self.heard.append((len(audio), format))
        await asyncio.sleep(self.takes_s)
        if self.fails:
            raise ZeroDivisionError("a bug")
        return self.probability

    @property
    def as_model(self) -> EndOfTurn:
        """For the type checker: engines name the one real model, of which they use this much."""
        return cast("EndOfTurn", self)


SEMANTIC = msgspec.structs.replace(PHONE_CONFIG, turn_detection=SemanticVad())
WAITS_MS = semantic_vad.WAITS_MS["auto"]


@pytest.mark.parametrize(
    ("listener", "silence_ms"),
    [
        (Listener(0.9), WAITS_MS[semantic_vad.Wait.SOON]),
        (Listener(0.1), WAITS_MS[semantic_vad.Wait.LATE]),
        (Listener(None), WAITS_MS[semantic_vad.Wait.MIDDLE]),
        (Listener(0.9, fails=True), WAITS_MS[semantic_vad.Wait.MIDDLE]),
        (Listener(0.9, is_there=False), WAITS_MS[semantic_vad.Wait.MIDDLE]),
        (None, WAITS_MS[semantic_vad.Wait.MIDDLE]),
    ],
    ids=["complete", "incomplete", "unsure", "fault", "not there", "none"],
)
async def test_a_pause_that_sounds_finished_ends_the_turn_sooner(
    listener: Listener | None, silence_ms: int, caplog: pytest.LogCaptureFixture
) -> None:
    model = listener.as_model if listener else None
    async with phone_call(config=SEMANTIC, end_of_turn=model) as call:
        await call.speak(640)
        await call.wait(2_000)
        (stopped,) = call.seen(SpeechStopped)
        assert stopped.audio_end_ms == pytest.approx(640 + silence_ms, abs=FRAME_AND_WINDOW_MS)
    if listener is not None:
        assert [format for _, format in listener.heard] == [PCMU] * listener.is_there
        assert ("could not be judged by a fault of ours" in caplog.text) == listener.fails


async def test_a_judgement_that_comes_after_the_turn_changes_nothing() -> None:
    listener = Listener(0.1, takes_s=1.5)
    async with phone_call(config=SEMANTIC, end_of_turn=listener.as_model) as call:
        await call.speak(640)
        await call.wait(3_000)
        assert len(call.seen(SpeechStopped)) == len(listener.heard) == 1


async def test_an_engine_that_does_not_run_yet_has_no_ear() -> None:
    async with phone_call() as call:
        idle = Engine(
            call.session,
            Cascade(call.transcriber, call.model, call.voice),
            call.phone,
            activity=call.activity.as_service,
            toolbox=Toolbox(()),
            observe=lambda _: None,
            now=now_s,
        )
        idle.hear(PCMU.silence * 160)
        idle.receive(InputAudioBufferAppend(audio=PCMU.silence * 160))
        idle.report(Played(0))
        assert (idle.is_running, idle.session is call.session) == (False, True)
        assert len(call.activity.ears) == 1


async def test_a_session_that_wants_to_hang_up_twice_is_hung_up_on_once() -> None:
    async with phone_call() as call:
        call.engine._perform([HangUp("first"), HangUp("second")])
        await settle()
        assert call.running.result() == HangUp("first")
