from __future__ import annotations

import pytest

from gateway.credentials.throttle import CLIENTS_BEHIND_A_PROXY, MOST_FAILURES, WINDOW_S, Throttle, may_be_proxy

HOME = "8.8.8.8"


def failed(throttle: Throttle, address: str, times: int, now_s: float) -> None:
    for _ in range(times):
        throttle.note_failure(address, now_s)


def test_the_tenth_failure_within_a_minute_makes_the_address_wait_until_the_minute_is_over() -> None:
    throttle = Throttle()
    failed(throttle, HOME, MOST_FAILURES - 1, 100)
    assert throttle.wait_s(HOME, 130) == 0
    throttle.note_failure(HOME, 130)
    assert throttle.wait_s(HOME, 130) == 31
    assert throttle.wait_s(HOME, 159.5) == 1
    assert throttle.wait_s(HOME, 100 + WINDOW_S) == 0
    assert throttle.wait_s("8.8.4.4", 130) == 0


def test_a_minute_later_failures_are_counted_anew() -> None:
    throttle = Throttle()
    failed(throttle, HOME, MOST_FAILURES, 100)
    throttle.note_failure(HOME, 160)
    assert throttle.wait_s(HOME, 160) == 0


def test_a_clock_that_was_set_back_locks_nobody_out() -> None:
    throttle = Throttle()
    failed(throttle, HOME, MOST_FAILURES, 10_000)
    assert throttle.wait_s(HOME, 5_000) == 0
    throttle.note_failure(HOME, 5_000)
    assert throttle.wait_s(HOME, 5_000) == 0


def test_an_ipv6_client_is_counted_by_its_network() -> None:
    throttle = Throttle()
    for number in range(MOST_FAILURES):
        throttle.note_failure(f"2600:1:2:3::{number}", 0)
    assert throttle.wait_s("2600:1:2:3:ffff::1", 0) == 61
    assert throttle.wait_s("2600:1:2:4::1", 0) == 0
    assert len(throttle) == 1


def test_the_table_is_bounded_and_forgets_the_longest_known() -> None:
    throttle = Throttle(most_addresses=3)
    failed(throttle, HOME, MOST_FAILURES, 0)
    for number in range(2):
        throttle.note_failure(f"9.9.9.{number}", 1)
    assert (len(throttle), throttle.wait_s(HOME, 1)) == (3, 60)
    throttle.note_failure("9.9.9.9", 1)
    assert (len(throttle), throttle.wait_s(HOME, 1)) == (3, 0)


def test_an_address_that_is_none_is_counted_too() -> None:
    throttle = Throttle(most_failures=1)
    failed(throttle, "testclient", CLIENTS_BEHIND_A_PROXY - 1, 0)
    assert throttle.wait_s("testclient", 0) == 0
    throttle.note_failure("testclient", 0)
    assert throttle.wait_s("testclient", 0) == 61


@pytest.mark.parametrize(
    ("address", "may_be"),
    [("127.0.0.1", True), ("::1", True), ("10.1.2.3", True), ("fd00::1", True), ("", True), (HOME, False)],
)
def test_others_may_stand_behind_addresses_of_a_private_network(address: str, may_be: bool) -> None:
    assert may_be_proxy(address) is may_be
