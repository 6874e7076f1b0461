"""What a plan makes of datagrams, without any."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.udp_plan import CALM, Dice, Fate, Plan

HARMLESS = Fate(is_lost=False, late_ms=0.0, held_ms=0.0, is_doubled=False)
MANY = 5_000


def fates(plan: Plan, count: int = MANY, seed: int = 1) -> list[Fate]:
    dice = Dice(plan, random.Random(seed))
    return [dice.throw() for _ in range(count)]


def test_a_calm_network_does_nothing() -> None:
    assert fates(CALM, 100) == [HARMLESS] * 100


@given(st.integers(), st.floats(0, 1), st.floats(0, 1), st.floats(0, 200))
def test_the_same_seed_gives_the_same_fates(seed: int, loss: float, reorder: float, jitter_ms: float) -> None:
    plan = Plan(loss=loss, reorder=reorder, jitter_ms=jitter_ms)
    assert fates(plan, 20, seed) == fates(plan, 20, seed)


@given(st.integers(), st.floats(0, 1), st.floats(0, 200))
def test_one_setting_does_not_shift_the_fates_by_another(seed: int, loss: float, jitter_ms: float) -> None:
    alone = [fate.is_lost for fate in fates(Plan(loss=loss), 20, seed)]
    spoilt = Plan(loss=loss, jitter_ms=jitter_ms, jitter_shape="normal", reorder=0.5, duplicate=0.5)
    assert [fate.is_lost for fate in fates(spoilt, 20, seed)] == alone


def test_shares_are_kept_over_many_datagrams() -> None:
    thrown = fates(Plan(loss=0.2, reorder=0.1, duplicate=0.05))
    assert sum(fate.is_lost for fate in thrown) / MANY == pytest.approx(0.2, abs=0.02)
    assert sum(fate.held_ms > 0 for fate in thrown) / MANY == pytest.approx(0.1, abs=0.02)
    assert sum(fate.is_doubled for fate in thrown) / MANY == pytest.approx(0.05, abs=0.02)


def test_even_jitter_lies_between_nothing_and_its_limit() -> None:
    late = [fate.late_ms for fate in fates(Plan(delay_ms=10, jitter_ms=50))]
    assert 10 <= min(late) < 11
    assert 59 < max(late) <= 60


def test_normal_jitter_has_a_tail_beyond_its_deviation_and_is_never_early() -> None:
    late = [fate.late_ms for fate in fates(Plan(delay_ms=10, jitter_ms=50, jitter_shape="normal"))]
    assert min(late) == 10
    assert max(late) > 110
    assert sum(ms == 10 for ms in late) / MANY == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"loss": 1.1}, "loss is a share"),
        ({"reorder": -0.1}, "reorder is a share"),
        ({"duplicate": 2}, "duplicate is a share"),
        ({"delay_ms": -1}, "delay_ms cannot be negative"),
        ({"jitter_ms": -1}, "jitter_ms cannot be negative"),
        ({"reorder_ms": -1}, "reorder_ms cannot be negative"),
        ({"rate_kbit_s": 0}, "rate_kbit_s is more than 0"),
        ({"outages": ((2, 1),)}, "from an earlier to a later"),
        ({"outages": ((-1, 1),)}, "from an earlier to a later"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(settings: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        Plan(**settings)
