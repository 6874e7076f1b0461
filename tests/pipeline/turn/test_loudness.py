"""Noise floor, voice and the end of sound, on levels made up for the purpose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.turn.loudness import (
    FIRST_FLOOR_DB,
    FIRST_VOICE_DB,
    LOWEST_FLOOR_DB,
    LOWEST_VOICE_DB,
    Levels,
    Loudness,
    levels,
)

ONE = np.array([0])


def at(*blocks_db: float) -> Levels:
    """One window of four blocks."""
    blocks = np.array([blocks_db], dtype=np.float32)
    mean = 10 * np.log10((10 ** (blocks / 10)).mean(axis=1))
    return Levels(blocks, mean)


def hear(loudness: Loudness, level_db: float, probability: float, windows: int = 1) -> None:
    for _ in range(windows):
        loudness.hear(ONE, at(*[level_db] * 4), np.array([probability], dtype=np.float32))


def test_levels_are_rms_in_dbfs_by_block_and_window() -> None:
    sound = np.concatenate((np.full(64, 1.0), np.full(64, 0.1), np.zeros(128))).astype(np.float32)[None]
    found = levels(sound)
    assert found.blocks_db[0].tolist() == pytest.approx([0.0, -20.0, -120.0, -120.0], abs=1e-3)
    assert found.window_db[0] == pytest.approx(10 * np.log10((1 + 0.01) / 4), abs=1e-3)


def test_the_floor_rises_slowly_and_falls_fast() -> None:
    loudness = Loudness(1)
    hear(loudness, -40.0, 0.0, windows=10)
    assert loudness.floor_db[0] == pytest.approx(FIRST_FLOOR_DB + 3.0, abs=1e-3)
    hear(loudness, -70.0, 0.0)
    assert loudness.floor_db[0] == pytest.approx(FIRST_FLOOR_DB, abs=1e-3)


def test_speech_does_not_raise_the_floor_but_the_line_between_words_lowers_it() -> None:
    loudness = Loudness(1)
    hear(loudness, -20.0, 0.9, windows=100)
    assert loudness.floor_db[0] == FIRST_FLOOR_DB
    hear(loudness, -62.0, 0.9)
    assert loudness.floor_db[0] == -62.0


def test_digital_silence_teaches_nothing_about_the_line() -> None:
    loudness = Loudness(1)
    hear(loudness, LOWEST_FLOOR_DB - 1, 0.0, windows=50)
    assert loudness.floor_db[0] == FIRST_FLOOR_DB


def test_the_voice_is_the_loudest_recent_speech_and_fades() -> None:
    loudness = Loudness(1)
    hear(loudness, -15.0, 0.9)
    hear(loudness, -5.0, 0.2)  # loud, but not speech
    assert loudness.voice_db[0] == pytest.approx(-15.0, abs=0.1)
    hear(loudness, -60.0, 0.0, windows=2_000)
    assert loudness.voice_db[0] == pytest.approx(LOWEST_VOICE_DB, abs=0.1)


def test_a_block_is_loud_above_the_floor_and_not_too_far_below_the_voice() -> None:
    loudness = Loudness(1)
    assert loudness.loud_blocks(ONE, at(-53.0, -51.0, -90.0, -30.0)).tolist() == [[False, True, False, True]]
    hear(loudness, -10.0, 0.9)
    assert loudness.loud_blocks(ONE, at(-41.0, -39.0, -90.0, -30.0)).tolist() == [[False, True, False, True]]


def test_a_window_is_still_only_if_its_last_block_is_too() -> None:
    loudness = Loudness(1)
    assert loudness.is_still(ONE, at(-59.0, -59.0, -58.0, -59.0)).tolist() == [True]
    assert loudness.is_still(ONE, at(-56.0, -56.0, -56.0, -56.0)).tolist() == [False]
    assert loudness.is_still(ONE, at(-70.0, -70.0, -70.0, -53.0)).tolist() == [False]


def test_loud_until_is_the_end_of_the_last_loud_block() -> None:
    loudness = Loudness(2)
    slots, ends = np.array([0, 1]), np.array([256, 256])
    loud = np.array([[True, True, False, False], [False, False, False, True]])
    assert loudness.mark(slots, loud, ends, 64).tolist() == [128, 256]
    assert loudness.mark(slots, np.zeros((2, 4), dtype=bool), ends + 256, 64).tolist() == [128, 256]


@given(st.lists(st.tuples(st.integers(1, 300), st.lists(st.booleans(), min_size=4, max_size=4))))
def test_loud_until_never_goes_back_nor_beyond_what_was_heard(steps: list[tuple[int, list[bool]]]) -> None:
    loudness, end, before = Loudness(1), 256, 0
    for further, blocks in steps:
        end += further
        until = int(loudness.mark(ONE, np.array([blocks]), np.array([end]), 64)[0])
        assert before <= until <= end
        before = until


def test_slots_are_added_blank_and_cleared_blank() -> None:
    loudness = Loudness(1)
    hear(loudness, -10.0, 0.9)
    loudness.mark(ONE, np.ones((1, 4), dtype=bool), np.array([256]), 64)
    loudness.grow(2)
    assert loudness.loud_until.tolist() == [256, 0, 0]
    loudness.clear(0)
    assert loudness.loud_until.tolist() == [0, 0, 0]
    assert loudness.floor_db.tolist() == [FIRST_FLOOR_DB] * 3
    assert loudness.voice_db.tolist() == [FIRST_VOICE_DB] * 3
