from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.realtime.allowance import BURST_S, MOST_OWNERS, Allowances, EventRate, ResponseAllowance


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_burst_may_have_two_seconds_worth_of_events_and_no_more(over: int) -> None:
    rate = EventRate(50, 0.0)
    allowed = [rate.take(0.0) for _ in range(50 * BURST_S + over)]
    assert allowed.count(False) == max(0, over)


def test_a_steady_client_never_waits() -> None:
    rate = EventRate(50, 0.0)
    assert all(rate.take(number / 50) for number in range(2_000))


def test_who_is_too_fast_is_told_when_to_ask_again() -> None:
    rate = EventRate(50, 0.0)
    for _ in range(100):
        assert rate.take(0.0)
    assert not rate.take(0.0)
    assert rate.wait_s() == pytest.approx(0.02)
    assert not rate.take(0.019)
    assert rate.take(0.0201)


@given(st.lists(st.floats(0, 0.5), max_size=300), st.integers(1, 100))
def test_no_more_than_the_rate_gets_through_over_any_time(gaps: list[float], per_s: int) -> None:
    rate, now_s, taken = EventRate(per_s, 0.0), 0.0, 0
    for gap in gaps:
        now_s += gap
        taken += rate.take(now_s)
        assert taken <= per_s * (BURST_S + now_s) + 1e-6


def test_without_a_limit_all_may_pass() -> None:
    rate = EventRate(0, 0.0)
    assert all(rate.take(0.0) for _ in range(1_000))
    assert rate.wait_s() == 0.0


def test_responses_of_a_minute_come_back_one_by_one() -> None:
    allowance = ResponseAllowance(2, 0.0)
    for left in (1, 0):
        assert allowance.has(0.0)
        allowance.count(0.0)
        assert allowance.shown(0.0).remaining == left
    assert not allowance.has(29.9)
    assert allowance.has(30.1)
    assert allowance.shown(30.0).reset_seconds == pytest.approx(30.0)
    assert allowance.is_whole(60.1)


def test_a_response_that_nobody_asked_for_takes_no_more_than_there_is() -> None:
    allowance = ResponseAllowance(1, 0.0)
    for _ in range(5):
        allowance.count(0.0)
    assert allowance.shown(0.0).remaining == 0
    assert allowance.has(60.1)


def test_sessions_of_one_owner_share_an_allowance() -> None:
    allowances = Allowances(10)
    assert allowances.of("a", 0.0) is allowances.of("a", 1.0)
    assert allowances.of("a", 0.0) is not allowances.of("b", 0.0)


def test_without_a_limit_there_is_no_allowance() -> None:
    assert Allowances(0).of("a", 0.0) is None


def test_allowances_that_are_whole_are_forgotten_when_there_are_too_many() -> None:
    allowances = Allowances(10)
    used = allowances.of("busy", 0.0)
    assert used is not None
    used.count(0.0)
    for number in range(MOST_OWNERS):
        allowances.of(str(number), 0.0)
    assert len(allowances) == 2
    assert allowances.of("busy", 0.0) is used
