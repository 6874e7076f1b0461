"""How long a listener waits in the middle of words."""

from __future__ import annotations

import pytest

from pipeline.legs.gaps import Gaps


def test_sound_that_comes_faster_than_it_plays_leaves_no_gap() -> None:
    gaps = Gaps()
    for number in range(10):
        gaps.sounded(5.0 + 0.05 * number, 0.1, is_first=number == 0)
    assert gaps.total_s == 0.0
    assert gaps.made_s == pytest.approx(1.0)


def test_sound_that_drips_leaves_a_gap_after_each_drop() -> None:
    gaps = Gaps()
    for number in range(4):
        gaps.sounded(5.0 + 0.5 * number, 0.02, is_first=number == 0)
    assert gaps.total_s == pytest.approx(3 * 0.48)


def test_a_pause_before_a_clause_is_no_gap() -> None:
    gaps = Gaps()
    gaps.sounded(5.0, 0.1, is_first=True)
    gaps.sounded(7.0, 0.1, is_first=True)
    assert gaps.total_s == 0.0


def test_who_is_made_to_wait_is_not_slow() -> None:
    gaps = Gaps()
    gaps.sounded(5.0, 0.1, is_first=True)
    gaps.excuse(8.0)
    gaps.sounded(8.2, 0.1, is_first=False)
    assert gaps.total_s == pytest.approx(0.2)
