"""Stages of a turn: without gaps, and adding up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.stopwatch import Stage, Stopwatch

stages = st.sampled_from(["stt", "llm", "tool", "tts"])


def test_each_lap_books_the_time_since_the_last_one() -> None:
    times = iter([100.0, 100.5, 102.5])
    stopwatch = Stopwatch(lambda: next(times))
    stopwatch.lap("stt")
    stopwatch.lap("llm")
    assert stopwatch.seconds == {"stt": 0.5, "llm": 2.0}


def test_a_stage_that_comes_twice_is_booked_once_and_keeps_its_place() -> None:
    times = iter([0.0, 1.0, 3.0, 6.0])
    stopwatch = Stopwatch(lambda: next(times))
    laps: tuple[Stage, ...] = ("llm", "tool", "llm")
    for stage in laps:
        stopwatch.lap(stage)
    assert list(stopwatch.seconds.items()) == [("llm", 4.0), ("tool", 2.0)]


@given(st.lists(st.tuples(stages, st.integers(0, 10_000)), min_size=1))
def test_stages_add_up_to_the_whole(laps: list[tuple[Stage, int]]) -> None:
    now = 0.0
    stopwatch = Stopwatch(lambda: now)
    for stage, ms in laps:
        now += ms / 1024  # exact in binary, so the sum is too
        stopwatch.lap(stage)
    assert sum(stopwatch.seconds.values()) == now
