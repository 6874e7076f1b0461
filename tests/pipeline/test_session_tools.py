"""A session's functions, farewells, keys and failures, as whole lists."""

from __future__ import annotations

from pipeline.answers import MOST_FAILURES
from pipeline.audio.formats import PCMU
from pipeline.commands import CallTool, Cancel, EndTranscription, Flush, HangUp, Respond, Transcribe
from pipeline.events import conversation as conv
from pipeline.events import input_audio as heard
from pipeline.events import response as resp
from pipeline.events.config import ServerVad, SessionConfig
from pipeline.events.items import FunctionCall
from pipeline.reports import (
    DigitPressed,
    Failed,
    Finished,
    Flushed,
    Played,
    ToolRequested,
    ToolReturned,
    Transcribed,
    TranscriptionFailed,
)
from pipeline.session import Output, Session
from tests.pipeline.expected import (
    EVENT,
    called,
    cancelled,
    closed,
    committed,
    created,
    ended,
    failed,
    has_played,
    is_cleared,
    joined,
    misunderstood,
    opened,
    plays,
    result,
    said,
    spoken,
    started,
    stopped,
    truncated,
    typed,
    understood,
    words,
)
from tests.pipeline.feeding import MANUAL, audio, feed, line, prompt, session, text, turn

OWN = frozenset({"find_table", "end_call"})


def call_of(item_id: str, call_id: str, name: str = "find_table", arguments: str = "{}") -> FunctionCall:
    return FunctionCall(id=item_id, call_id=call_id, name=name, arguments=arguments)


def test_a_function_of_ours_is_run_after_the_response_and_its_result_answered() -> None:
    talk = session(own_tools=OWN)
    asked = ToolRequested("resp_1", "call_1", "find_table", '{"for": 4}')
    call = call_of("item_1", "call_1", arguments='{"for": 4}')
    assert feed(talk, resp.ResponseCreate(), asked, Finished("resp_1", 9, 3)) == [
        created("resp_1"),
        Respond("resp_1", prompt()),
        *called("resp_1", "item_1", "call_1", "find_table", '{"for": 4}', None),
        ended("resp_1", call, tokens=(9, 3)),
        CallTool("call_1", "find_table", '{"for": 4}'),
    ]
    returned = result("item_2", "call_1", '{"at": 8}')
    assert feed(talk, ToolReturned("call_1", '{"at": 8}')) == [
        *joined(returned, "item_1"),
        created("resp_2"),
        Respond("resp_2", prompt(call, returned)),
    ]


def test_a_function_of_the_client_is_the_clients_to_run_and_to_answer() -> None:
    talk = session()
    asked = ToolRequested("resp_1", "call_1", "find_table", "{}")
    call = call_of("item_1", "call_1")
    assert feed(talk, resp.ResponseCreate(), asked, Finished("resp_1"))[2:] == [
        *called("resp_1", "item_1", "call_1", "find_table", "{}", None),
        ended("resp_1", call),
    ]
    output = result("mine", "call_1", "at eight")
    assert feed(talk, conv.ConversationItemCreate(item=output), resp.ResponseCreate()) == [
        *joined(output, "item_1"),
        created("resp_2"),
        Respond("resp_2", prompt(call, output)),
    ]


def test_words_and_several_functions_in_one_response_are_answered_together() -> None:
    talk = session(own_tools=OWN)
    one, two = (ToolRequested("resp_1", f"call_{n}", "find_table", "{}") for n in (1, 2))
    assert feed(talk, resp.ResponseCreate(), text(1, "One moment."), one, two, Finished("resp_1"))[2:] == [
        *opened("resp_1", "item_1", None),
        words("resp_1", "item_1", "One moment."),
        *called("resp_1", "item_2", "call_1", "find_table", "{}", "item_1", 1),
        *called("resp_1", "item_3", "call_2", "find_table", "{}", "item_2", 2),
        *closed("resp_1", "item_1", "One moment.", None),
        ended("resp_1", spoken("item_1", "One moment."), call_of("item_2", "call_1"), call_of("item_3", "call_2")),
        CallTool("call_1", "find_table", "{}"),
        CallTool("call_2", "find_table", "{}"),
    ]
    assert feed(talk, ToolReturned("call_2", "two")) == joined(result("item_4", "call_2", "two"), "item_3")
    assert feed(talk, ToolReturned("call_1", "one"))[:3] == [
        *joined(result("item_5", "call_1", "one"), "item_4"),
        created("resp_2"),
    ]


def test_a_response_cancelled_before_its_end_runs_no_function() -> None:
    talk = session(own_tools=OWN)
    feed(talk, resp.ResponseCreate(), ToolRequested("resp_1", "call_1", "find_table", "{}"))
    assert feed(talk, resp.ResponseCancel()) == [
        Cancel("resp_1"),
        cancelled("resp_1", call_of("item_1", "call_1"), reason="client_cancelled"),
    ]
    assert feed(talk, ToolReturned("call_1", "never asked for")) == []


def test_a_result_that_comes_after_an_interruption_is_kept_once_and_answered_with_the_words() -> None:
    talk = session(own_tools=OWN)
    feed(talk, resp.ResponseCreate(), ToolRequested("resp_1", "call_1", "find_table", "{}"), Finished("resp_1"))
    begins, ends = turn(0)
    feed(talk, *begins)
    late = ToolReturned("call_1", "at eight")
    assert feed(talk, late, late) == joined(result("item_3", "call_1", "at eight"), "item_1")
    feed(talk, *ends)
    assert feed(talk, Transcribed("item_2", "For two.", True))[2:] == [
        created("resp_2"),
        Respond(
            "resp_2",
            prompt(call_of("item_1", "call_1"), result("item_3", "call_1", "at eight"), said("item_2", "For two.")),
        ),
    ]


def saying_goodbye(*, plays: bool = True) -> Session:
    """A session whose agent has asked to end the call, and has said goodbye: item_1, 800 ms."""
    talk = session(plays=plays, own_tools=OWN)
    feed(talk, resp.ResponseCreate(), text(1, "Goodbye then."), audio(1, 800, "Goodbye then."))
    feed(talk, ToolRequested("resp_1", "call_1", "end_call", "{}"), Finished("resp_1"))
    return talk


RESULT = ToolReturned("call_1", "{}", ends_call=True)


def test_a_farewell_is_heard_to_its_last_word_before_we_hang_up() -> None:
    talk = saying_goodbye()
    assert feed(talk, Played(3_200), RESULT) == [
        plays("resp_1"),
        *joined(result("item_3", "call_1", "{}"), "item_2"),
    ]
    assert talk.phase.name == "ENDING"
    assert feed(talk, Played(6_399)) == []
    assert feed(talk, Played(6_400), Played(6_400)) == [has_played("resp_1"), HangUp("agent_hung_up")]
    assert talk.phase.name == "ENDED"


def test_a_farewell_nobody_waits_to_hear_hangs_up_with_its_result() -> None:
    talk = saying_goodbye(plays=False)
    assert feed(talk, RESULT)[-1] == HangUp("agent_hung_up")


def test_a_farewell_without_words_hangs_up_with_its_result() -> None:
    talk = session(own_tools=OWN)
    feed(talk, resp.ResponseCreate(), ToolRequested("resp_1", "call_1", "end_call", "{}"), Finished("resp_1"))
    assert feed(talk, RESULT)[-1] == HangUp("agent_hung_up")


def test_a_farewell_waits_for_the_functions_that_still_run() -> None:
    talk = session(own_tools=OWN)
    asked = [ToolRequested("resp_1", f"call_{n}", name, "{}") for n, name in ((1, "end_call"), (2, "find_table"))]
    feed(talk, resp.ResponseCreate(), *asked, Finished("resp_1"))
    assert HangUp("agent_hung_up") not in feed(talk, RESULT)
    assert feed(talk, ToolReturned("call_2", "{}"))[-1] == HangUp("agent_hung_up")


def test_a_caller_who_objects_to_a_farewell_is_answered_and_the_call_goes_on() -> None:
    talk = saying_goodbye()
    feed(talk, RESULT)
    begins, ends = turn(0)
    assert feed(talk, *begins, Flushed(1_600)) == [
        Flush(),
        started("item_4", 0),
        Transcribe("item_4", line(100)),
        plays("resp_1"),
        is_cleared("resp_1"),
        truncated("item_1", 200),
    ]
    assert talk.phase.name == "TALKING"
    feed(talk, *ends)
    assert feed(talk, Transcribed("item_4", "Wait!", True))[2] == created("resp_2")


def test_a_caller_who_speaks_while_the_farewell_is_arranged_has_objected() -> None:
    talk = saying_goodbye()
    begins, ends = turn(0)
    feed(talk, *begins, Flushed(1_600))
    assert feed(talk, RESULT) == joined(result("item_4", "call_1", "{}"), "item_2")
    feed(talk, *ends)
    assert feed(talk, Transcribed("item_3", "Wait!", True))[2] == created("resp_2")
    assert talk.phase.name == "TALKING"


def pressed(key: str, at_ms: int) -> heard.DtmfEventReceived:
    return heard.DtmfEventReceived(event_id=EVENT, event=key, received_at=at_ms)


def test_keys_up_to_a_hash_are_one_entry_and_are_answered() -> None:
    talk = session()
    entry = typed("item_1", "[keypad] 12#")
    outputs: list[Output] = [
        pressed("1", 500),
        pressed("2", 1_500),
        pressed("#", 1_500),
        *joined(entry, None),
        created("resp_1"),
        Respond("resp_1", prompt(entry)),
    ]
    assert feed(talk, line(500), DigitPressed("1"), line(1_000), DigitPressed("2"), DigitPressed("#")) == outputs


def test_a_pause_ends_an_entry_of_keys() -> None:
    talk = session()
    assert feed(talk, DigitPressed("7"), line(1_990)) == [pressed("7", 0)]
    entry = typed("item_1", "[keypad] 7")
    assert feed(talk, line(10), line(5_000)) == [
        *joined(entry, None),
        created("resp_1"),
        Respond("resp_1", prompt(entry)),
    ]


def test_a_key_interrupts_and_the_answer_waits_for_the_whole_entry() -> None:
    talk = session()
    talk.say("Press one for tables.")
    feed(talk, text(1, "Press one for tables."), audio(1, 800, "Press one for tables."))
    assert feed(talk, DigitPressed("1"), Flushed(0)) == [
        Cancel("resp_1"),
        Flush(),
        pressed("1", 0),
        *closed("resp_1", "item_1", "Press one for tables.", None, "incomplete"),
        cancelled("resp_1", spoken("item_1", "Press one for tables.", "incomplete")),
        truncated("item_1", 0),
    ]
    begins, ends = turn(0)
    feed(talk, *begins, *ends, DigitPressed("2"))
    words_known = understood("item_2", "Hello?", 1.1)
    assert feed(talk, Transcribed("item_2", "Hello?", True)) == words_known, "keys are still being pressed"


def test_a_failure_is_followed_by_an_apology() -> None:
    talk = session(apology="Sorry.")
    assert feed(talk, resp.ResponseCreate(), text(1, "Well"), Failed("resp_1", "model_failed", "gone"))[2:] == [
        *opened("resp_1", "item_1", None),
        words("resp_1", "item_1", "Well"),
        *closed("resp_1", "item_1", "Well", None, "incomplete"),
        failed("resp_1", spoken("item_1", "Well", "incomplete"), code="model_failed", message="gone"),
        truncated("item_1", 0),
        created("resp_2"),
        Respond("resp_2", prompt(), script="Sorry."),
    ]


def test_a_failing_voice_is_not_asked_to_apologise() -> None:
    talk = session(apology="Sorry.")
    voiceless = Failed("resp_1", "voice_failed", "gone", is_voiceless=True)
    assert feed(talk, resp.ResponseCreate(), voiceless)[2:] == [
        failed("resp_1", code="voice_failed", message="gone"),
        created("resp_2"),
        Respond("resp_2", prompt(), script="Sorry.", is_recorded=True),
    ]


def test_failure_after_failure_ends_the_call_with_words_of_the_carriers() -> None:
    talk = session(apology="Sorry.")
    feed(talk, resp.ResponseCreate())
    for number in range(1, MOST_FAILURES + 1):
        last = feed(talk, Failed(f"resp_{number}", "voice_failed", "gone", is_voiceless=True))[-1]
        assert isinstance(last, Respond) and last.is_recorded
    assert feed(talk, Failed(f"resp_{MOST_FAILURES + 1}", "internal", "gone")) == [
        failed(f"resp_{MOST_FAILURES + 1}", code="internal", message="gone"),
        HangUp("provider_failed", farewell="Sorry."),
    ]
    assert talk.phase.name == "ENDED"


def test_an_answer_that_succeeds_makes_failures_forgotten_and_an_apology_does_not() -> None:
    talk = session(apology="Sorry.")
    for round in range(2 * MOST_FAILURES):
        feed(talk, resp.ResponseCreate())
        feed(talk, Failed(f"resp_{3 * round + 1}", "model_failed", "gone"), Finished(f"resp_{3 * round + 2}"))
        feed(talk, resp.ResponseCreate(), Finished(f"resp_{3 * round + 3}"))
    assert talk.phase.name == "TALKING"
    outputs: list[Output] = []
    for number in range(MOST_FAILURES + 1):
        feed(talk, resp.ResponseCreate())
        answer = 6 * MOST_FAILURES + 2 * number + 1
        outputs = feed(talk, Failed(f"resp_{answer}", "model_failed", "gone"), Finished(f"resp_{answer + 1}"))
    assert outputs[-1] == HangUp("provider_failed", farewell="Sorry.")


def test_without_an_apology_a_failure_is_only_told() -> None:
    talk = session()
    outputs = feed(talk, resp.ResponseCreate(), Failed("resp_1", "model_failed", "gone"))
    assert outputs[2:] == [failed("resp_1", code="model_failed", message="gone")]


def test_a_client_that_plays_for_itself_is_never_hung_up_on() -> None:
    talk = session(plays=False, apology="Sorry.")
    feed(talk, resp.ResponseCreate())
    for number in range(1, 3 * MOST_FAILURES):
        assert created(f"resp_{number + 1}") in feed(talk, Failed(f"resp_{number}", "model_failed", "gone"))


def test_what_was_not_understood_is_apologised_for() -> None:
    talk = session(apology="Sorry.")
    begins, ends = turn(0)
    assert feed(talk, *begins, *ends, TranscriptionFailed("item_1", "gone"))[2:] == [
        stopped("item_1", 1_100),
        *committed("item_1", None),
        EndTranscription("item_1"),
        misunderstood("item_1", "gone"),
        created("resp_1"),
        Respond("resp_1", prompt(), script="Sorry."),
    ]
    assert feed(talk, TranscriptionFailed("item_1", "gone")) == []


def test_a_caller_who_speaks_on_is_not_interrupted_by_an_apology() -> None:
    talk = session(apology="Sorry.")
    for at_ms in (0, 1_100):
        begins, ends = turn(at_ms)
        feed(talk, *begins, *(ends if at_ms == 0 else []))
    assert feed(talk, TranscriptionFailed("item_1", "gone")) == [misunderstood("item_1", "gone")]


def test_a_transcription_that_fails_before_the_caller_stops_is_apologised_for_then() -> None:
    talk = session(apology="Sorry.")
    begins, ends = turn(0)
    feed(talk, *begins)
    assert feed(talk, TranscriptionFailed("item_1", "gone")) == []
    assert feed(talk, *ends)[-3:] == [
        misunderstood("item_1", "gone"),
        created("resp_1"),
        Respond("resp_1", prompt(), script="Sorry."),
    ]


def test_no_apology_is_said_over_an_answer() -> None:
    talk = session(MANUAL, apology="Sorry.")
    feed(talk, line(200), heard.InputAudioBufferCommit())
    feed(talk, Transcribed("item_1", "Hello?", True), resp.ResponseCreate())
    feed(talk, line(200), heard.InputAudioBufferCommit())
    assert feed(talk, TranscriptionFailed("item_2", "gone")) == [misunderstood("item_2", "gone")]


def test_keys_are_answered_by_hand_where_speech_is() -> None:
    talk = session(MANUAL)
    outputs = feed(talk, DigitPressed("7"), DigitPressed("#"))
    assert not any(isinstance(output, Respond) for output in outputs)
    assert talk.conversation.last_id is not None


def test_keys_do_not_interrupt_where_speech_does_not() -> None:
    rule = ServerVad(interrupt_response=False)
    talk = session(SessionConfig(input_format=PCMU, output_format=PCMU, turn_detection=rule))
    talk.say("Hello there.")
    outputs = feed(talk, DigitPressed("7"))
    assert [type(output).__name__ for output in outputs] == ["DtmfEventReceived"]
