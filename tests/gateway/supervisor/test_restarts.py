from __future__ import annotations

from gateway.supervisor.restarts import HOPELESS_AFTER, LONGEST_DELAY_S, QUICK_S, Restarts


def test_the_first_death_costs_no_wait_and_quick_ones_wait_twice_as_long_each_time() -> None:
    restarts = Restarts()
    assert [restarts.died(0.1) for _ in range(8)] == [0, 0.5, 1, 2, 4, 8, LONGEST_DELAY_S, LONGEST_DELAY_S]


def test_a_worker_that_lived_for_a_while_is_replaced_at_once_and_the_count_begins_anew() -> None:
    restarts = Restarts()
    hopeless = [restarts.is_hopeless]
    for _ in range(HOPELESS_AFTER):
        restarts.died(QUICK_S - 0.01)
        hopeless.append(restarts.is_hopeless)
    assert hopeless == [False] * HOPELESS_AFTER + [True]
    assert restarts.died(QUICK_S) == 0
    hopeless.append(restarts.is_hopeless)
    assert not hopeless[-1]
    assert restarts.died(0) == 0


def test_the_delay_stays_bounded_however_often_it_dies() -> None:
    restarts = Restarts()
    assert max(restarts.died(0) for _ in range(5_000)) == LONGEST_DELAY_S
