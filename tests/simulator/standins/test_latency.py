from __future__ import annotations

import statistics

from simulator.standins.latency import SLOWEST_OF_TAIL, Latency, seconds_of

QUESTIONS = [f"question {number}" for number in range(2_000)]


def test_the_same_question_takes_as_long_in_every_run_whatever_else_is_asked() -> None:
    one, other = Latency(0.3, 0.25, 0.05, 1.5, seed=7), Latency(0.3, 0.25, 0.05, 1.5, seed=7)
    forwards = {asked: one.draw_s(asked) for asked in QUESTIONS}
    backwards = {asked: other.draw_s(asked) for asked in reversed(QUESTIONS)}
    assert forwards == backwards


def test_asked_again_or_with_another_seed_it_takes_its_own_time() -> None:
    latency = Latency(0.3, 0.25, seed=7)
    first = latency.draw_s("hello")
    assert latency.draw_s("hello") != first
    assert Latency(0.3, 0.25, seed=8).draw_s("hello") != first
    assert Latency(0.3, 0.25, seed=7).draw_s("hello") == first


def test_it_lies_about_its_median_and_a_share_is_far_slower() -> None:
    latency = Latency(0.3, 0.25, slow_share=0.05, slow_s=1.5)
    drawn = [latency.draw_s(asked) for asked in QUESTIONS]
    slow = [seconds for seconds in drawn if seconds >= 1.5]
    assert 0.28 < statistics.median(drawn) < 0.33
    assert 0.03 < len(slow) / len(drawn) < 0.07
    assert max(slow) <= 1.5 * SLOWEST_OF_TAIL
    assert max(set(drawn) - set(slow)) < 1.0


def test_without_spread_it_is_its_median() -> None:
    assert Latency(0.3).draw_s("anything") == 0.3


def test_a_number_is_a_latency_too() -> None:
    assert seconds_of(0.25, "anything") == 0.25
    assert seconds_of(Latency(0.3), "anything") == 0.3
