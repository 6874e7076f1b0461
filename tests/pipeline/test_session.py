"""The session's order of things: lists go in, and whole lists are compared with what comes out."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.audio.formats import PCM_24K
from pipeline.commands import Cancel, EndTranscription, Flush, Respond, Transcribe
from pipeline.events import conversation as conv
from pipeline.events import input_audio as heard
from pipeline.events import response as resp
from pipeline.events import session as sess
from pipeline.events.config import ServerVad
from pipeline.events.items import InputAudio, Message, OutputAudio, OutputText
from pipeline.phase import Phase
from pipeline.reports import (
    AudioMade,
    Failed,
    Finished,
    Flushed,
    Played,
    Report,
    SpeechScored,
    TextMade,
    ToolRequested,
    ToolReturned,
    TranscriptionFailed,
)
from tests.pipeline.expected import (
    EVENT,
    busy,
    cancelled,
    closed,
    committed,
    created,
    cut_off,
    ended,
    has_played,
    joined,
    misunderstood,
    opened,
    plays,
    refused,
    result,
    said,
    sound,
    spoken,
    started,
    stopped,
    truncated,
    typed,
    words,
)
from tests.pipeline.feeding import (
    CONFIG,
    MANUAL,
    Input,
    audio,
    feed,
    greeted,
    line,
    prompt,
    session,
    silence,
    speech,
    text,
    turn,
    voice,
)


def test_a_session_opens_with_itself_and_its_conversation() -> None:
    opening = session().open()
    assert opening == [
        sess.SessionCreated(event_id=EVENT, session_id="sess_1", session=CONFIG),
        conv.ConversationCreated(event_id=EVENT, conversation_id="conv_1"),
    ]


def test_a_greeting_is_a_response_with_its_words_given() -> None:
    talk = session()
    assert talk.say("Hello.") == [created("resp_1"), Respond("resp_1", prompt(), script="Hello.")]
    assert feed(talk, text(1, "Hello."), audio(1, 400, "Hello."), Finished("resp_1")) == [
        *opened("resp_1", "item_1", None),
        words("resp_1", "item_1", "Hello."),
        sound("resp_1", "item_1", voice(400)),
        *closed("resp_1", "item_1", "Hello.", None),
        ended("resp_1", spoken("item_1", "Hello.")),
    ]
    assert talk.say("Anything else?")[0] == created("resp_2")
    assert talk.say("Hello?") == [], "one at a time"


def test_a_response_asked_for_has_its_own_instructions_and_metadata() -> None:
    talk = session()
    brief = msgspec.structs.replace(CONFIG, instructions="Be brief.")
    asked = resp.ResponseCreate(config=brief, metadata={"topic": "x"})
    assert feed(talk, asked, Finished("resp_1", 7, 0)) == [
        created("resp_1", {"topic": "x"}),
        Respond("resp_1", prompt(instructions="Be brief.")),
        ended("resp_1", tokens=(7, 0), metadata={"topic": "x"}),
    ]


def test_a_second_response_at_the_same_time_is_refused() -> None:
    talk = greeted()
    assert feed(talk, resp.ResponseCreate(event_id="mine")) == [busy("resp_1", "mine")]


def test_a_response_cancelled_by_its_client_keeps_what_has_sound() -> None:
    talk = greeted()
    assert feed(talk, resp.ResponseCancel(response_id="resp_1")) == [
        Cancel("resp_1"),
        *closed("resp_1", "item_1", "Good morning to you.", None, "incomplete"),
        cancelled("resp_1", spoken("item_1", "Good morning to you.", "incomplete"), reason="client_cancelled"),
        truncated("item_1", 800),
    ]


@pytest.mark.parametrize("talks", [True, False])
def test_cancelling_what_is_not_active_is_refused(talks: bool) -> None:
    talk = greeted() if talks else session()
    cancel = resp.ResponseCancel(response_id="resp_7" if talks else None, event_id="mine")
    message = "Cancellation failed: no active response found"
    assert feed(talk, cancel) == [refused("response_cancel_not_active", message, event_id="mine")]


def test_a_written_answer_that_is_cancelled_stays_as_it_was_read() -> None:
    talk = session(msgspec.structs.replace(CONFIG, output_modality="text"))
    outputs = feed(talk, resp.ResponseCreate(), text(1, "Hello"), resp.ResponseCancel())
    item = Message(id="item_1", role="assistant", content=(OutputText(text="Hello"),), status="incomplete")
    assert outputs[1] == Respond("resp_1", prompt(), speaks=False)
    assert outputs[-1] == cancelled("resp_1", item, reason="client_cancelled", modality="text")
    assert talk.conversation.items == (item,)


@pytest.mark.parametrize(
    "report",
    [
        TextMade("resp_1", "late"),
        AudioMade("resp_1", b"late"),
        ToolRequested("resp_1", "call_1", "find_table", "{}"),
        Finished("resp_1"),
        Failed("resp_1", "late", "late"),
    ],
    ids=lambda report: type(report).__name__,
)
def test_reports_of_a_response_that_is_over_are_passed_over(report: Report) -> None:
    talk = session(apology="Sorry.")
    talk.say("Hello.")
    feed(talk, resp.ResponseCancel())
    assert feed(talk, report) == []
    talk.say("Hello again.")
    assert feed(talk, report) == [], "nor are they taken for the next one's"
    assert talk.ledger.end == 0


def test_items_are_created_found_and_deleted_on_request() -> None:
    talk = session()
    hello = typed("mine_1", "Hello.")
    assert feed(talk, conv.ConversationItemCreate(item=hello)) == joined(hello, None)
    assert feed(talk, conv.ConversationItemCreate(item=typed("", "First."), previous_item_id="root")) == joined(
        typed("item_1", "First."), None
    )
    assert feed(
        talk,
        conv.ConversationItemRetrieve(item_id="mine_1"),
        conv.ConversationItemDelete(item_id="mine_1"),
        conv.ConversationItemDelete(item_id="mine_1", event_id="again"),
    ) == [
        conv.ConversationItemRetrieved(event_id=EVENT, item=hello),
        conv.ConversationItemDeleted(event_id=EVENT, item_id="mine_1"),
        refused("item_delete_invalid_item_id", "Item 'mine_1' is not in the conversation.", "item_id", "again"),
    ]


def test_an_item_deleted_while_it_is_spoken_is_out_of_the_conversation_for_good() -> None:
    talk = session()
    talk.say("Hello.")
    feed(talk, text(1, "Hello."), audio(1, 400, "Hello."), conv.ConversationItemDelete(item_id="item_1"))
    item = spoken("item_1", "Hello.")
    closers = [
        e for e in closed("resp_1", "item_1", "Hello.", None) if not isinstance(e, conv.ConversationItemDone)
    ]
    assert feed(talk, Finished("resp_1"), Flushed(0)) == [*closers, ended("resp_1", item)]
    assert talk.conversation.items == ()


def test_a_history_is_gone_on_with() -> None:
    history = (said("old_1", "Hello."), spoken("old_2", "Good morning."))
    talk = session(history=history)
    assert feed(talk, conv.ConversationItemCreate(item=typed("mine", "A table."))) == joined(
        typed("mine", "A table."), "old_2"
    )
    assert feed(talk, resp.ResponseCreate())[1] == Respond("resp_1", prompt(*history, typed("mine", "A table.")))


def test_an_update_is_in_force_from_the_next_response_on() -> None:
    talk = session()
    other = msgspec.structs.replace(CONFIG, instructions="Be brief.")
    assert feed(talk, sess.SessionUpdate(session=other), resp.ResponseCreate()) == [
        sess.SessionUpdated(event_id=EVENT, session_id="sess_1", session=other),
        created("resp_1"),
        Respond("resp_1", prompt(instructions="Be brief.")),
    ]
    assert talk.config == other


@pytest.mark.parametrize(
    ("field", "plays"), [("input", False), ("output", False), ("input", True), ("output", True)]
)
def test_the_formats_stay_once_there_was_sound_and_where_a_line_of_its_own_plays(field: str, plays: bool) -> None:
    talk = session() if plays else greeted(plays=False)
    if not plays:
        feed(talk, line(20))
    other = msgspec.structs.replace(CONFIG, instructions="Be brief.", **{f"{field}_format": PCM_24K})
    what = "heard" if field == "input" else "made"
    message = f"The {field} audio format cannot change once sound was {what} in it."
    assert feed(talk, sess.SessionUpdate(session=other, event_id="mine")) == [
        refused("invalid_value", message, f"session.audio.{field}.format", "mine")
    ]
    assert talk.config == CONFIG


def test_before_the_first_sound_the_formats_may_change() -> None:
    talk = session(plays=False)
    other = msgspec.structs.replace(CONFIG, input_format=PCM_24K, output_format=PCM_24K)
    assert feed(talk, sess.SessionUpdate(session=other)) == [
        sess.SessionUpdated(event_id=EVENT, session_id="sess_1", session=other)
    ]
    begins: list[Input] = [SpeechScored(0, 0.1, 0), bytes(4_800), SpeechScored(2_400, 0.9, 2_400)]
    assert feed(talk, *begins) == [started("item_1", 0), Transcribe("item_1", bytes(4_800))]
    feed(talk, resp.ResponseCreate(), text(1, "Hello."), AudioMade("resp_1", bytes(4_800), "Hello."))
    assert talk.ledger.kept_ms("item_2") == 100


def test_sound_that_came_with_an_item_binds_the_input_format_too() -> None:
    talk = session(plays=False)
    item = Message(id="mine", role="user", content=(InputAudio(transcript=None, audio=line(100)),))
    other = msgspec.structs.replace(CONFIG, input_format=PCM_24K)
    message = "The input audio format cannot change once sound was heard in it."
    outputs = feed(talk, conv.ConversationItemCreate(item=item), sess.SessionUpdate(session=other))
    assert outputs[-1] == refused("invalid_value", message, "session.audio.input.format")


def test_another_rule_for_turns_takes_over_in_the_middle_of_an_utterance() -> None:
    talk = session()
    begins, _ = turn(0)
    feed(talk, *begins)
    quick = msgspec.structs.replace(CONFIG, turn_detection=ServerVad(silence_duration_ms=200))
    feed(talk, sess.SessionUpdate(session=quick))
    assert feed(talk, line(100), speech(200), line(200), silence(400)) == [
        stopped("item_1", 400),
        *committed("item_1", None),
        EndTranscription("item_1"),
    ]


def test_without_a_rule_for_turns_an_utterance_under_way_waits_for_its_commit() -> None:
    talk = session()
    begins, ends = turn(0)
    feed(talk, *begins, sess.SessionUpdate(session=MANUAL))
    assert feed(talk, *ends) == []
    assert feed(talk, heard.InputAudioBufferCommit()) == [*committed("item_1", None), EndTranscription("item_1")]


def test_the_caller_is_gone_and_every_response_has_its_end() -> None:
    talk = session(apology="Sorry.", own_tools=frozenset({"find_table"}))
    talk.say("Good morning to you.")
    feed(talk, text(1, "Good morning to you."), audio(1, 800, "Good morning to you."))
    assert talk.close() == [
        Cancel("resp_1"),
        Flush(),
        *closed("resp_1", "item_1", "Good morning to you.", None, "incomplete"),
        cancelled("resp_1", spoken("item_1", "Good morning to you.", "incomplete"), reason="client_cancelled"),
    ]
    assert talk.phase is Phase.ENDED
    assert talk.close() == [Flush()], "until it is answered"


def test_when_the_caller_is_gone_nothing_begins_any_more() -> None:
    talk = session(apology="Sorry.", own_tools=frozenset({"find_table"}))
    begins, ends = turn(0)
    feed(talk, *begins, *ends, resp.ResponseCreate())
    feed(talk, ToolRequested("resp_1", "call_1", "find_table", "{}"), Finished("resp_1"))
    assert talk.close() == []
    assert feed(talk, ToolReturned("call_1", "{}")) == joined(result("item_3", "call_1", "{}"), "item_2")
    assert feed(talk, TranscriptionFailed("item_1", "gone")) == [misunderstood("item_1", "gone")]
    assert talk.say("Hello?") == []


def test_time_is_counted_in_the_callers_sound() -> None:
    talk = session()
    assert talk.s_since_voice == 0
    feed(talk, line(1_000), *turn(1_000)[0])
    assert talk.s_since_voice == pytest.approx(0.1), "since the voice began"
    feed(talk, *turn(1_000)[1])
    assert talk.s_since_voice == pytest.approx(0.5), "since it ended"


def test_an_item_that_cannot_be_created_is_one_error_with_its_event() -> None:
    asked = conv.ConversationItemCreate(item=result("mine", "call_7", "{}"), event_id="theirs")
    message = "Invalid value: 'call_7'. No function call with this call_id is in the conversation."
    assert feed(session(), asked) == [refused("invalid_value", message, "item.call_id", "theirs")]


def test_sound_of_items_is_kept_for_whoever_asks_for_it() -> None:
    talk = greeted(plays=False)
    begins, ends = turn(0)
    feed(talk, Finished("resp_1"), *begins, *ends)
    (hello, question) = feed(
        talk,
        conv.ConversationItemRetrieve(item_id="item_1"),
        conv.ConversationItemRetrieve(item_id="item_2"),
    )
    assert hello == conv.ConversationItemRetrieved(
        event_id=EVENT,
        item=Message(
            id="item_1",
            role="assistant",
            content=(OutputAudio(transcript="Good morning to you.", audio=voice(800)),),
        ),
    )
    assert question == conv.ConversationItemRetrieved(
        event_id=EVENT,
        item=Message(id="item_2", role="user", content=(InputAudio(transcript=None, audio=line(1_100)),)),
    )


def test_a_model_that_is_cut_off_leaves_the_answer_incomplete() -> None:
    """Realtime reference, section D.11."""
    talk = greeted()
    item = spoken("item_1", "Good morning to you.", "incomplete")
    assert feed(talk, Finished("resp_1", cut_off="max_output_tokens")) == [
        *closed("resp_1", "item_1", "Good morning to you.", None, "incomplete"),
        cut_off("resp_1", item),
    ]


def test_sound_is_played_for_as_long_as_it_lasts_and_told_once() -> None:
    """Realtime reference, section E.1: playout events."""
    talk = greeted()
    assert feed(talk, Played(0), Played(1), Played(6_400)) == [plays("resp_1")]
    assert feed(talk, Finished("resp_1"))[-2:] == [
        ended("resp_1", spoken("item_1", "Good morning to you.")),
        has_played("resp_1"),
    ]
    assert feed(talk, Played(6_400)) == []
