from __future__ import annotations

import sys
from array import array

import pytest

from simulator.standins import tone
from simulator.standins.tone import HUM_LEVEL, WORD_MS, hum, hum_ulaw


def samples_of(sound: bytes) -> array[int]:
    samples = array("h")
    samples.frombytes(sound)
    return samples


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("words", [0, 1, 3, 17])
def test_a_hum_is_as_long_as_its_words(words: int, rate_hz: int) -> None:
    assert len(hum(words, rate_hz)) == words * WORD_MS * rate_hz // 1000 * 2
    assert len(hum(words, rate_hz, word_ms=50)) == words * 50 * rate_hz // 1000 * 2


def test_a_hum_is_audible_and_has_no_click_where_seconds_meet() -> None:
    samples = samples_of(hum(20, 8_000))
    assert max(samples) == HUM_LEVEL
    assert min(samples) == -HUM_LEVEL
    steepest = max(abs(one - next_one) for one, next_one in zip(samples, samples[1:], strict=False))
    assert steepest < HUM_LEVEL / 4


def test_in_ulaw_a_word_takes_a_byte_a_sample() -> None:
    sound = hum_ulaw(2)
    assert len(sound) == 2 * WORD_MS * 8
    assert len(set(sound)) > 10


def test_samples_are_little_endian_wherever_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    here = hum(1, 11_025)
    monkeypatch.setattr(tone, "byteorder", "big" if sys.byteorder == "little" else "little")
    tone._second.cache_clear()
    swapped = hum(1, 11_025)
    tone._second.cache_clear()
    assert swapped[0::2] == here[1::2]
    assert swapped[1::2] == here[0::2]


@pytest.mark.parametrize("hum_hz", [250, 500])
def test_a_hum_can_be_told_its_pitch(hum_hz: int) -> None:
    samples = samples_of(hum(5, 8_000, hum_hz=hum_hz))
    rising = sum(one < 0 <= next_one for one, next_one in zip(samples, samples[1:], strict=False))
    assert rising == pytest.approx(hum_hz, abs=1)
