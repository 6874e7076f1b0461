"""Keys as tones: the two frequencies of each, and nothing else of note."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.audio.dtmf import PAUSE_MS, TONE_MS, WAIT_MS, tones
from pipeline.audio.formats import PCM_8K, PCM_24K, PCMU

PAIRS = {"1": (697, 1209), "5": (770, 1336), "0": (941, 1336), "#": (941, 1477), "D": (941, 1633), "*": (941, 1209)}


@pytest.mark.parametrize("key", PAIRS)
def test_a_key_is_its_two_frequencies(key: str) -> None:
    tone = np.frombuffer(tones(key, PCM_8K), "<i2")[: TONE_MS * 8].astype(float)
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone)), 8_000))
    low, high = int(np.argmax(spectrum[:1_080])), 1_080 + int(np.argmax(spectrum[1_080:]))
    assert (low, high) == pytest.approx(PAIRS[key], abs=8)


def test_keys_are_apart_and_a_w_waits() -> None:
    assert len(tones("12", PCMU)) == 2 * (TONE_MS + PAUSE_MS) * 8
    assert len(tones("w", PCM_24K)) == pytest.approx(WAIT_MS * 48, abs=4)


@pytest.mark.parametrize("digits", ["x", "1e", ""])
def test_what_is_no_key_is_refused(digits: str) -> None:
    if not digits:
        assert tones(digits, PCMU) == b""
        return
    with pytest.raises(ValueError, match="is no key"):
        tones(digits, PCMU)
