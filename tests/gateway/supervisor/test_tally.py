from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.supervisor.tally import Tally, shared_memory


@pytest.fixture
def tallies() -> Iterator[list[Tally]]:
    with shared_memory(3) as descriptor:
        made = [Tally(descriptor, place) for place in range(3)]
        yield made
        for tally in made:
            tally.close()


def test_who_is_alone_is_never_ahead(tallies: list[Tally]) -> None:
    tallies[0].write(100)
    assert not tallies[0].is_ahead(100)


def test_who_has_more_than_another_is_ahead(tallies: list[Tally]) -> None:
    tallies[1].write(4)
    tallies[2].write(9)
    assert tallies[0].is_ahead(5)
    assert not tallies[0].is_ahead(4)


def test_with_many_connections_small_differences_do_not_count(tallies: list[Tally]) -> None:
    tallies[1].write(160)
    assert not tallies[0].is_ahead(170)
    assert tallies[0].is_ahead(171)


def test_nobody_waits_for_a_worker_that_has_left(tallies: list[Tally]) -> None:
    tallies[1].write(0)
    assert tallies[0].is_ahead(1)
    tallies[1].leave()
    assert not tallies[0].is_ahead(1)


def test_another_may_say_that_a_worker_has_left() -> None:
    with shared_memory(2) as descriptor, Tally.at(descriptor, 0) as mine:
        with Tally.at(descriptor, 1) as dead:
            dead.write(0)
        assert mine.is_ahead(1)
        with Tally.at(descriptor, 1) as said:
            said.leave()
        assert not mine.is_ahead(1)
