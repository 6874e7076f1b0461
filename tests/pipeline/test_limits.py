"""The limits that are used where nothing else is said."""

from __future__ import annotations

from pipeline.audio.formats import PCM_24K
from pipeline.limits import MIB, USUAL, Limits


def test_an_append_of_the_largest_size_fits_into_an_event() -> None:
    """Realtime reference, section A.1: 15 MiB of sound, as base64, and some words around it."""
    assert USUAL.append_bytes == 15 * MIB
    assert USUAL.append_bytes * 4 / 3 + 1_000 < USUAL.event_bytes


def test_ten_minutes_of_the_protocols_usual_sound_may_wait_for_a_commit() -> None:
    assert PCM_24K.bytes_in(600_000) <= USUAL.buffered_bytes
    assert USUAL.append_bytes <= USUAL.buffered_bytes


def test_the_usual_limits_are_the_defaults() -> None:
    assert Limits() == USUAL
