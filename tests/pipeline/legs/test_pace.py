"""What is known of the providers' pace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.legs.breaker import FAILURES_IN_A_ROW
from pipeline.legs.pace import KEPT, LEAST, UNKNOWN_P95_S, Pace


def test_until_enough_are_known_the_usual_is_assumed() -> None:
    pace = Pace()
    for _ in range(LEAST - 1):
        pace.took("llm", "a", 0.3)
    assert (pace.knows("llm", "a"), pace.p95_s("llm", "a")) == (False, UNKNOWN_P95_S["llm"])
    pace.took("llm", "a", 0.3)
    assert (pace.knows("llm", "a"), pace.p95_s("llm", "a")) == (True, 0.3)
    assert pace.p95_s("llm", "b") == UNKNOWN_P95_S["llm"] and pace.p95_s("tts", "a") == UNKNOWN_P95_S["tts"]


def test_one_in_twenty_is_slower() -> None:
    pace = Pace()
    for number in range(100):
        pace.took("tts", "a", number / 100)
    assert pace.p95_s("tts", "a") == pytest.approx(0.94)


def test_what_is_long_ago_is_forgotten() -> None:
    pace = Pace()
    for _ in range(KEPT):
        pace.took("tts", "a", 9.0)
    for _ in range(KEPT):
        pace.took("tts", "a", 0.2)
    assert pace.p95_s("tts", "a") == 0.2


@given(st.lists(st.floats(0, 100), min_size=LEAST, max_size=KEPT))
def test_at_most_one_in_twenty_is_slower_than_the_95th_percentile(latencies: list[float]) -> None:
    pace = Pace()
    for seconds in latencies:
        pace.took("stt", "a", seconds)
    p95_s = pace.p95_s("stt", "a")
    assert p95_s in latencies
    assert sum(seconds > p95_s for seconds in latencies) <= len(latencies) / 20


def test_failures_of_one_are_not_held_against_another() -> None:
    pace = Pace()
    for _ in range(FAILURES_IN_A_ROW):
        pace.failed("llm", "a", 0.0)
    assert not pace.admits("llm", "a", 1.0)
    assert pace.admits("llm", "b", 1.0) and pace.admits("tts", "a", 1.0)
    pace.worked("llm", "a", 1.0)
    assert pace.admits("llm", "a", 1.0)
