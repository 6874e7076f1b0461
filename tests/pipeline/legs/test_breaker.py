"""The circuit breaker, step by step."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.legs.breaker import FAILURES_IN_A_ROW, OPEN_S, Breaker, State


def opened(at_s: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_IN_A_ROW):
        assert breaker.admits(at_s)
        breaker.failed(at_s)
    return breaker


def test_failures_in_a_row_open_it_for_a_while() -> None:
    breaker = opened()
    assert breaker.state is State.OPEN
    assert not breaker.admits(OPEN_S - 0.1)


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker()
    for _ in range(5 * FAILURES_IN_A_ROW):
        breaker.failed(0.0)
        breaker.worked(0.0)
    assert breaker.state is State.CLOSED


def test_after_a_while_one_request_tries_and_the_others_wait() -> None:
    breaker = opened()
    assert [breaker.admits(OPEN_S) for _ in range(3)] == [True, False, False]
    breaker.worked(OPEN_S + 1)
    assert breaker.state is State.CLOSED and breaker.admits(OPEN_S + 1)


def test_a_trial_that_fails_opens_it_again() -> None:
    breaker = opened()
    assert breaker.admits(OPEN_S)
    breaker.failed(OPEN_S + 1)
    assert not breaker.admits(2 * OPEN_S)
    assert breaker.admits(2 * OPEN_S + 1)


def test_a_trial_of_which_nothing_was_heard_is_followed_by_another() -> None:
    breaker = opened()
    assert breaker.admits(OPEN_S) and not breaker.admits(OPEN_S + 1)
    assert breaker.admits(2 * OPEN_S)


@given(st.lists(st.tuples(st.sampled_from(["ask", "work", "fail"]), st.floats(0.0, 8.0))))
def test_no_order_of_facts_is_illegal_and_it_is_never_shut_for_long(facts: list[tuple[str, float]]) -> None:
    breaker, now_s = Breaker(), 0.0
    for fact, passed_s in facts:
        now_s += passed_s
        match fact:
            case "ask":
                breaker.admits(now_s)
            case "work":
                breaker.worked(now_s)
                assert breaker.state is State.CLOSED
            case "fail":
                breaker.failed(now_s)
    assert breaker.admits(now_s + OPEN_S)


def test_how_long_it_is_left_alone_may_be_chosen_and_looking_lets_nobody_through() -> None:
    breaker = Breaker(open_s=1.0)
    for _ in range(FAILURES_IN_A_ROW):
        breaker.failed(10.0)
    assert breaker.is_open(10.9) and not breaker.is_open(11.0)
    assert breaker.admits(11.0)
    assert breaker.is_open(11.0), "one is trying"
    breaker.worked(11.1)
    assert not breaker.is_open(11.1)
