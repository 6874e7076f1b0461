"""The caller's side of a session: turns, interruptions, and who is answered when."""

from __future__ import annotations

import msgspec
import pytest

from pipeline import commands
from pipeline.audio.formats import PCMU
from pipeline.commands import Cancel, DropTranscription, EndTranscription, Flush, Respond, Transcribe
from pipeline.conversation import telling
from pipeline.events import conversation as conv
from pipeline.events import input_audio as heard
from pipeline.events import response as resp
from pipeline.events.config import ServerVad
from pipeline.events.items import InputAudio, Message
from pipeline.reports import (
    Finished,
    Flushed,
    Played,
    Transcribed,
    TranscriptionFailed,
)
from tests.pipeline.expected import (
    EVENT,
    cancelled,
    closed,
    committed,
    created,
    ended,
    has_played,
    is_cleared,
    opened,
    plays,
    refused,
    said,
    sound,
    spoken,
    started,
    stopped,
    truncated,
    understood,
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


def test_a_whole_turn_with_audio_event_by_event() -> None:
    """Realtime reference, sequence D.3, written out without any abbreviation."""
    talk = session()
    begins, ends = turn(1_000)
    user = Message(id="item_1", role="user", content=(InputAudio(transcript=None),))
    assert feed(talk, line(1_000), *begins, *ends, Transcribed("item_1", "Hi?", True)) == [
        heard.SpeechStarted(event_id=EVENT, audio_start_ms=700, item_id="item_1"),
        commands.Transcribe(item_id="item_1", audio=line(400)),
        heard.SpeechStopped(event_id=EVENT, audio_end_ms=2_100, item_id="item_1"),
        heard.InputAudioBufferCommitted(event_id=EVENT, previous_item_id=None, item_id="item_1"),
        conv.ConversationItemAdded(event_id=EVENT, previous_item_id=None, item=user),
        conv.ConversationItemDone(event_id=EVENT, previous_item_id=None, item=user),
        commands.EndTranscription("item_1"),
        conv.TranscriptionDelta(event_id=EVENT, item_id="item_1", delta="Hi?"),
        conv.TranscriptionCompleted(event_id=EVENT, item_id="item_1", transcript="Hi?", seconds=1.4),
        resp.ResponseCreated(
            event_id=EVENT,
            response=resp.ResponseSnapshot(
                id="resp_1", status="in_progress", conversation_id="conv_1", output_format=PCMU
            ),
        ),
        commands.Respond("resp_1", prompt(said("item_1", "Hi?"))),
    ]


def test_nothing_follows_from_sound_alone_nor_from_words_that_are_not_final() -> None:
    talk = session()
    assert feed(talk, line(1_000), silence(1_000)) == []
    begins, ends = turn(1_000)
    feed(talk, *begins, *ends)
    assert feed(talk, Transcribed("item_1", "Hi", False)) == []


def test_barge_in_while_the_answer_is_made_stops_sound_first_and_closes_what_was_opened() -> None:
    talk = greeted()
    begins, _ = turn(0)
    assert feed(talk, Played(2_400), *begins) == [
        plays("resp_1"),
        Cancel("resp_1"),
        Flush(),
        started("item_2", 0),
        *closed("resp_1", "item_1", "Good morning to you.", None, "incomplete"),
        cancelled("resp_1", spoken("item_1", "Good morning to you.", "incomplete")),
        Transcribe("item_2", line(100)),
    ]
    assert feed(talk, Flushed(2_480)) == [is_cleared("resp_1"), truncated("item_1", 310)]
    assert talk.conversation.items == (spoken("item_1", "Good", "incomplete"),)


def test_barge_in_while_a_finished_answer_still_plays_cuts_it() -> None:
    talk = greeted()
    feed(talk, Finished("resp_1"))
    begins, _ = turn(0)
    assert feed(talk, *begins, Flushed(4_800)) == [
        Flush(),
        started("item_2", 0),
        Transcribe("item_2", line(100)),
        plays("resp_1"),
        is_cleared("resp_1"),
        truncated("item_1", 600),
    ]
    assert talk.conversation.items == (spoken("item_1", "Good morning to", "incomplete"),)


def test_barge_in_after_the_last_word_interrupts_nothing() -> None:
    talk = greeted()
    feed(talk, Finished("resp_1"), Played(6_400))
    begins, _ = turn(0)
    assert feed(talk, *begins) == [started("item_2", 0), Transcribe("item_2", line(100))]
    assert talk.conversation.items == (spoken("item_1", "Good morning to you."),)


def test_words_that_got_no_sound_before_a_barge_in_were_never_said() -> None:
    talk = session()
    talk.say("Good morning to you.")
    begins, _ = turn(0)
    assert feed(talk, text(1, "Good morning to you."), *begins) == [
        *opened("resp_1", "item_1", None),
        words("resp_1", "item_1", "Good morning to you."),
        Cancel("resp_1"),
        started("item_2", 0),
        *closed("resp_1", "item_1", "Good morning to you.", None, "incomplete"),
        cancelled("resp_1", spoken("item_1", "Good morning to you.", "incomplete")),
        truncated("item_1", 0),
        Transcribe("item_2", line(100)),
    ]
    assert telling(talk.conversation.items) == ()


def test_thoughts_ahead_of_a_voice_that_was_heard_to_the_end_were_never_said() -> None:
    talk = greeted()
    begins, _ = turn(0)
    outputs = feed(talk, text(1, " How can I help you?"), Played(6_400), *begins)
    assert outputs[1:] == [
        plays("resp_1"),
        Cancel("resp_1"),
        started("item_2", 0),
        *closed("resp_1", "item_1", "Good morning to you. How can I help you?", None, "incomplete"),
        cancelled("resp_1", spoken("item_1", "Good morning to you. How can I help you?", "incomplete")),
        has_played("resp_1"),
        truncated("item_1", 800),
        Transcribe("item_2", line(100)),
    ]
    # The last word has no successor that would prove it was whole.
    assert talk.conversation.items == (spoken("item_1", "Good morning to", "incomplete"),)


def test_barge_in_before_the_model_has_said_anything() -> None:
    talk = session()
    talk.say("Good morning to you.")
    begins, _ = turn(0)
    assert feed(talk, *begins) == [
        Cancel("resp_1"),
        started("item_1", 0),
        cancelled("resp_1"),
        Transcribe("item_1", line(100)),
    ]


def test_a_client_that_plays_for_itself_is_not_flushed_and_says_what_was_heard() -> None:
    talk = greeted(plays=False)
    begins, _ = turn(0)
    outputs = feed(talk, *begins)
    assert outputs == [
        Cancel("resp_1"),
        started("item_2", 0),
        *closed("resp_1", "item_1", "Good morning to you.", None, "incomplete"),
        cancelled("resp_1", spoken("item_1", "Good morning to you.", "incomplete")),
        Transcribe("item_2", line(100)),
    ]
    heard_so_far = conv.ConversationItemTruncate(item_id="item_1", audio_end_ms=550)
    assert feed(talk, heard_so_far) == [truncated("item_1", 550)]
    assert talk.conversation.items == (spoken("item_1", "Good morning", "incomplete"),)


def test_what_is_played_is_cut_by_its_client_while_it_is_being_made() -> None:
    talk = greeted(plays=False)
    assert feed(talk, conv.ConversationItemTruncate(item_id="item_1", audio_end_ms=250)) == [
        Cancel("resp_1"),
        *closed("resp_1", "item_1", "Good morning to you.", None, "incomplete"),
        cancelled("resp_1", spoken("item_1", "Good morning to you.", "incomplete"), reason="client_cancelled"),
        truncated("item_1", 250),
    ]
    assert talk.conversation.items == (spoken("item_1", "Good", "incomplete"),)


def test_a_cut_that_cannot_be_made_leaves_the_answer_running() -> None:
    talk = greeted(plays=False)
    text_ = "Audio content of 800ms is already shorter than 1051ms"
    too_long = conv.ConversationItemTruncate(item_id="item_1", audio_end_ms=1_051, event_id="mine")
    assert feed(talk, too_long) == [refused("invalid_value", text_, "audio_end_ms", "mine")]
    assert feed(talk, audio(1, 20)) == [sound("resp_1", "item_1", voice(20))]


def test_a_caller_who_may_not_interrupt_is_answered_afterwards() -> None:
    rule = ServerVad(interrupt_response=False)
    talk = greeted(config=msgspec.structs.replace(CONFIG, turn_detection=rule))
    begins, ends = turn(0)
    assert feed(talk, *begins, *ends, Transcribed("item_2", "Hello?", True)) == [
        started("item_2", 0),
        Transcribe("item_2", line(100)),
        stopped("item_2", 1_100),
        *committed("item_2", "item_1"),
        EndTranscription("item_2"),
        *understood("item_2", "Hello?", 1.1),
    ]
    greeting = spoken("item_1", "Good morning to you.")
    assert feed(talk, Finished("resp_1")) == [
        *closed("resp_1", "item_1", "Good morning to you.", None),
        ended("resp_1", greeting),
        created("resp_2"),
        Respond("resp_2", prompt(greeting, said("item_2", "Hello?"))),
    ]


def test_an_utterance_is_not_answered_where_the_client_wants_to_ask() -> None:
    rule = ServerVad(create_response=False)
    talk = session(msgspec.structs.replace(CONFIG, turn_detection=rule))
    begins, ends = turn(0)
    feed(talk, *begins, *ends)
    assert feed(talk, Transcribed("item_1", "Hello?", True)) == [*understood("item_1", "Hello?", 1.1)]
    assert feed(talk, resp.ResponseCreate()) == [
        created("resp_1"),
        Respond("resp_1", prompt(said("item_1", "Hello?"))),
    ]


def test_noise_is_not_answered() -> None:
    talk = session()
    begins, ends = turn(0)
    feed(talk, *begins, *ends)
    assert feed(talk, Transcribed("item_1", "", True)) == [*understood("item_1", "", 1.1)]
    assert telling(talk.conversation.items) == ()


def test_noise_that_cut_off_an_answer_is_answered_since_somebody_must_speak() -> None:
    talk = greeted()
    begins, ends = turn(0)
    feed(talk, *begins, Flushed(2_400), *ends)
    assert feed(talk, Transcribed("item_2", "", True)) == [
        *understood("item_2", "", 1.1),
        created("resp_2"),
        Respond("resp_2", prompt(spoken("item_1", "Good", "incomplete"))),
    ]


def test_a_caller_who_speaks_again_while_being_transcribed_is_answered_once() -> None:
    talk = session()
    begins, ends = turn(0)
    begins_again, ends_again = turn(1_100)
    feed(talk, *begins, *ends, *begins_again)
    assert feed(talk, Transcribed("item_1", "I want", True)) == [*understood("item_1", "I want", 1.1)]
    feed(talk, *ends_again)
    assert feed(talk, Transcribed("item_2", "a table.", True)) == [
        *understood("item_2", "a table.", 1.1),
        created("resp_1"),
        Respond("resp_1", prompt(said("item_1", "I want"), said("item_2", "a table."))),
    ]


def test_an_answer_waits_for_all_that_was_said_in_whatever_order_it_is_understood() -> None:
    talk = session()
    for at_ms in (0, 1_100):
        begins, ends = turn(at_ms)
        feed(talk, *begins, *ends)
    assert feed(talk, Transcribed("item_2", "a table.", True)) == [*understood("item_2", "a table.", 1.1)]
    assert feed(talk, Transcribed("item_1", "", True), Transcribed("item_1", "late", True)) == [
        *understood("item_1", "", 1.1),
        created("resp_1"),
        Respond("resp_1", prompt(said("item_2", "a table."))),
    ]


def test_words_known_before_the_caller_stops_follow_the_commit() -> None:
    talk = session()
    begins, ends = turn(0)
    feed(talk, *begins)
    assert feed(talk, Transcribed("item_1", "Yes.", True)) == []
    assert feed(talk, *ends) == [
        stopped("item_1", 1_100),
        *committed("item_1", None),
        EndTranscription("item_1"),
        *understood("item_1", "Yes.", 1.1),
        created("resp_1"),
        Respond("resp_1", prompt(said("item_1", "Yes."))),
    ]


def test_a_commit_by_hand_makes_an_item_of_all_that_is_kept_and_no_answer() -> None:
    talk = session(MANUAL)
    append = heard.InputAudioBufferAppend(audio=line(1_000))
    assert feed(talk, append, speech(900), heard.InputAudioBufferCommit()) == [
        Transcribe("item_1", line(1_000)),
        *committed("item_1", None),
        EndTranscription("item_1"),
    ]
    assert feed(talk, Transcribed("item_1", "Hello.", True)) == [*understood("item_1", "Hello.", 1.0)]
    assert feed(talk, line(200), heard.InputAudioBufferCommit())[:2] == [
        Transcribe("item_2", line(200)),
        committed("item_2", "item_1")[0],
    ]


@pytest.mark.parametrize(("ms", "kept"), [(0, "0.00"), (50, "50.00"), (99, "99.00")])
def test_a_commit_of_next_to_nothing_is_refused(ms: int, kept: str) -> None:
    message = (
        "Error committing input audio buffer: buffer too small. "
        f"Expected at least 100ms of audio, but buffer only has {kept}ms of audio."
    )
    assert feed(session(MANUAL), line(ms), heard.InputAudioBufferCommit(event_id="mine")) == [
        refused("input_audio_buffer_commit_empty", message, event_id="mine")
    ]


def test_a_cleared_buffer_holds_nothing() -> None:
    talk = session(MANUAL)
    assert feed(talk, line(500), heard.InputAudioBufferClear()) == [heard.InputAudioBufferCleared(event_id=EVENT)]
    (too_small,) = feed(talk, heard.InputAudioBufferCommit())
    assert "only has 0.00ms" in str(too_small)


def test_a_commit_while_the_caller_speaks_takes_the_announced_item() -> None:
    talk = session()
    begins, _ = turn(0)
    feed(talk, *begins)
    assert feed(talk, line(300), heard.InputAudioBufferCommit()) == [
        *committed("item_1", None),
        EndTranscription("item_1"),
    ]
    assert feed(talk, line(100), silence(500)) == [], "nobody speaks any more, so nobody stops"


def test_a_clear_while_the_caller_speaks_makes_the_utterance_void() -> None:
    talk = session()
    begins, _ = turn(0)
    feed(talk, *begins)
    assert feed(talk, heard.InputAudioBufferClear()) == [
        DropTranscription("item_1"),
        heard.InputAudioBufferCleared(event_id=EVENT),
    ]
    assert feed(talk, Transcribed("item_1", "void", True), TranscriptionFailed("item_1", "void")) == []
