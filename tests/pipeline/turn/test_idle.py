"""The wait for a caller who says nothing. Eight positions are a millisecond."""

from __future__ import annotations

from pipeline.turn.idle import Idle

RATE_HZ = 8_000
TIMEOUT_MS = 5_000


def test_nobody_is_idle_before_the_first_answer() -> None:
    idle = Idle(RATE_HZ)
    idle.restart(800)
    assert not idle.is_armed
    assert not idle.is_over(10**9, TIMEOUT_MS)


def test_the_wait_begins_where_the_answer_is_over_and_ends_once() -> None:
    idle = Idle(RATE_HZ)
    idle.arm(8_000)
    assert idle.is_armed
    assert [idle.is_over(now, TIMEOUT_MS) for now in (47_999, 48_000)] == [False, True]
    assert idle.take() == 8_000
    assert not idle.is_over(48_000, TIMEOUT_MS)
    assert idle.take() == 0


def test_sound_made_faster_than_it_is_played_is_waited_for() -> None:
    """Realtime reference, section D.12: `response.done` plus what is left of the playback."""
    idle = Idle(RATE_HZ)
    idle.sound(8_000, 2.0)
    idle.sound(8_100, 1.0)
    idle.arm(8_200)
    assert [idle.is_over(now, TIMEOUT_MS) for now in (71_999, 72_000)] == [False, True]


def test_sound_after_a_gap_is_played_from_where_it_was_made() -> None:
    idle = Idle(RATE_HZ)
    idle.sound(0, 1.0)
    idle.sound(80_000, 1.0)
    idle.arm(80_001)
    assert idle.take() == 88_000


def test_whoever_speaks_has_the_wait_begin_anew() -> None:
    idle = Idle(RATE_HZ)
    idle.sound(0, 60.0)
    idle.arm(8_000)
    idle.restart(16_000)
    assert idle.take() == 16_000, "and what was being played no longer counts"


def test_another_rate_counts_the_same_time() -> None:
    idle = Idle(RATE_HZ)
    idle.sound(0, 2.0)
    idle.follow(24_000)
    idle.arm(0)
    idle.follow(RATE_HZ)
    assert idle.take() == 16_000


def test_sound_is_playing_for_as_long_as_it_was_made_or_until_somebody_speaks() -> None:
    idle = Idle(RATE_HZ)
    idle.sound(8_000, 1.0)
    assert [idle.is_playing(now) for now in (8_000, 15_999, 16_000)] == [True, True, False]
    idle.restart(9_000)
    assert not idle.is_playing(9_000)
