"""A caller who is kept waiting hears so: in the session's order of events, and at the right moment in a call."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.agent_tools import BuiltInTool
from pipeline.audio.formats import PCMU
from pipeline.call_controls import CallControls
from pipeline.events.items import Message
from pipeline.events.response import OutputAudioDelta, ResponseCreate
from pipeline.observations import FillerPlayed, ToolNoted, ToolTimed
from pipeline.patience import FIRST_WAIT_S, NEXT_WAIT_S
from pipeline.phrasebook import Phrasebook
from pipeline.provider import FunctionTool, ToolRequest
from pipeline.reports import DigitPressed, Finished, Flushed, Played, ToolRequested, ToolReturned, Transcribed
from pipeline.session import Session
from pipeline.toolbox import Tool, ToolResult
from pipeline.tools.built_in import built_in_tool
from tests.fakes import STALL, FakeModel, FakeTranscriber, FakeVoice, Wait
from tests.pipeline.feeding import CONFIG, audio, feed, greeted, line, session, text, turn, voice
from tests.pipeline.phone_call import phone_call
from tests.virtual_time import VIRTUAL_TIME, VirtualTime

SILENCE_S = 0.5
"""What ends a turn in these calls."""


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


def waits(talk: Session) -> bool:
    return talk.is_keeping_waiting


def names(outputs: object) -> list[str]:
    assert isinstance(outputs, list)
    return [type(output).__name__ for output in outputs]


def test_a_phrase_is_an_item_of_its_own_in_the_answer_under_way() -> None:
    talk = session()
    feed(talk, ResponseCreate())
    assert waits(talk)
    assert names(talk.fill("One moment.", voice(800))) == [
        "OutputItemAdded",
        "ConversationItemAdded",
        "ContentPartAdded",
        "TranscriptDelta",
        "OutputAudioDelta",
        "OutputAudioDelta",
        "OutputAudioDone",
        "TranscriptDone",
        "ContentPartDone",
        "ConversationItemDone",
        "OutputItemDone",
    ]
    assert not waits(talk), "it is being heard"
    assert talk.fill("Again.", voice(200)) == []
    feed(talk, text(1, "Here you are."), audio(1, 400, "Here you are."), Finished("resp_1"))
    assert [item.text for item in talk.conversation.items if isinstance(item, Message)] == [
        "One moment.",
        "Here you are.",
    ]


def test_a_caller_who_cuts_into_a_phrase_has_heard_a_part_of_it() -> None:
    talk = session()
    feed(talk, ResponseCreate())
    talk.fill("One moment please.", voice(900))
    begins, _ = turn(0)
    feed(talk, Played(2_400), *begins, Flushed(2_400))
    (item,) = (item for item in talk.conversation.items if isinstance(item, Message))
    assert item.text in ("", "One")


def test_without_an_answer_under_way_a_phrase_is_an_answer_of_its_own() -> None:
    talk = session(own_tools=frozenset({"find_table"}))
    feed(talk, ResponseCreate(), ToolRequested("resp_1", "call_1", "find_table", "{}"), Finished("resp_1"))
    assert waits(talk)
    outputs = names(talk.fill("One moment.", voice(400)))
    assert (outputs[0], outputs[-1], outputs.count("OutputAudioDelta")) == ("ResponseCreated", "ResponseDone", 1)
    assert "Respond" in names(feed(talk, ToolReturned("call_1", "{}")))


def test_in_the_middle_of_an_answer_a_phrase_is_heard_and_told_in_no_words() -> None:
    talk = session()
    feed(talk, ResponseCreate(), text(1, "Well,"))
    assert names(talk.fill("One moment.", voice(400))) == ["OutputAudioDelta"]
    feed(talk, audio(1, 400, "Well,"), Finished("resp_1"), Played(6_400))
    (item,) = (item for item in talk.conversation.items if isinstance(item, Message))
    assert item.text == "Well,"


def test_nobody_is_kept_waiting_who_speaks_or_by_an_answer_of_text() -> None:
    talk = session()
    assert not waits(talk)
    assert talk.fill("One moment.", voice(400)) == []
    begins, ends = turn(0)
    feed(talk, *begins)
    assert not waits(talk)
    feed(talk, *ends)
    assert waits(talk), "words are being understood"
    feed(talk, Transcribed("item_1", "hello", is_final=True))
    assert waits(talk), "an answer is thought of"
    written = session(msgspec.structs.replace(CONFIG, output_modality="text"))
    feed(written, ResponseCreate())
    assert not waits(written)


def test_sound_that_says_nothing_can_be_played_while_nobody_speaks() -> None:
    talk = greeted()
    feed(talk, Finished("resp_1"), Played(6_400))
    outputs = names(talk.play(voice(400)))
    assert outputs[0] == "ResponseCreated"
    begins, _ = turn(0)
    feed(talk, *begins)
    assert talk.play(voice(400)) == []


def test_a_result_that_wants_no_answer_gets_none() -> None:
    talk = session(own_tools=frozenset({"find_table"}))
    feed(talk, ResponseCreate(), ToolRequested("resp_1", "call_1", "find_table", "{}"), Finished("resp_1"))
    assert "Respond" not in names(feed(talk, ToolReturned("call_1", "{}", wants_answer=False)))
    assert not waits(talk)


def test_a_transfer_follows_the_last_word() -> None:
    talk = session(own_tools=frozenset({"find_table"}))
    feed(talk, ResponseCreate(), text(1, "Bye."), audio(1, 400, "Bye."))
    feed(talk, ToolRequested("resp_1", "call_1", "find_table", "{}"), Finished("resp_1"))
    assert "HangUp" not in names(feed(talk, ToolReturned("call_1", "{}", ends_call=True, transfer_to="+491234567")))
    (hang_up,) = (output for output in feed(talk, Played(3_200)) if type(output).__name__ == "HangUp")
    assert (hang_up.reason, hang_up.transfer_to) == ("transferred", "+491234567")  # type: ignore[union-attr]


def test_a_collected_key_is_no_entry_but_interrupts() -> None:
    talk = greeted()
    assert "Flush" in names(feed(talk, DigitPressed("4", is_collected=True)))
    feed(talk, Flushed(0))
    assert names(feed(talk, line(5_000))) == []


@pytest.mark.anyio
async def test_a_slow_model_is_bridged_and_then_answers() -> None:
    book, beforehand = Phrasebook(("One moment.", "Still here.")), FakeVoice()
    await book.speak(beforehand, None)
    model = FakeModel([Wait(3.9), "There you are."])
    async with phone_call(transcriber=FakeTranscriber("hello"), model=model, phrasebook=book) as call:
        await call.utter()
        await call.wait(8_000)
        assert [filler.text for filler in call.seen(FillerPlayed)] == ["One moment.", "Still here."]
        first, second = call.seen_at(FillerPlayed)
        sounds = call.seen_at(OutputAudioDelta)
        assert second - first == pytest.approx(NEXT_WAIT_S + 0.4, abs=0.05)  # two words of 200 ms lie between
        assert max(b - a for a, b in zip(sounds, sounds[1:], strict=False)) <= NEXT_WAIT_S + 0.6
        assert call.said[-3:] == [
            ("assistant", "One moment."),
            ("assistant", "Still here."),
            ("assistant", "There you are."),
        ]


@pytest.mark.anyio
async def test_nobody_is_told_to_wait_for_a_quick_answer() -> None:
    book = Phrasebook(("One moment.",))
    await book.speak(FakeVoice(), None)
    model = FakeModel([Wait(FIRST_WAIT_S - 0.2), "Yes."])
    async with phone_call(transcriber=FakeTranscriber("hello"), model=model, phrasebook=book) as call:
        await call.utter()
        await call.wait(4_000)
        assert call.seen(FillerPlayed) == []


@pytest.mark.anyio
async def test_a_slow_transcriber_is_bridged_too() -> None:
    book = Phrasebook(("One moment.",))
    await book.speak(FakeVoice(), None)
    async with phone_call(
        transcriber=FakeTranscriber([Wait(3.0), "hello"]), model=FakeModel("Yes."), phrasebook=book
    ) as call:
        await call.utter()
        await call.wait(6_000)
        assert [filler.text for filler in call.seen(FillerPlayed)] == ["One moment."]
        assert call.said[-1] == ("assistant", "Yes.")


@pytest.mark.anyio
async def test_a_tool_that_waits_for_the_caller_keeps_nobody_waiting() -> None:
    async def keep(_message: object) -> None:
        raise AssertionError("no message is left")

    book = Phrasebook(("One moment.",))
    await book.speak(FakeVoice(), None)
    model = FakeModel([ToolRequest("call_1", "collect_digits", '{"most": 3}')], "Thank you.")
    tools = (built_in_tool(BuiltInTool("collect_digits"), keep),)
    async with phone_call(transcriber=FakeTranscriber("hello"), model=model, tools=tools, phrasebook=book) as call:
        await call.utter()
        await call.wait(3_000)
        for digit in "123":
            call.engine.report(DigitPressed(digit))
        await call.wait(2_000)
        assert call.seen(FillerPlayed) == []
        assert call.said[-2:] == [
            ("function", '{"digits": "123", "ended": "complete"}'),
            ("assistant", "Thank you."),
        ]
        (timed,) = call.seen(ToolTimed)
        assert (timed.arguments, timed.output) == ("(private)", "(private)")


@pytest.mark.anyio
async def test_a_tool_may_play_keys_and_write_into_the_record() -> None:
    async def dial(_arguments: object, controls: CallControls) -> ToolResult:
        controls.note("dialled", by=controls.facts["call_sid"])
        return ToolResult(str(controls.send_digits("12")), wants_answer=False)

    model = FakeModel([ToolRequest("call_1", "dial", "{}")])
    tools = (Tool(FunctionTool("dial"), dial),)
    async with phone_call(transcriber=FakeTranscriber("hello"), model=model, tools=tools) as call:
        await call.utter()
        await call.wait(3_000)
        assert call.said[-1] == ("function", "0.4")
        assert call.seen(ToolNoted) == [ToolNoted("dialled", {"by": "CA1"})]
        assert call.phone.position == PCMU.bytes_in(400)
        assert model.prompts != [] and len(model.prompts) == 1


@pytest.mark.anyio
async def test_a_dead_model_is_bridged_until_the_apology() -> None:
    book = Phrasebook(("One moment.", "Still here.", "Thank you."))
    await book.speak(FakeVoice(), None)
    async with phone_call(transcriber=FakeTranscriber("hello"), model=FakeModel([STALL]), phrasebook=book) as call:
        await call.utter()
        await call.wait(12_000)
        sounds = call.seen_at(OutputAudioDelta)
        assert max(b - a for a, b in zip(sounds, sounds[1:], strict=False)) <= 2.5
        assert call.said[-1][1].startswith("Sorry")


@pytest.mark.anyio
async def test_speech_that_nobody_understood_is_asked_about_once_and_noise_is_not() -> None:
    model = FakeModel("Sorry?", "I see.")
    async with phone_call(transcriber=FakeTranscriber("", "", "", "hello"), model=model) as call:
        await call.speak(320)  # a cough
        await call.wait(1_500)
        assert model.prompts == []
        for _ in range(2):
            await call.speak(1_400)
            await call.wait(3_000)
        assert call.said == [("user", ""), ("user", "[unintelligible]"), ("assistant", "Sorry?"), ("user", "")]
        await call.utter()
        await call.wait(3_000)
        assert call.said[-2:] == [("user", "hello"), ("assistant", "I see.")]


@pytest.mark.anyio
async def test_a_function_the_model_made_up_is_told_so_and_the_call_goes_on() -> None:
    model = FakeModel([ToolRequest("call_1", "fly_away", "{}")], "I cannot do that.")
    async with phone_call(transcriber=FakeTranscriber("hello"), model=model) as call:
        await call.utter()
        await call.wait(3_000)
        assert call.said[-2:] == [
            ("function", '{"error": "there is no function fly_away"}'),
            ("assistant", "I cannot do that."),
        ]
