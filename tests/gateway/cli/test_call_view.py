from __future__ import annotations

from collections.abc import Iterable

import pytest

from gateway.cli.call_events import Entry, sound_zero_s
from gateway.cli.call_view import CallView, clock_text
from gateway.cli.page import Page
from simulator.call_result import Happening
from tests.gateway.cli.recorded import (
    ZERO_S,
    Event,
    answered,
    happened,
    happenings_of,
    opening,
    recorded_call,
    spoken,
    told,
)

AGENT_TEXT = "We are open from nine until six every day."


def shown(
    events: Iterable[Event], *, width: int = 100, has_journal: bool = True, zero_s: float = ZERO_S
) -> list[str]:
    """The lines a person sees, without the empty ones."""
    out: list[str] = []
    view = CallView(Page(out.append, width), has_journal=has_journal)
    for one in events:
        if isinstance(one, Happening):
            view.see(one)
        else:
            view.tell(one, (one.at_s - zero_s) * 1000)
    view.close()
    return [line for line in "".join(out).splitlines() if line]


def talk(events: Iterable[Event], **changes: bool) -> list[str]:
    """The same of a stream that has begun, without its heading."""
    return shown([*opening(), *events], **changes)[1:]


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [(0, "00:00.00"), (-3, "00:00.00"), (4_664, "00:04.66"), (59_996, "01:00.00"), (3_600_000, "60:00.00")],
)
def test_a_time_is_minutes_seconds_and_hundredths(at_ms: float, text: str) -> None:
    assert clock_text(at_ms) == text


def recorded_zero_s() -> float:
    zero_s = sound_zero_s(happenings_of(recorded_call()))
    assert zero_s is not None
    return zero_s


def test_a_recorded_call_reads_as_it_happened() -> None:
    lines = shown(recorded_call(), zero_s=recorded_zero_s())
    assert lines[0].startswith("POST http://127.0.0.1:")
    assert "signed as Twilio  200" in lines[0]
    assert lines[1].startswith("WS   ws://127.0.0.1:") and "/twilio/media/•••" in lines[1]
    assert lines[3:] == [
        " 00:00.08 agent  Hello, this is the reception of Blue Door Books. How can I help you?",
        " 00:04.66 caller what are your opening hours",
        " 00:07.14 agent  We are open from Monday to Friday, from nine in the ✂ morning until six in the",
        "                 evening. On Saturdays we open at ten and close at four in the …",
        '          ✂      barge-in after 2.5 s, cleared in 143 ms; heard 2.6 s: "… to Friday, from nine in',
        '                 the"',
        " 00:09.64 caller stop please",
        " 00:10.98 agent  Of course. What would you like to know?",
        " 00:13.78 caller where is my order four eight one five",
        ' 00:16.46 tool   look_up_order(order_id="4815") → {"status": "shipped", "arrives": "on Thursday"}  0',
        "                 ms",
        " 00:16.49 agent  One moment, I am looking. Order 4 8 1 5 is on its way and arrives on Thursday.",
        " 00:22.96 caller thank you goodbye",
        '                 understood as "them few goodbye"',
        ' 00:25.22 tool   hang_up() → {"status": "ok"}  0 ms',
        " 00:25.32 agent  Thank you for calling Blue Door Books. Goodbye!",
        " 00:27.94 call   POST /twilio/stream-ended  signed as Twilio  200  6 ms",
        " 00:27.94 call   the gateway hung up, after 28.108 s",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_of_a_recorded_call_is_wider_than_the_page(width: int) -> None:
    lines = shown(recorded_call(), width=width, zero_s=recorded_zero_s())
    # A URL is one word; nothing else may stand out.
    assert all(len(line) <= width or "http://" in line for line in lines)


def test_the_one_time_token_is_never_shown() -> None:
    assert "abcdefghijklmnop" not in "".join(shown(opening()))


def test_a_bot_without_a_journal_is_seen_to_speak_and_to_stop() -> None:
    events = [one for one in recorded_call() if not isinstance(one, Entry)]
    lines = shown(events, has_journal=False, zero_s=recorded_zero_s())
    assert " 00:00.08 agent  (3.9 s of speech)" in lines
    assert "          ✂      barge-in after 2.5 s, cleared in 143 ms; heard 2.6 s" in lines
    assert lines.index(" 00:09.64 caller stop please") > lines.index(
        "          ✂      barge-in after 2.5 s, cleared in 143 ms; heard 2.6 s"
    )


def cut(*later: Event) -> list[Event]:
    return [
        happened("agent.heard", 1000),
        happened("caller.speaks", 3000, text="stop"),
        happened("barge_in", 3000, agent_heard_ms=2000),
        happened("clear", 3100, since_caller_spoke_ms=100, utterance_heard_bytes=16_800),
        told("interrupted", 3100, item_id="i1"),
        *later,
        happened("agent.silent", 3105, start_ms=1000),
        happened("caller.stops", 3600, text="stop"),
        *answered(4000, 4500),
    ]


def said(text: str = AGENT_TEXT, at_ms: float = 3100) -> Entry:
    return told("transcript.done", at_ms, speaker="agent", item_id="a1", text=text)


def test_what_was_not_heard_stands_behind_the_scissors() -> None:
    end = told("transcript.truncated", 3101, item_id="a1", heard_ms=2100, heard="We are open")
    assert talk(cut(said(), end)) == [
        " 00:01.00 agent  We are open ✂ from nine until six every day.",
        '          ✂      barge-in after 2.0 s, cleared in 100 ms; heard 2.1 s: "We are open"',
        " 00:03.00 caller stop",
        " 00:04.00 agent  (0.5 s of speech)",
    ]


def test_words_that_were_printed_before_are_not_printed_again_when_cut() -> None:
    end = told("transcript.truncated", 3101, item_id="a1", heard_ms=2100, heard="We are open")
    assert talk([said(at_ms=900), *cut(end)])[:2] == [
        f" 00:01.00 agent  {AGENT_TEXT}",
        '          ✂      barge-in after 2.0 s, cleared in 100 ms; heard 2.1 s: "We are open"',
    ]


def test_words_that_were_all_heard_have_no_scissors_among_them() -> None:
    end = told("transcript.truncated", 3101, item_id="a1", heard_ms=2100, heard=AGENT_TEXT)
    assert talk(cut(said(), end))[0] == f" 00:01.00 agent  {AGENT_TEXT}"


def test_a_cut_the_gateway_never_explains_is_told_all_the_same_and_its_words_are_not_put_elsewhere() -> None:
    assert talk(cut(said())) == [
        " 00:01.00 agent",
        "          ✂      barge-in after 2.0 s, cleared in 100 ms; heard 2.1 s",
        " 00:03.00 caller stop",
        " 00:04.00 agent  (0.5 s of speech)",
    ]


def test_an_agent_who_speaks_on_goes_on_in_a_line_of_its_own() -> None:
    events: list[Event] = [
        happened("agent.heard", 1000),
        told("transcript.done", 1500, speaker="agent", item_id="a1", text="First."),
        happened("caller.speaks", 2000, text="hm"),
        happened("barge_in", 2000, agent_heard_ms=1000),
        happened("caller.stops", 2500, text="hm"),
        told("transcript.done", 3000, speaker="agent", item_id="a2", text="Second."),
        told("transcript.done", 3000, speaker="agent", item_id="a3", text=""),
        happened("agent.silent", 4000, start_ms=1000),
    ]
    assert talk(events) == [
        " 00:01.00 agent  First.",
        " 00:02.00 caller hm",
        "          agent  Second.",
    ]


def test_an_agent_who_is_interrupted_by_a_tools_line_is_still_told_to_have_spoken() -> None:
    events: list[Event] = [
        happened("agent.heard", 1000),
        told("tool.done", 1200, name="look", arguments="no json", output="{}", ms=3.2),
        happened("agent.silent", 2000, start_ms=1000),
    ]
    assert talk(events) == [
        " 00:01.00 agent",
        " 00:01.18 tool   look(no json) → {}  3 ms",
        "          agent  (1.0 s of speech)",
    ]


def test_arguments_that_are_no_object_are_shown_as_they_are() -> None:
    (line,) = talk([told("tool.done", 0, name="look", arguments="[1]", output="x", ms=0)])
    assert "look([1]) → x" in line


@pytest.mark.parametrize(
    ("heard", "line"),
    [
        ("What ARE your opening hours?", None),
        ("what a tower", '                 understood as "what a tower"'),
        ("", "                 not understood"),
    ],
)
def test_what_the_recogniser_made_of_it_is_shown_where_it_differs(heard: str, line: str | None) -> None:
    events = [*spoken("what are your opening hours", 1000, 2000)]
    lines = talk([*events, told("transcript.done", 2500, speaker="caller", item_id="i1", text=heard)])
    assert lines[1:] == ([] if line is None else [line])


def test_a_clear_that_stops_nobody_is_not_worth_a_line() -> None:
    assert talk([happened("clear", 10, since_caller_spoke_ms=None, utterance_heard_bytes=0)]) == []


def test_a_clear_before_the_caller_ever_spoke_has_no_reaction_time() -> None:
    events: list[Event] = [
        happened("barge_in", 10, agent_heard_ms=5),
        happened("clear", 10, since_caller_spoke_ms=None, utterance_heard_bytes=0),
        told("transcript.truncated", 20, item_id="a1", heard_ms=0, heard=""),
    ]
    assert talk(events) == []


def test_an_answer_without_words_has_none() -> None:
    assert talk([said("", 900), *answered(1000, 2000)]) == [" 00:01.00 agent  (1.0 s of speech)"]


def test_everything_else_of_note_has_a_line() -> None:
    events: list[Event] = [
        happened("verb", 10, verb="Say", text="Please hold."),
        happened("verb", 11, verb="Connect"),
        happened("verb", 12, verb="Pause"),
        happened("caller.impatient", 20, waited_ms=15_000),
        happened("dtmf", 30, digit="1"),
        happened("complaint", 40, code=31951, message="unknown key"),
        happened("complaint", 41, code=11200, message="11200: no answer"),
        happened("stream.ended", 50, by="gateway", close_code=1011),
        happened("stream.ended", 51, by="gateway", close_code=1000),
        happened("stream.ended", 52, by="caller", close_code=None),
        happened("stream.refused", 60, http_status=403, code=31920),
        happened("stream.refused", 61, http_status=None, code=31902),
        told("response.failed", 70, code="tts", message="no voice"),
        told("error", 71, code=None, message="odd"),
        told("journal.gap", 80, dropped=3),
        told("dtmf", 90, audio_ms=1),
        happened("mark", 91),
        happened("call.ended", 100, reason="the caller hung up", duration_s=3.5),
    ]
    assert [line[10:] for line in talk(events)] == [
        "agent  Please hold.  (<Say>)",
        "call   <Pause>",
        "caller (goes on after waiting 15.0 s for the agent)",
        "caller presses 1",
        "call   ✗ Twilio would report 31951: unknown key",
        "call   ✗ Twilio would report 11200: no answer",
        "call   the gateway closed the stream with 1011",
        "call   the media stream was refused with HTTP 403",
        "call   the media stream was refused",
        "call   the gateway reports: tts no voice",
        "call   the gateway reports: odd",
        "call   (3 events of the gateway's journal are missing)",
        "call   the caller hung up, after 3.5 s",
    ]


def test_a_webhook_that_fails_says_so() -> None:
    assert shown([happened("webhook", 0, url="http://x/voice", method="POST", error=11205)]) == [
        "POST http://x/voice  failed, Twilio error 11205"
    ]


def test_a_line_without_parameters_and_in_a_law_is_told() -> None:
    events = opening()
    events[2] = happened("start", 0, encoding="audio/x-alaw", parameters=None)
    assert shown(events) == ["WS   ws://127.0.0.1/twilio/media/•••  streamSid MZ1234…7890  A-law 8 kHz 20 ms"]
