"""Sound made louder or softer."""

from __future__ import annotations

import struct

import pytest

from pipeline.audio.gain import scaled


def pcm(*samples: int) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples)


@pytest.mark.parametrize(
    ("gain", "after"),
    [
        (1.0, (0, 1000, -1000, 32_767, -32_768)),
        (0.6, (0, 600, -600, 19_660, -19_661)),
        (2.0, (0, 2000, -2000, 32_767, -32_768)),
        (0.0, (0, 0, 0, 0, 0)),
    ],
)
def test_every_sample_is_multiplied_and_the_loudest_are_clipped(gain: float, after: tuple[int, ...]) -> None:
    assert scaled(pcm(0, 1000, -1000, 32_767, -32_768), gain) == pcm(*after)


def test_no_sound_stays_none() -> None:
    assert scaled(b"", 0.5) == b""
