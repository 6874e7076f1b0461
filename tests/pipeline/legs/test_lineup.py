"""Who is asked next."""

from __future__ import annotations

from pipeline.legs.breaker import FAILURES_IN_A_ROW
from pipeline.legs.budget import AT_THE_BEGINNING
from pipeline.legs.lineup import Lineup
from pipeline.legs.means import Means


def lineup(*names: str, hedges: bool = False, failing: str = "") -> Lineup:
    means = Means(lambda: 0.0, lambda _: None, hedges=hedges)
    for _ in range(FAILURES_IN_A_ROW):
        means.pace.failed("llm", failing, 0.0)
    return Lineup("llm", names, means)


def asked(line: Lineup) -> list[int | None]:
    """All, until nobody is left; beforehand each is announced."""
    places: list[int | None] = []
    while line.has_more:
        places.append(line.next())
    assert line.next() is None
    return places


def test_each_is_asked_once_in_order_of_preference() -> None:
    assert asked(lineup("a", "b", "c")) == [0, 1, 2]


def test_with_hedges_each_is_asked_a_second_time_within_the_budget() -> None:
    assert asked(lineup("a", "b", hedges=True)) == [0, 1, 0, 1]
    assert asked(lineup("a", "b", "c", hedges=True)) == [0, 1, 2, 0, 1][: 3 + AT_THE_BEGINNING]


def test_whoever_was_asked_is_not_fresh_any_more() -> None:
    line = lineup("a", "b", hedges=True)
    assert (line.next(), line.has_fresh) == (0, True)
    assert (line.next(), line.has_fresh, line.has_more) == (1, False, True)


def test_who_failed_lately_comes_last_but_comes() -> None:
    assert asked(lineup("a", "b", failing="a")) == [1, 0]


def test_who_has_refused_is_not_asked_again() -> None:
    line = lineup("a", "b", hedges=True)
    assert line.next() == 0
    line.refuse(0)
    assert asked(line) == [1, 1]
    assert not line.hedge(0)


def test_a_hedge_is_a_second_request_and_there_is_no_third() -> None:
    line = lineup("a", hedges=True)
    assert not line.hedge(0), "it was not asked yet"
    assert line.next() == 0
    assert [line.hedge(0), line.hedge(0), line.has_more] == [True, False, False]


def test_without_hedges_there_is_no_second_request() -> None:
    line = lineup("a", "b")
    assert line.next() == 0 and not line.hedge(0)
