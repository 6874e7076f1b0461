"""What a peer may ask of responses: several at once out of band, one at a time in the conversation."""

from __future__ import annotations

from typing import TypedDict

import msgspec
import pytest

from pipeline.audio.formats import PCM_24K
from pipeline.commands import Cancel, Flush, Respond, Transcribe
from pipeline.events import conversation as conv
from pipeline.events import input_audio as heard
from pipeline.events import output_audio as played
from pipeline.events import response as resp
from pipeline.events.config import SessionConfig
from pipeline.events.items import FunctionCall, ItemReference, Message, OutputText
from pipeline.limits import USUAL
from pipeline.reports import AudioMade, Failed, Finished, Flushed, Report, ToolRequested, Transcribed
from pipeline.session import Session
from tests.pipeline.expected import (
    EVENT,
    busy,
    cancelled,
    closed,
    created,
    ended,
    failed,
    is_cleared,
    plays,
    refused,
    result,
    said,
    sound,
    spoken,
    started,
    truncated,
    typed,
)
from tests.pipeline.feeding import CONFIG, MANUAL, audio, feed, greeted, line, prompt, session, text, turn, voice

replace = msgspec.structs.replace
TEXT = replace(CONFIG, output_modality="text")


def aside(event_id: str = "mine", config: SessionConfig | None = None) -> resp.ResponseCreate:
    return resp.ResponseCreate(is_out_of_band=True, metadata={"topic": "x"}, event_id=event_id, config=config)


# Out of band: Realtime reference, section D.10


def test_an_answer_out_of_band_is_told_and_joins_no_conversation() -> None:
    talk = session()
    asked = replace(
        aside(config=replace(TEXT, instructions="Sum up.")),
        input=(ItemReference(id="old"), typed("", "Summarise.")),
    )
    feed(talk, conv.ConversationItemCreate(item=typed("old", "A table.")))
    told = prompt(typed("old", "A table."), typed("", "Summarise."), instructions="Sum up.")
    item = Message(id="item_1", role="assistant", content=(OutputText(text="Table."),))

    class Where(TypedDict):
        event_id: str
        response_id: str
        item_id: str
        output_index: int

    where = Where(event_id=EVENT, response_id="resp_1", item_id="item_1", output_index=0)
    assert feed(talk, asked, text(1, "Table."), Finished("resp_1", 3, 1)) == [
        created("resp_1", {"topic": "x"}, modality="text", conversation_id=None),
        Respond("resp_1", told, speaks=False, input=told.items, is_out_of_band=True),
        resp.OutputItemAdded(
            event_id=EVENT,
            response_id="resp_1",
            output_index=0,
            item=Message(id="item_1", role="assistant", content=(), status="in_progress"),
        ),
        resp.ContentPartAdded(**where, part=resp.TextPart(text="")),
        resp.OutputTextDelta(**where, delta="Table."),
        resp.OutputTextDone(**where, text="Table."),
        resp.ContentPartDone(**where, part=resp.TextPart(text="Table.")),
        resp.OutputItemDone(event_id=EVENT, response_id="resp_1", output_index=0, item=item),
        ended("resp_1", item, tokens=(3, 1), metadata={"topic": "x"}, modality="text", conversation_id=None),
    ]
    assert talk.conversation.items == (typed("old", "A table."),)


def test_without_an_input_of_its_own_it_is_told_the_conversation() -> None:
    talk = session(history=(said("old", "A table."),))
    told = prompt(said("old", "A table."))
    assert feed(talk, aside(config=TEXT))[1] == Respond("resp_1", told, speaks=False, is_out_of_band=True)


def test_any_number_run_beside_one_another_and_beside_the_conversations() -> None:
    talk = greeted(plays=False)
    outputs = feed(talk, aside(), aside(), text(3, "Three."), text(2, "Two."), text(1, " More."))
    assert [type(e).__name__ for e in outputs if isinstance(e, Respond | resp.ResponseCreated)] == [
        "ResponseCreated",
        "Respond",
    ] * 2
    deltas = [(e.response_id, e.delta) for e in outputs if isinstance(e, resp.TranscriptDelta)]
    assert deltas == [("resp_3", "Three."), ("resp_2", "Two."), ("resp_1", " More.")]


def test_a_caller_who_cuts_in_stops_the_conversations_answer_alone() -> None:
    talk = greeted(plays=False)
    feed(talk, aside(), text(2, "Aside."))
    stops = feed(talk, *turn(0)[0])
    assert [e for e in stops if isinstance(e, Cancel)] == [Cancel("resp_1")]
    assert feed(talk, audio(2, 100)) == [sound("resp_2", "item_2", voice(100))]


def test_its_sound_is_the_clients_alone() -> None:
    talk = session(plays=False)
    feed(talk, aside(), text(1, "Aside."), audio(1, 100, "Aside."))
    assert talk.ledger.end == 0
    feed(talk, Finished("resp_1"))
    only_output = "Item 'item_1' is not in the conversation."
    assert feed(talk, conv.ConversationItemTruncate(item_id="item_1", audio_end_ms=0, event_id="mine")) == [
        refused("item_truncate_invalid_item_id", only_output, "item_id", "mine")
    ]


def test_it_may_fail_without_an_apology_and_costs_nobody_anything() -> None:
    talk = session(plays=False, apology="Sorry.")
    feed(talk, replace(aside(), metadata=None), text(1, "Well"))
    item = spoken("item_1", "Well", "incomplete")
    assert feed(talk, Failed("resp_1", "model_failed", "gone"))[-1] == failed(
        "resp_1", item, code="model_failed", message="gone", conversation_id=None
    )
    assert feed(talk, Finished("resp_1"), text(1, "late")) == []


def test_a_function_it_asks_for_is_the_clients_to_run() -> None:
    talk = session(plays=False, own_tools=frozenset({"find_table"}))
    outputs = feed(talk, aside(), ToolRequested("resp_1", "call_1", "find_table", "{}"), Finished("resp_1"))
    assert [type(e).__name__ for e in outputs[2:]] == [
        "OutputItemAdded",
        "FunctionCallArgumentsDelta",
        "FunctionCallArgumentsDone",
        "OutputItemDone",
        "ResponseDone",
    ]


def test_it_is_cancelled_by_its_name_only() -> None:
    talk = session(plays=False)
    feed(talk, replace(aside(), metadata=None))
    none = "Cancellation failed: no active response found"
    assert feed(talk, resp.ResponseCancel(event_id="a"), resp.ResponseCancel(response_id="resp_1")) == [
        refused("response_cancel_not_active", none, event_id="a"),
        Cancel("resp_1"),
        cancelled("resp_1", reason="client_cancelled", conversation_id=None),
    ]
    assert feed(talk, resp.ResponseCancel(response_id="resp_1", event_id="b")) == [
        refused("response_cancel_not_active", none, event_id="b")
    ]


def test_when_the_client_is_gone_all_of_them_are_over() -> None:
    talk = session(plays=False)
    feed(talk, replace(aside(), metadata=None), replace(aside(), metadata=None), resp.ResponseCreate())
    assert talk.close() == [
        Cancel("resp_3"),
        Cancel("resp_1"),
        Cancel("resp_2"),
        cancelled("resp_3", reason="client_cancelled"),
        cancelled("resp_1", reason="client_cancelled", conversation_id=None),
        cancelled("resp_2", reason="client_cancelled", conversation_id=None),
    ]


@pytest.mark.parametrize(
    ("asked", "message", "param"),
    [
        (
            replace(aside(), config=replace(CONFIG, output_format=PCM_24K)),
            "This session's sound is played on a line of its own, whose format cannot change.",
            "response.audio.output.format",
        ),
        (
            aside(),
            "This session's sound is played on a line of its own: out of band, ask for ['text'].",
            "response.output_modalities",
        ),
        (
            replace(aside(), config=TEXT, input=(typed("a", "Hi."), ItemReference(id="z"))),
            "Invalid value: 'z'. No item with this id is in the conversation.",
            "response.input[1].id",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_by_its_field(asked: resp.ResponseCreate, message: str, param: str) -> None:
    assert feed(session(), asked) == [refused("invalid_value", message, param, "mine")]


# In the conversation


def test_an_input_of_its_own_stands_for_the_conversation_and_waits_for_no_words() -> None:
    talk = session(MANUAL, plays=False)
    feed(talk, line(400), heard.InputAudioBufferCommit())
    asked = resp.ResponseCreate(input=(typed("", "Hi."),))
    told = prompt(typed("", "Hi."))
    assert feed(talk, asked) == [created("resp_1"), Respond("resp_1", told, input=told.items)]


def test_an_answer_may_have_a_format_a_voice_and_a_pace_of_its_own() -> None:
    talk = session(plays=False)
    own = replace(CONFIG, output_format=PCM_24K, voice="eve", speed=1.2)
    outputs = feed(talk, resp.ResponseCreate(config=own), AudioMade("resp_1", bytes(4_800), "Hi."))
    assert outputs[1] == Respond("resp_1", prompt(), format=PCM_24K, voice="eve", speed=1.2)
    assert talk.ledger.kept_ms("item_1") == 100


# Asked for while an answer that called functions is being closed: Realtime reference, section D.5


def calling(*, apology: str = "") -> Session:
    """A client's function was called and has its result; the answer is not quite over."""
    talk = session(plays=False, apology=apology)
    feed(talk, resp.ResponseCreate(), ToolRequested("resp_1", "call_1", "find_table", "{}"))
    feed(talk, conv.ConversationItemCreate(item=result("mine", "call_1", "at eight")))
    return talk


CALL = FunctionCall(id="item_1", call_id="call_1", name="find_table", arguments="{}")
NEXT = resp.ResponseCreate(event_id="next")


def test_it_begins_when_the_one_before_is_over() -> None:
    talk = calling()
    assert feed(talk, NEXT) == []
    assert feed(talk, Finished("resp_1")) == [
        ended("resp_1", CALL),
        created("resp_2"),
        Respond("resp_2", prompt(CALL, result("mine", "call_1", "at eight"))),
    ]
    assert feed(talk, Finished("resp_2")) == [ended("resp_2")]


def test_no_second_one_may_wait_and_none_for_an_answer_that_called_nothing() -> None:
    talk = calling()
    assert feed(talk, NEXT, replace(NEXT, event_id="another")) == [busy("resp_1", "another")]
    assert feed(greeted(), NEXT) == [busy("resp_1", "next")]


def test_one_out_of_band_does_not_wait() -> None:
    assert feed(calling(), NEXT, aside())[0] == created("resp_2", {"topic": "x"}, conversation_id=None)


def test_what_waited_is_checked_again_when_it_begins() -> None:
    talk = calling()
    asked = replace(NEXT, input=(ItemReference(id="mine"),))
    message = "Invalid value: 'mine'. No item with this id is in the conversation."
    assert feed(talk, asked, conv.ConversationItemDelete(item_id="mine"), Finished("resp_1"))[-1] == refused(
        "invalid_value", message, "response.input[0].id", "next"
    )


def test_it_is_refused_when_the_client_cancels_the_one_before() -> None:
    talk = calling()
    assert feed(talk, NEXT, resp.ResponseCancel()) == [
        Cancel("resp_1"),
        cancelled("resp_1", CALL, reason="client_cancelled"),
        busy("resp_1", "next"),
    ]
    assert feed(talk, resp.ResponseCreate())[0] == created("resp_2"), "and nothing is left of it"


def test_it_is_refused_when_the_caller_cuts_in() -> None:
    talk = calling()
    begins, ends = turn(0)
    assert feed(talk, NEXT, *begins)[1:4] == [
        started("item_2", 0),
        cancelled("resp_1", CALL),
        busy("resp_1", "next"),
    ]
    outputs = feed(talk, *ends, Transcribed("item_2", "Stop.", True))
    assert [e.response.id for e in outputs if isinstance(e, resp.ResponseCreated)] == ["resp_2"]


def test_it_is_refused_when_the_client_cuts_the_one_before() -> None:
    talk = calling()
    feed(talk, text(1, "One moment."), audio(1, 400, "One moment."), NEXT)
    outputs = feed(talk, conv.ConversationItemTruncate(item_id="item_2", audio_end_ms=100))
    assert outputs[-2:] == [busy("resp_1", "next"), truncated("item_2", 100)]


@pytest.mark.parametrize("apology", ["", "Sorry."])
def test_after_a_failure_it_begins_unless_somebody_apologises(apology: str) -> None:
    talk = calling(apology=apology)
    feed(talk, NEXT)
    outputs = feed(talk, Failed("resp_1", "model_failed", "gone"))
    assert outputs[0] == failed("resp_1", CALL, code="model_failed", message="gone")
    assert outputs[1:-1] == ([busy("resp_1", "next")] if apology else []) + [created("resp_2")]


def test_it_is_refused_when_the_client_is_gone() -> None:
    talk = calling()
    feed(talk, NEXT)
    assert talk.close()[-1] == busy("resp_1", "next")
    assert feed(talk, Finished("resp_1")) == []


def test_an_answer_that_waits_for_words_is_cut_off_by_the_caller_who_says_more() -> None:
    talk = session(plays=False)
    (begins, ends), (again, _) = turn(0), turn(1_100)
    feed(talk, *begins, *ends)
    assert feed(talk, resp.ResponseCreate(), *again) == [
        created("resp_1"),
        Cancel("resp_1"),
        started("item_2", 1_100),
        cancelled("resp_1"),
        Transcribe("item_2", line(100)),
    ]


# What the loudspeaker still has to say: Realtime reference, section E.1


def test_a_client_clears_what_we_play_and_stops_what_makes_it() -> None:
    talk = greeted()
    assert feed(talk, played.OutputAudioBufferClear(), Flushed(1_600)) == [
        Cancel("resp_1"),
        Flush(),
        *closed("resp_1", "item_1", "Good morning to you.", None, "incomplete"),
        cancelled("resp_1", spoken("item_1", "Good morning to you.", "incomplete"), reason="client_cancelled"),
        plays("resp_1"),
        is_cleared("resp_1"),
        truncated("item_1", 200),
    ]
    assert feed(talk, played.OutputAudioBufferClear()) == []


def test_clearing_the_loudspeaker_does_not_stop_what_is_written() -> None:
    talk = greeted()
    feed(talk, Finished("resp_1"), resp.ResponseCreate(config=TEXT))
    assert feed(talk, played.OutputAudioBufferClear()) == [Flush()]


def test_a_client_that_plays_for_itself_has_nothing_of_ours_to_clear() -> None:
    assert feed(greeted(plays=False), played.OutputAudioBufferClear()) == []


@pytest.mark.parametrize("report", [None, audio(1, 0)])
def test_a_message_that_has_no_sound_yet_can_be_cut_to_nothing(report: Report | None) -> None:
    """Realtime reference, rule 9: up to what was made, equality and items in progress included."""
    talk = session(plays=False)
    feed(talk, resp.ResponseCreate(), text(1, "Good morning."), *([report] if report else []))
    outputs = feed(talk, conv.ConversationItemTruncate(item_id="item_1", audio_end_ms=0))
    assert outputs[-2:] == [
        cancelled("resp_1", spoken("item_1", "Good morning.", "incomplete"), reason="client_cancelled"),
        truncated("item_1", 0),
    ]
    assert talk.conversation.find("item_1") == spoken("item_1", "", "incomplete")


def test_what_is_written_cannot_be_cut() -> None:
    talk = session(TEXT, plays=False)
    cut = conv.ConversationItemTruncate(item_id="item_1", audio_end_ms=0, event_id="mine")
    outputs = feed(talk, resp.ResponseCreate(), text(1, "Good morning."), cut)
    message = "Only model output audio messages can be truncated"
    assert outputs[-1] == refused("invalid_value", message, "item_id", "mine")


def test_so_many_answers_run_out_of_band_at_a_time_and_no_more() -> None:
    talk = session(config=TEXT)
    for number in range(USUAL.asides):
        begun = feed(talk, aside(f"nr_{number}"))
        assert isinstance(begun[0], resp.ResponseCreated)
    words = f"{USUAL.asides} responses are running out of band already. Wait until one is done."
    assert feed(talk, aside("one_more")) == [
        refused("rate_limit_exceeded", words, "response.conversation", "one_more")
    ]
    feed(talk, Finished("resp_1"))
    assert isinstance(feed(talk, aside("again"))[0], resp.ResponseCreated)


def test_what_is_played_on_our_line_is_cut_by_clearing_it_and_not_by_a_guess() -> None:
    talk = greeted()
    words = (
        "This session's sound is played on a line of its own. output_audio_buffer.clear stops it, and truncates "
        "what was not heard to its end."
    )
    cut = conv.ConversationItemTruncate(item_id="item_1", audio_end_ms=100, event_id="mine")
    assert feed(talk, cut) == [refused("invalid_value", words, "item_id", "mine")]
