from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.call_review import Interruption, Stages, median, openings_ms, p95, review, stages_of
from simulator.call_result import Turn
from tests.gateway.cli.recorded import (
    Event,
    answered,
    happened,
    happenings_of,
    journal_of,
    opening,
    recorded_call,
    result_of,
    spoken,
    told,
)

TURN = Turn("hello", 1000, 2000.0, 2600)


def timed(decided_ms: float, **work_ms: float) -> dict[str, float]:
    return {"decided_ms": decided_ms, **work_ms}


def test_the_stages_of_a_recorded_call_add_up_to_what_the_caller_waited() -> None:
    events = recorded_call()
    reviewed = review(result_of(events), journal_of(events))
    assert [one.total_ms for one in reviewed.exchanges] == [550, 560, 535, 1160]
    for one in reviewed.exchanges:
        assert one.stages is not None
        assert sum(value or 0 for value in one.stages.in_order()) == one.total_ms


def test_words_and_tools_of_a_recorded_call_stand_at_the_turn_they_answer() -> None:
    events = recorded_call()
    reviewed = review(result_of(events), journal_of(events))
    hours, stop, order, goodbye = reviewed.exchanges
    assert [one.text for one in reviewed.greeting] == [
        "Hello, this is the reception of Blue Door Books. How can I help you?"
    ]
    assert hours.words_heard == "We are open from Monday to Friday, from nine in the"
    assert stop.words_heard == "Of course. What would you like to know?"
    assert order.words_heard == "One moment, I am looking. Order 4 8 1 5 is on its way and arrives on Thursday."
    assert [tool.name for tool in order.tools] == ["look_up_order"]
    assert [tool.name for tool in goodbye.tools] == ["hang_up"]
    assert stop.understood == ["stop please"]


def test_a_recorded_interruption_holds_both_sides_truth() -> None:
    events = recorded_call()
    (cut,) = review(result_of(events), journal_of(events)).interruptions
    assert cut.cleared_after_ms is not None and cut.answer is not None and cut.error_ms is not None
    assert cut.answer.heard_ms is not None
    assert cut.cleared_after_ms < 200
    assert cut.error_ms == pytest.approx(cut.answer.heard_ms - cut.heard_ms)
    assert cut.answer.text.startswith("We are open from Monday to Friday, from nine in the morning")


def test_without_a_journal_all_that_was_heard_is_known() -> None:
    reviewed = review(result_of(recorded_call()), ())
    assert [one.total_ms for one in reviewed.exchanges] == [550, 560, 535, 1160]
    assert {one.stages for one in reviewed.exchanges} == {None}
    (cut,) = reviewed.interruptions
    assert (cut.answer, cut.error_ms) == (None, None)


@pytest.mark.parametrize(
    ("turn", "times", "stages"),
    [
        (TURN, [timed(2500, stt_ms=20.4, llm_ms=30.4, tts_ms=9.6)], Stages(500, 20, 30, None, 10, 40)),
        (TURN, [timed(2100, stt_ms=1, llm_ms=2, tool_ms=300, tts_ms=4)], Stages(100, 1, 2, 300, 4, 193)),
        # The gateway took the caller's pause for the end, and was heard at the second try.
        (TURN, [timed(1500, tts_ms=5), timed(2500, tts_ms=5)], Stages(500, 0, 0, None, 5, 95)),
        # What was made after the sound was heard did not make it.
        (TURN, [timed(2400, tts_ms=5), timed(2590, tts_ms=16)], Stages(400, 0, 0, None, 5, 195)),
        (TURN, [timed(2590, tts_ms=16)], None),
        # An agent who jumps in before the caller's last word.
        (Turn("hello", 1000, 2000.0, 1900), [timed(1800, tts_ms=5)], Stages(-200, 0, 0, None, 5, 95)),
        (TURN, [], None),
        (Turn("hello", 1000, 2000.0, None), [timed(2500)], None),
    ],
)
def test_stages_are_those_of_the_answer_that_was_heard(
    turn: Turn, times: list[dict[str, float]], stages: Stages | None
) -> None:
    assert stages_of(turn, times) == stages


work = st.floats(0, 3_000)


@given(work, work, work, work, st.floats(0, 5_000), st.floats(0, 1_000))
def test_stages_add_up_to_the_millisecond_whatever_the_fractions(
    stt: float, llm: float, tool: float, tts: float, endpoint: float, rest: float
) -> None:
    heard_ms = 2000 + endpoint + stt + llm + tool + tts + rest
    turn = Turn("hello", 1000, 2000.0, heard_ms)
    stages = stages_of(turn, [timed(2000 + endpoint, stt_ms=stt, llm_ms=llm, tool_ms=tool, tts_ms=tts)])
    assert stages is not None
    assert sum(value or 0 for value in stages.in_order()) == round(heard_ms - 2000)


def test_a_second_stream_is_counted_from_where_it_began() -> None:
    events: list[Event] = [
        *opening(),
        happened("stream.opened", 9_990, stream_sid="MZ2"),
        happened("connected", 10_000.4),
        told("stream.started", 10_001, stream_sid="MZ2"),
        *spoken("hello", 11_000, 12_000),
        told("speech.stopped", 12_500, item_id="i1", audio_end_ms=2_500),
        told("transcript.done", 12_510, speaker="caller", item_id="i1", text="hello"),
        told("turn.timed", 12_520, audio_end_ms=2_500, stt_ms=10.0, llm_ms=1.0, tts_ms=2.0),
        *answered(12_550, 13_000),
    ]
    assert openings_ms(happenings_of(events)) == {"MZ1234567890": 0, "MZ2": 10_000}
    (one,) = review(result_of(events), journal_of(events)).exchanges
    assert one.stages == Stages(500, 10, 1, None, 2, 37)
    assert one.understood == ["hello"]


def test_what_cannot_be_placed_is_left_out() -> None:
    events: list[Event] = [
        *opening(),
        told("turn.timed", 10, audio_end_ms=10, stt_ms=1.0),
        told("tool.done", 20, name="x", arguments="{}", output="{}", ms=1),
        told("transcript.done", 30, speaker="caller", item_id="nobody", text="noise"),
        told("speech.stopped", 35, item_id="early", audio_end_ms=35),
        told("transcript.failed", 36, item_id="early", message="broken"),
        told("transcript.truncated", 40, item_id="nobody", heard_ms=1, heard=""),
        told("journal.gap", 50, dropped=1),
        *spoken("hello", 1000, 2000),
        told("speech.stopped", 2500, item_id="i1", audio_end_ms=2500),
        told("transcript.failed", 2600, item_id="i1", message="broken"),
    ]
    reviewed = review(result_of(events), journal_of(events))
    (one,) = reviewed.exchanges
    assert (one.understood, one.answers, one.tools, one.stages, one.total_ms) == ([""], [], [], None, None)
    assert (reviewed.greeting, reviewed.totals_ms) == ((), [])


def interrupted_twice() -> list[Event]:
    return [
        *opening(),
        *spoken("hello", 1000, 2000),
        told("speech.stopped", 2500, item_id="i1", audio_end_ms=2500),
        told("transcript.done", 2500, speaker="caller", item_id="i1", text="hello"),
        told("transcript.done", 2510, speaker="agent", item_id="a1", text="One moment."),
        told("transcript.done", 2510, speaker="agent", item_id="a2", text="It is on its way."),
        happened("agent.heard", 2600),
        happened("caller.speaks", 4000, text="stop"),
        happened("barge_in", 4000, agent_heard_ms=1400),
        told("transcript.truncated", 4100, item_id="a2", heard_ms=500, heard="It is"),
        happened("agent.silent", 4700, start_ms=2600),
        happened("caller.stops", 4800, text="stop"),
        happened("agent.heard", 5000),
        happened("caller.speaks", 6000, text="stop"),
        happened("barge_in", 6000, agent_heard_ms=1000),
        happened("caller.stops", 6500, text="stop"),
    ]


def test_of_an_utterance_of_two_items_the_beliefs_error_is_not_known() -> None:
    events = interrupted_twice()
    first, second = review(result_of(events), journal_of(events)).interruptions
    assert first.answer is not None and first.answer.heard == "It is"
    assert (first.error_ms, first.cleared_after_ms, first.silent_after_ms) == (None, None, 700)
    assert second == Interruption(6000, None, 0, 1000, None, None)


def test_the_95th_percentile_is_the_nearest_rank() -> None:
    assert p95([]) is None and median([]) is None
    assert p95([3, 1, 2]) == 3
    assert p95(list(range(1, 101))) == 95
    assert median([1, 2, 3, 10]) == 2.5
