"""How long a provider takes for one request."""

from __future__ import annotations

import pytest

from pipeline.observations import ProviderTimed
from pipeline.provider import ProviderError
from pipeline.timing import Timing


class Clock:
    """Its time is set by hand; what is told is noted."""

    def __init__(self) -> None:
        self.now_s = 10.0
        self.told: list[ProviderTimed] = []
        self.timing = Timing("a", "llm", lambda: self.now_s, self.told.append)


def test_it_counts_from_the_request_to_the_first_thing_of_use() -> None:
    clock = Clock()
    clock.now_s = 11.0
    clock.timing.asked()
    clock.now_s = 11.5
    clock.timing.came()
    clock.now_s = 13.0
    clock.timing.came()
    clock.timing.done()
    assert clock.told == [ProviderTimed("a", "llm", None, 0.5)]


def test_where_nothing_came_it_counts_to_now() -> None:
    clock = Clock()
    clock.now_s = 12.0
    clock.timing.stalled()
    assert clock.told == [ProviderTimed("a", "llm", "stalled", 2.0)]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ProviderError("a", "later", retryable=True), "retryable"),
        (ProviderError("a", "no", retryable=False), "final"),
        (ZeroDivisionError(), "internal"),
    ],
)
def test_a_failure_is_told_by_its_kind(error: Exception, kind: str) -> None:
    clock = Clock()
    clock.timing.failed(error)
    assert clock.told == [ProviderTimed("a", "llm", kind, 0.0)]


def test_the_first_thing_of_use_is_timed_only_if_it_came() -> None:
    now_s = 1.0
    timing = Timing("a", "llm", lambda: now_s, lambda _: None)
    assert timing.first_s is None
    now_s = 1.5
    timing.came()
    now_s = 9.0
    assert timing.first_s == 0.5
