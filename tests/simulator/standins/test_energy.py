from __future__ import annotations

import audioop
from collections.abc import Callable

import pytest

from simulator.standins.energy import Energy
from simulator.standins.tone import hum

ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "linear16": bytes,
    "mulaw": lambda pcm16: audioop.lin2ulaw(pcm16, 2),
    "alaw": lambda pcm16: audioop.lin2alaw(pcm16, 2),
}


@pytest.mark.parametrize("encoding", list(ENCODERS))
@pytest.mark.parametrize("rate_hz", [8_000, 24_000])
def test_voice_is_told_from_silence_in_every_encoding(encoding: str, rate_hz: int) -> None:
    pcm16 = hum(1, rate_hz, word_ms=40) + bytes(2 * rate_hz * 40 // 1000)
    assert list(Energy(encoding, rate_hz).frames(ENCODERS[encoding](pcm16))) == [True, True, False, False]


def test_a_frame_is_judged_when_it_is_whole() -> None:
    energy = Energy("linear16", 8_000)
    sound = hum(1, 8_000, word_ms=20)
    assert list(energy.frames(sound[:-2])) == []
    assert list(energy.frames(sound[-2:])) == [True]


def test_the_noise_of_a_line_is_no_voice() -> None:
    quiet = audioop.mul(hum(1, 8_000, word_ms=20), 2, 0.05)
    assert list(Energy("linear16", 8_000).frames(quiet)) == [False]
