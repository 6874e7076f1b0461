"""A session's budget for second requests."""

from __future__ import annotations

from pipeline.legs.budget import ANSWERS_FOR_ONE, AT_THE_BEGINNING, Budget


def test_it_begins_with_some_and_no_more() -> None:
    budget = Budget()
    assert [budget.spend() for _ in range(AT_THE_BEGINNING + 1)] == [True] * AT_THE_BEGINNING + [False]
    assert not budget.has_left


def test_every_few_answers_earn_one() -> None:
    budget = Budget()
    while budget.spend():
        pass
    for _ in range(ANSWERS_FOR_ONE - 1):
        budget.earn()
    assert not budget.has_left
    budget.earn()
    assert [budget.spend(), budget.spend()] == [True, False]
