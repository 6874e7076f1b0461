"""The caller's side beyond plain turns: growing transcripts, silence that counts as a turn, sound by the way."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.audio.formats import PCM_16K
from pipeline.commands import EndTranscription, JudgeTurn, Respond, Transcribe
from pipeline.events import conversation as conv
from pipeline.events import input_audio as heard
from pipeline.events import response as resp
from pipeline.events import session as sess
from pipeline.events.config import SemanticVad, ServerVad
from pipeline.events.event import ServerEvent
from pipeline.events.items import InputAudio, InputText, ItemReference, Message
from pipeline.limits import Limits
from pipeline.reports import (
    DigitPressed,
    Finished,
    Flushed,
    Played,
    ToolRequested,
    Transcribed,
    TranscriptionFailed,
    TurnJudged,
)
from pipeline.session import Output, Session
from tests.fakes import Ids
from tests.pipeline.expected import (
    EVENT,
    committed,
    created,
    joined,
    misunderstood,
    refused,
    said,
    started,
    stopped,
    typed,
    understood,
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
)

replace = msgspec.structs.replace


def delta(item_id: str, words: str) -> ServerEvent:
    return conv.TranscriptionDelta(event_id=EVENT, item_id=item_id, delta=words)


def guess(item_id: str, words: str) -> Transcribed:
    return Transcribed(item_id, words, False)


def test_words_are_told_as_they_become_certain_and_only_once_the_item_is_there() -> None:
    talk = session()
    begins, ends = turn(0)
    guesses: list[Input] = [guess("item_1", "I would"), guess("item_1", "I would like")]
    assert feed(talk, *begins, *guesses)[2:] == [], "the client has not heard of the item yet"
    assert feed(talk, *ends)[-1] == delta("item_1", "I would")
    assert feed(talk, guess("item_1", "I would like a"), Transcribed("item_1", "I would like a table.", True))[
        :3
    ] == [
        delta("item_1", " like"),
        *understood("item_1", "I would like a table.", 1.1, told="I would like"),
    ]


def test_a_final_text_that_is_not_what_was_told_is_told_by_the_end_alone() -> None:
    talk = session()
    begins, ends = turn(0)
    feed(talk, *begins, *ends)
    assert feed(talk, guess("item_1", "Six"), guess("item_1", "Six"), Transcribed("item_1", "Sick.", True))[:2] == [
        delta("item_1", "Six"),
        conv.TranscriptionCompleted(event_id=EVENT, item_id="item_1", transcript="Sick.", seconds=1.1),
    ]


def test_a_client_that_asked_for_no_transcripts_gets_none_and_is_answered() -> None:
    talk = session(replace(CONFIG, transcription=None))
    begins, ends = turn(0)
    feed(talk, *begins, *ends)
    assert feed(talk, guess("item_1", "Hi"), guess("item_1", "Hi"), Transcribed("item_1", "Hi", True)) == [
        created("resp_1"),
        Respond("resp_1", prompt(said("item_1", "Hi"))),
    ]
    feed(talk, Finished("resp_1"), *turn(1_100)[0], *turn(1_100)[1])
    assert feed(talk, TranscriptionFailed("item_2", "gone")) == []


def test_whoever_asks_for_transcripts_in_the_middle_is_told_all_of_it() -> None:
    talk = session(replace(CONFIG, transcription=None))
    begins, ends = turn(0)
    feed(talk, *begins, *ends, guess("item_1", "One"), guess("item_1", "One two"), guess("item_1", "One two"))
    feed(talk, sess.SessionUpdate(session=CONFIG))
    assert feed(talk, Transcribed("item_1", "One two.", True))[:2] == understood("item_1", "One two.", 1.1)


def test_guesses_about_nobodys_words_are_passed_over() -> None:
    assert feed(session(), guess("item_7", "Hi"), guess("item_7", "Hi")) == []


# A silence that counts as a turn: Realtime reference, section D.12

IDLE = replace(CONFIG, turn_detection=ServerVad(idle_timeout_ms=5_000))


def timed_out(item_id: str, start_ms: int, end_ms: int, previous: str | None) -> list[Output]:
    event = heard.TimeoutTriggered(event_id=EVENT, audio_start_ms=start_ms, audio_end_ms=end_ms, item_id=item_id)
    done = conv.TranscriptionCompleted(event_id=EVENT, item_id=item_id, transcript="", seconds=0.0)
    return [event, *committed(item_id, previous), done]


def frames(ms: int) -> list[Input]:
    """The caller's line, as it comes in."""
    return [line(20) for _ in range(ms // 20)]


def asked_whether_anybody_is_there(response_id: str, seconds: int) -> list[Output]:
    told = prompt(instructions=f"Be kind.\n\nThe caller has said nothing for {seconds} seconds.")
    return [created(response_id), Respond(response_id, told)]


def answered(*, plays: bool = True) -> Session:
    """Its first answer had no words, and is over."""
    talk = session(IDLE, plays=plays)
    feed(talk, resp.ResponseCreate(), Finished("resp_1"))
    return talk


def test_a_silence_after_an_answer_is_the_callers_turn() -> None:
    talk = answered()
    assert feed(talk, *frames(4_980)) == []
    assert feed(talk, line(20)) == [
        *timed_out("item_1", 0, 5_000, None),
        *asked_whether_anybody_is_there("resp_2", 5),
    ]
    assert feed(talk, *frames(60_000)) == [], "the answer is under way"
    feed(talk, Finished("resp_2"))
    again = feed(talk, *frames(5_000))
    assert again[:-2] == timed_out("item_2", 65_000, 70_000, "item_1")


def test_nobody_is_hurried_before_the_first_answer_nor_without_the_rule() -> None:
    assert feed(session(IDLE), *frames(60_000)) == []
    talk = session()
    feed(talk, resp.ResponseCreate(), Finished("resp_1"))
    assert feed(talk, *frames(60_000)) == []


def test_where_the_client_asks_for_answers_a_silence_is_only_told() -> None:
    rule = ServerVad(idle_timeout_ms=5_000, create_response=False)
    talk = session(replace(CONFIG, turn_detection=rule, transcription=None))
    feed(talk, resp.ResponseCreate(), Finished("resp_1"))
    assert feed(talk, *frames(5_000)) == timed_out("item_1", 0, 5_000, None)[:-1]
    assert feed(talk, *frames(60_000)) == [], "until the next answer"


def test_the_wait_begins_when_the_last_word_was_heard() -> None:
    talk = greeted(config=IDLE)
    feed(talk, Finished("resp_1"), *frames(10_000), Played(6_400))
    assert feed(talk, *frames(4_980)) == []
    assert feed(talk, line(20))[0] == timed_out("item_2", 10_000, 15_000, "item_1")[0]


def test_where_the_client_plays_the_end_of_its_playback_is_reckoned() -> None:
    talk = greeted(plays=False, config=IDLE)
    feed(talk, Finished("resp_1"))
    assert feed(talk, *frames(5_780)) == []
    assert feed(talk, line(20))[0] == timed_out("item_2", 800, 5_800, "item_1")[0]


@pytest.mark.parametrize("words", ["", "Hello?"])
def test_whoever_speaks_has_the_wait_begin_anew(words: str) -> None:
    rule = ServerVad(idle_timeout_ms=5_000, create_response=False)
    talk = session(replace(IDLE, turn_detection=rule))
    feed(talk, resp.ResponseCreate(), Finished("resp_1"), *frames(4_000))
    begins, ends = turn(4_000)
    feed(talk, *begins, Transcribed("item_1", words, True), *ends)
    assert feed(talk, *frames(4_980)) == []
    assert isinstance(feed(talk, line(20))[0], heard.TimeoutTriggered)


def test_what_is_still_to_be_understood_is_no_silence() -> None:
    talk = answered()
    begins, ends = turn(0)
    feed(talk, *begins, *ends)
    assert feed(talk, *frames(20_000)) == []


def test_a_key_and_a_function_that_runs_are_no_silence() -> None:
    talk = answered()
    feed(talk, *frames(4_000))
    assert [type(e) for e in feed(talk, DigitPressed("1"), *frames(1_900))] == [heard.DtmfEventReceived]
    waiting = session(IDLE, own_tools=frozenset({"look"}))
    feed(waiting, resp.ResponseCreate(), ToolRequested("resp_1", "call_1", "look", "{}"), Finished("resp_1"))
    assert feed(waiting, *frames(20_000)) == []


def test_a_rule_that_is_given_later_counts_from_then_on() -> None:
    talk = session()
    feed(talk, resp.ResponseCreate(), Finished("resp_1"), *frames(60_000), sess.SessionUpdate(session=IDLE))
    assert feed(talk, *frames(4_980)) == []
    assert feed(talk, line(20))[0] == timed_out("item_1", 60_000, 65_000, None)[0]


def test_the_wait_outlives_a_change_of_the_input_format() -> None:
    talk = answered(plays=False)
    feed(talk, sess.SessionUpdate(session=replace(IDLE, input_format=PCM_16K)))
    assert feed(talk, *(bytes(PCM_16K.bytes_in(20)) for _ in range(249))) == []
    assert feed(talk, bytes(PCM_16K.bytes_in(20)))[0] == timed_out("item_1", 0, 5_000, None)[0]


# Sound that comes with an item


def brought(*parts: InputAudio | InputText) -> conv.ConversationItemCreate:
    return conv.ConversationItemCreate(item=Message(id="mine", role="user", content=parts))


def test_sound_that_comes_with_an_item_is_understood_and_not_answered() -> None:
    talk = session(plays=False)
    assert feed(talk, brought(InputAudio(transcript=None, audio=line(400)))) == [
        *joined(said("mine"), None),
        Transcribe("mine", line(400)),
        EndTranscription("mine"),
    ]
    assert feed(talk, Transcribed("mine", "A table.", True)) == understood("mine", "A table.", 0.4)
    assert feed(talk, resp.ResponseCreate())[1] == Respond("resp_1", prompt(said("mine", "A table.")))


def test_what_is_said_in_words_beside_the_sound_does_not_stand_for_it() -> None:
    talk = session(plays=False)
    ask = InputText(text="What do I say?")
    outputs = feed(talk, brought(ask, InputAudio(transcript=None, audio=line(400))))
    assert outputs[2:] == [Transcribe("mine", line(400)), EndTranscription("mine")]


def test_sound_whose_words_are_told_is_not_listened_to() -> None:
    talk = session(plays=False)
    known = brought(InputAudio(transcript="A table.", audio=line(400)))
    assert feed(talk, known) == joined(said("mine", "A table."), None)


def test_nobody_apologises_for_sound_that_was_no_turn() -> None:
    talk = session(plays=False, apology="Sorry.")
    feed(talk, brought(InputAudio(transcript=None, audio=line(400))))
    assert feed(talk, TranscriptionFailed("mine", "gone")) == [misunderstood("mine", "gone")]


def test_an_answer_that_is_asked_for_waits_for_the_words() -> None:
    talk = session(MANUAL, plays=False)
    feed(talk, line(400), heard.InputAudioBufferCommit())
    assert feed(talk, resp.ResponseCreate()) == [created("resp_1")]
    assert feed(talk, guess("item_1", "Hello")) == []
    assert feed(talk, Transcribed("item_1", "Hello.", True)) == [
        *understood("item_1", "Hello.", 0.4),
        Respond("resp_1", prompt(said("item_1", "Hello."))),
    ]


def test_an_answer_that_is_asked_for_does_not_wait_for_words_that_never_come() -> None:
    talk = session(MANUAL, plays=False, apology="Sorry.")
    feed(talk, line(400), heard.InputAudioBufferCommit(), resp.ResponseCreate())
    assert feed(talk, TranscriptionFailed("item_1", "gone")) == [
        misunderstood("item_1", "gone"),
        Respond("resp_1", prompt()),
    ]


def test_answers_out_of_band_wait_for_the_words_too_unless_all_they_need_is_given() -> None:
    talk = session(plays=False)
    begins, ends = turn(0)
    feed(talk, *begins, *ends)
    aside = resp.ResponseCreate(is_out_of_band=True)
    with_words, alone = (ItemReference(id="item_1"), typed("", "Sum up.")), (typed("", "Time?"),)
    asked = [aside, replace(aside, input=with_words), replace(aside, input=alone)]
    assert [e for e in feed(talk, *asked) if isinstance(e, Respond)] == [
        Respond("resp_3", prompt(*alone), input=alone, is_out_of_band=True)
    ]
    question = said("item_1", "A table.")
    asides = (question, typed("", "Sum up."))
    assert feed(talk, Transcribed("item_1", "A table.", True))[2:] == [
        Respond("resp_1", prompt(question), is_out_of_band=True),
        Respond("resp_2", prompt(*asides), input=asides, is_out_of_band=True),
        created("resp_4"),
        Respond("resp_4", prompt(question)),
    ]


def test_an_answer_that_waits_and_is_cancelled_never_begins() -> None:
    talk = session(MANUAL, plays=False)
    feed(talk, line(400), heard.InputAudioBufferCommit(), resp.ResponseCreate(), resp.ResponseCancel())
    assert feed(talk, Transcribed("item_1", "Hello.", True)) == understood("item_1", "Hello.", 0.4)


# By event


def test_words_known_early_are_answered_where_sound_comes_by_event() -> None:
    talk = session(plays=False)
    begins, _ = turn(0)
    feed(talk, *begins, Transcribed("item_1", "Yes.", True), line(480), silence(580))
    append = heard.InputAudioBufferAppend(audio=line(20))
    assert feed(talk, append) == [
        stopped("item_1", 600),
        *committed("item_1", None),
        EndTranscription("item_1"),
        *understood("item_1", "Yes.", 0.6),
        created("resp_1"),
        Respond("resp_1", prompt(said("item_1", "Yes."))),
    ]


def test_clearing_what_is_being_said_lets_what_was_said_before_be_answered() -> None:
    talk = session(plays=False)
    (begins, ends), (again, _) = turn(0), turn(1_100)
    feed(talk, *begins, *ends, *again, Transcribed("item_1", "A table.", True))
    assert feed(talk, heard.InputAudioBufferClear())[2:] == [
        created("resp_1"),
        Respond("resp_1", prompt(said("item_1", "A table."))),
    ]


def test_what_was_said_under_an_answer_is_answered_when_the_client_cancels_it() -> None:
    rule = ServerVad(interrupt_response=False)
    talk = greeted(plays=False, config=replace(CONFIG, turn_detection=rule))
    begins, ends = turn(0)
    feed(talk, *begins, *ends, Transcribed("item_2", "Stop!", True))
    assert feed(talk, resp.ResponseCancel())[-2] == created("resp_2")


def test_more_than_may_wait_for_a_commit_is_refused_where_nobody_else_commits() -> None:
    talk = Session(MANUAL, Ids(), plays=False, limits=Limits(buffered_bytes=1_000))
    feed(talk, heard.InputAudioBufferAppend(audio=bytes(900)))
    text_ = "The input audio buffer holds at most 1000 bytes. Commit or clear it first."
    assert feed(talk, heard.InputAudioBufferAppend(audio=bytes(101), event_id="mine")) == [
        refused("input_audio_buffer_full", text_, "audio", "mine")
    ]
    assert feed(talk, heard.InputAudioBufferAppend(audio=bytes(100))) == []
    assert feed(talk, heard.InputAudioBufferCommit())[0] == Transcribe("item_1", bytes(1_000))


# Transcription sessions, and turns that end with the sense


@pytest.mark.parametrize("rule", [ServerVad(idle_timeout_ms=5_000), SemanticVad()])
def test_a_transcription_session_writes_down_and_never_answers(rule: ServerVad | SemanticVad) -> None:
    talk = session(replace(CONFIG, type="transcription", turn_detection=rule), plays=False, apology="Sorry.")
    assert talk.say("Hello.") == []
    begins, ends = turn(0)
    feed(talk, *begins, *ends, *frames(5_000), silence(6_100))
    told = feed(talk, Transcribed("item_1", "Hello.", True))
    assert [type(event) for event in told] == [conv.TranscriptionDelta, conv.TranscriptionCompleted]
    begins, ends = turn(6_100)
    feed(talk, *begins, *ends, *frames(5_000), silence(12_200))
    assert feed(talk, TranscriptionFailed("item_2", "gone")) == [misunderstood("item_2", "gone")]
    message = "A transcription session makes no responses."
    assert feed(talk, resp.ResponseCreate(event_id="mine")) == [refused("invalid_value", message, "type", "mine")]
    assert feed(talk, *frames(30_000)) == []


def test_a_finished_sentence_ends_its_turn_and_an_unfinished_one_is_waited_for() -> None:
    ended_at = {}
    for words in ("I would like a table.", "I would like a"):
        talk = session(replace(CONFIG, turn_detection=SemanticVad()))
        feed(talk, line(100), speech(100), line(500), speech(600), guess("item_1", words))
        outputs: list[Output] = []
        for at_ms in range(620, 6_000, 20):
            outputs += feed(talk, line(20), silence(at_ms))
        (end,) = [e for e in outputs if isinstance(e, heard.SpeechStopped)]
        ended_at[words] = end.audio_end_ms - 600
    assert list(ended_at.values()) == [400, 4_000]


def test_the_pause_is_judged_once_and_the_judgement_ends_the_turn_sooner() -> None:
    talk = session(replace(CONFIG, turn_detection=SemanticVad()))
    feed(talk, line(100), speech(100), line(500), speech(600))
    outputs: list[Output] = []
    for at_ms in range(620, 900, 20):
        outputs += feed(talk, silence(at_ms - 20), line(20))
    assert outputs == [JudgeTurn("item_1", line(800))]
    feed(talk, TurnJudged("item_7", 0.9), TurnJudged("item_1", 0.9))
    ends: list[Input] = [each for at_ms in range(880, 1_000, 20) for each in (silence(at_ms), line(20))]
    assert feed(talk, *ends)[0] == stopped("item_1", 1_000)


def test_a_turn_that_the_sense_decides_interrupts_and_is_interrupted_like_any_other() -> None:
    talk = greeted(config=replace(CONFIG, turn_detection=SemanticVad(interrupt_response=False)))
    assert feed(talk, *turn(0)[0]) == [started("item_2", 0), Transcribe("item_2", line(100))]
    talk = greeted(config=replace(CONFIG, turn_detection=SemanticVad()))
    stops = feed(talk, *turn(0)[0], Flushed(0))
    assert [type(e).__name__ for e in stops[:3]] == ["Cancel", "Flush", "SpeechStarted"]


def test_an_entry_of_keys_in_a_transcription_session_is_not_answered() -> None:
    talk = session(replace(CONFIG, type="transcription"))
    assert feed(talk, DigitPressed("#"))[1:] == joined(typed("item_1", "[keypad] #"), None)


def test_reports_of_an_answer_out_of_band_leave_the_caller_idle() -> None:
    talk = answered(plays=False)
    aside = resp.ResponseCreate(is_out_of_band=True)
    feed(talk, aside, text(2, "Aside."), audio(2, 10_000, "Aside."))
    assert feed(talk, *frames(5_000))[0] == timed_out("item_2", 0, 5_000, None)[0]
