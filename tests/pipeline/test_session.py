"""The session's order of things: lists go in, and whole lists are compared with what comes out."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.answers import Phase
from pipeline.audio.formats import PCM_24K
from pipeline.commands import Cancel, EndTranscription, Flush, Respond
from pipeline.events import conversation as conv
from pipeline.events import input_audio as heard
from pipeline.events import response as resp
from pipeline.events import session as sess
from pipeline.events.config import ServerVad
from pipeline.events.items import Message, OutputText
from pipeline.reports import (
    AudioMade,
    Failed,
    Finished,
    Flushed,
    Report,
    TextMade,
    ToolRequested,
    ToolReturned,
    TranscriptionFailed,
)
from tests.pipeline.expected import (
    EVENT,
    cancelled,
    closed,
    committed,
    created,
    ended,
    joined,
    misunderstood,
    opened,
    refused,
    result,
    said,
    sound,
    spoken,
    stopped,
    truncated,
    typed,
    words,
)
from tests.pipeline.feeding import (
    CONFIG,
    MANUAL,
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
    asked = resp.ResponseCreate(instructions="Be brief.", metadata={"topic": "x"})
    assert feed(talk, asked, Finished("resp_1", 7, 0)) == [
        created("resp_1", {"topic": "x"}),
        Respond("resp_1", prompt(instructions="Be brief.")),
        ended("resp_1", tokens=(7, 0), metadata={"topic": "x"}),
    ]


def test_a_second_response_at_the_same_time_is_refused() -> None:
    talk = greeted()
    message = "Conversation already has an active response in progress: resp_1"
    assert feed(talk, resp.ResponseCreate(event_id="mine")) == [
        refused("conversation_already_has_active_response", message, event_id="mine")
    ]


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
    assert outputs[-1] == cancelled("resp_1", item, reason="client_cancelled")
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


@pytest.mark.parametrize("field", ["input_format", "output_format"])
def test_the_formats_of_an_open_session_stay(field: str) -> None:
    talk = session()
    other = msgspec.structs.replace(CONFIG, instructions="Be brief.", **{field: PCM_24K})
    message = "The audio formats of a session cannot change once it is open."
    assert feed(talk, sess.SessionUpdate(session=other, event_id="mine")) == [
        refused("invalid_value", message, "session.audio", "mine")
    ]
    assert talk.config == CONFIG


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
