"""The caller's sound, by position."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audio.formats import PCM_8K, PCMU, AudioFormat
from pipeline.input_buffer import InputBuffer

MOST_BYTES = 100_000
KEPT_MS = 5_000


def test_sound_is_found_by_its_position() -> None:
    buffer = InputBuffer(PCMU, MOST_BYTES)
    buffer.append(b"abcdefgh")
    assert (buffer.heard, buffer.start, buffer.kept_ms) == (8, 0, 1.0)
    assert buffer.since(0) == b"abcdefgh"
    assert buffer.since(5) == b"fgh"
    assert buffer.since(8) == b""
    assert buffer.since(-100) == b"abcdefgh"


def test_positions_count_samples_and_not_bytes() -> None:
    buffer = InputBuffer(PCM_8K, MOST_BYTES)
    buffer.append(b"aabbccdd")
    assert (buffer.heard, buffer.kept_ms) == (4, 0.5)
    assert buffer.since(3) == b"dd"
    buffer.keep_from(2)
    assert (buffer.start, buffer.since(0)) == (2, b"ccdd")


def test_what_is_forgotten_stays_counted() -> None:
    buffer = InputBuffer(PCMU, MOST_BYTES)
    buffer.append(b"abcd")
    buffer.keep_from(3)
    assert buffer.since(0) == b"d"
    buffer.keep_from(1)
    assert buffer.since(0) == b"d", "what is gone does not come back"
    buffer.clear()
    assert (buffer.start, buffer.heard, buffer.kept_ms) == (4, 4, 0)
    buffer.append(b"ef")
    assert buffer.since(4) == b"ef"


@pytest.mark.parametrize("format", [PCMU, PCM_8K])
def test_an_open_line_does_not_grow_without_bound(format: AudioFormat) -> None:
    buffer = InputBuffer(format, format.bytes_in(KEPT_MS))
    for _ in range(2):
        buffer.append(format.silence * (format.bytes_in(KEPT_MS) // len(format.silence)))
    buffer.append(format.silence * 8)
    assert buffer.kept_ms == KEPT_MS
    assert buffer.heard == format.rate_hz * 2 * KEPT_MS // 1000 + 8


pieces = st.lists(st.binary(max_size=40))


@given(pieces, st.integers(-5, 300), st.integers(-5, 300))
@settings(derandomize=True, max_examples=100)
def test_the_buffer_holds_the_end_of_all_that_was_heard(pieces: list[bytes], keep: int, ask: int) -> None:
    buffer = InputBuffer(PCMU, MOST_BYTES)
    whole = b""
    for piece in pieces:
        buffer.append(piece)
        buffer.keep_from(min(keep, buffer.heard))
        whole += piece
    assert buffer.heard == len(whole)
    assert buffer.since(ask) == whole[max(ask, buffer.start, 0) :]
    assert buffer.start == min(max(keep, 0), len(whole))


def test_what_is_too_much_pushes_out_the_oldest_whole_sample_by_whole_sample() -> None:
    buffer = InputBuffer(PCM_8K, 5)
    assert (buffer.most_bytes, buffer.room_bytes) == (4, 4)
    buffer.append(b"aabb")
    buffer.append(b"cc")
    assert (buffer.since(0), buffer.start, buffer.room_bytes) == (b"bbcc", 1, 0)
