"""One channel: sound where it was put, silence elsewhere, and nothing that was taken comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.recordings.track import Track

QUIET = b"\xff"

pieces = st.tuples(st.just("put"), st.integers(0, 60), st.binary(max_size=20))
takes = st.tuples(st.just("take"), st.integers(0, 80), st.just(b""))
hushes = st.tuples(st.just("hush"), st.integers(0, 60), st.binary(max_size=20))


@given(st.lists(pieces | takes | hushes, max_size=20))
def test_it_is_a_strip_of_samples_whatever_is_put_and_taken(steps: list[tuple[str, int, bytes]]) -> None:
    track, strip, taken = Track(QUIET), bytearray(QUIET * 200), b""
    for what, at, audio in steps:
        if what == "take":
            taken += track.take(at)
        elif what == "put":
            first = max(at, len(taken))
            strip[first : first + len(audio) - (first - at)] = audio[first - at :]
            track.put(at, audio)
        else:
            first, last = max(at, len(taken)), max(len(taken), at + len(audio))
            strip[first:last] = QUIET * (last - first)
            track.hush(at, at + len(audio))
        assert track.first == len(taken)
    assert taken + track.take(200) == bytes(strip)


def test_only_g711_is_held() -> None:
    with pytest.raises(ValueError, match="one byte a sample"):
        Track(b"\x00\x00")
