from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.cli.prove_report import Break, Report
from gateway.cli.prove_verdict import (
    History,
    Outcome,
    Promise,
    affected_of,
    at_most,
    complaints_of,
    history_kept,
    history_of,
    hit_of,
    lost_of,
    none_lost,
    percentile,
    silences_of,
    silent_for,
    slope,
    swallowed_of,
)
from gateway.cli.prove_witness import Told
from simulator.call_result import EndReason

BREAK = Break(
    at_s=10.0,
    close_code=1006,
    gap_ms=80.0,
    hole_ms=None,
    was_speaking=False,
    is_in_word=False,
    spoke_until_s=None,
    spoke_again_s=None,
)
REPORT = Report(
    number=1,
    call_sid="CA1",
    end=EndReason.CALLER_HUNG_UP,
    began_s=1.0,
    ended_s=30.0,
    turns=3,
    unanswered=0,
    impatient=0,
    breaks=(),
    longest_underrun_ms=0.0,
    complaints=(),
    spoken_verbs=(),
    words=60,
    first_answer_ms=5.0,
)


def report(*breaks: Break, **changes: Any) -> Report:
    return replace(REPORT, breaks=breaks, **changes)


def told(call: int, at_s: float, *turns: int) -> Told:
    return Told(call=call, turns=turns, at_s=at_s, pid=1)


def test_history_is_what_a_model_was_told_of_before_and_is_told_of_after_the_fault() -> None:
    prompts = [told(1, 1, 1), told(1, 2, 1, 2), told(1, 11, 2, 3), told(2, 12, 1)]
    assert history_of(prompts, since_s=10) == History(kept=1, turns=2)
    assert history_of(prompts, since_s=0) == History(kept=2, turns=3)


def test_prompts_are_judged_in_the_order_of_time() -> None:
    assert history_of([told(1, 12, 1, 2), told(1, 1, 1)], since_s=10) == History(1, 1)


def test_a_turn_that_nobody_was_ever_told_of_is_swallowed() -> None:
    prompts = [told(1, 1, 1), told(1, 9, 1, 3)]
    assert swallowed_of(prompts, [report(), report(number=2, turns=1)]) == 2


def test_calls_are_hit_lost_and_affected() -> None:
    reports = [
        report(BREAK),
        report(end=EndReason.APPLICATION_ERROR),
        report(unanswered=1),
        report(impatient=1),
        report(longest_underrun_ms=120.0),
        report(longest_underrun_ms=80.0),
    ]
    assert (hit_of(reports), lost_of(reports), affected_of(reports)) == (1, 1, 4)


def test_silence_is_that_of_each_break_that_was_mended() -> None:
    speaking = replace(BREAK, was_speaking=True, hole_ms=150.0)
    gone = replace(BREAK, gap_ms=None)
    assert silences_of([report(BREAK, speaking), report(gone)]) == (80.0, 150.0)


def test_silence_of_a_hang_begins_with_the_fault() -> None:
    speaking = replace(BREAK, was_speaking=True, hole_ms=300.0, spoke_until_s=9.2, spoke_again_s=10.3)
    # It had said all it had to say, and said something else much later.
    had_spoken = [replace(BREAK, spoke_until_s=until_s, spoke_again_s=24.0) for until_s in (8.5, 9.2)]
    assert silences_of([report(BREAK)], fault_s=9.0) == pytest.approx((1080.0,))
    assert silences_of([report(speaking)], fault_s=9.0) == pytest.approx((1100.0,))
    assert silences_of([report(each) for each in had_spoken], fault_s=9.0) == pytest.approx((1080.0, 880.0))


@pytest.mark.parametrize(
    ("promise", "is_kept", "is_must"),
    [
        (none_lost(0), True, True),
        (none_lost(1), False, True),
        (history_kept(History(99, 100)), True, True),
        (history_kept(History(98, 100)), False, True),
        (history_kept(History(0, 0)), False, True),
        (silent_for((100.0, 600.0), 50, 500), False, False),
        (silent_for((100.0, 400.0), 95, 500), True, False),
        (silent_for((), 100, 500), True, False),
        (at_most("it took", 9, 10, "ms"), True, False),
        (at_most("it took", 11, 10, "ms"), False, False),
        (at_most("it took", None, 10, "ms"), False, False),
    ],
)
def test_a_promise_is_kept_or_not(promise: Promise, is_kept: bool, is_must: bool) -> None:
    assert (promise.is_kept, promise.is_must) == (is_kept, is_must)


def test_a_row_fails_by_a_must_and_is_reached_by_all() -> None:
    def row(*promises: Promise) -> Outcome:
        return Outcome(name="row", fault="fault", calls=1, hit=1, lost=0, promises=promises)

    kept, wish, must = Promise("a", True), Promise("b", False), Promise("c", False, is_must=True)
    assert (row(kept).has_failed, row(kept).is_reached) == (False, True)
    assert (row(kept, wish).has_failed, row(kept, wish).is_reached) == (False, False)
    assert (row(kept, must).has_failed, row(kept, must).is_reached) == (True, False)


def test_percentiles_and_slopes_of_nothing_are_nothing() -> None:
    assert percentile([], 50) is None
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([3.0, 1.0, 2.0], 100) == 3.0
    assert slope([]) is None
    assert slope([(1, 5), (1, 7)]) is None
    assert slope([(0, 1), (1, 3), (2, 5)]) == pytest.approx(2)


def test_complaints_are_counted_by_their_number() -> None:
    reports = [report(complaints=("11200: x", "31920: y")), report(complaints=("11200: z",))]
    assert complaints_of(reports) == {"11200": 2, "31920": 1}
