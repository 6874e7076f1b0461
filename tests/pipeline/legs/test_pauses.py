"""Silence that is sent as sound."""

from __future__ import annotations

import pytest

from pipeline.audio.formats import PCM_24K, PCMA, PCMU, AudioFormat
from pipeline.legs.pauses import LONGEST_PAUSE_S, Pauses

PIECE_MS = 100


@pytest.mark.parametrize("format", [PCM_24K, PCMU, PCMA])
def test_a_pause_is_part_of_speech_until_it_is_too_long(format: AudioFormat) -> None:
    silence = format.silence * (format.rate_hz * PIECE_MS // 1000)
    sound = b"\x01\x02" * (len(silence) // 2)
    pauses, most = Pauses(format), int(LONGEST_PAUSE_S * 1000 / PIECE_MS) - 1
    for _ in range(2):
        assert not pauses.goes_on(sound)
        assert not any(pauses.goes_on(silence) for _ in range(most))
    assert [pauses.goes_on(silence * 2) for _ in range(3)] == [True] * 3
    assert not pauses.goes_on(sound)


def test_where_there_is_nothing_there_is_no_pause() -> None:
    assert not Pauses(PCMU).goes_on(b"")
