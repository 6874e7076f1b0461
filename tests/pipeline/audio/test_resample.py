"""What the resampler does to sound, measured: tones, images and aliases, delay, and how it is cut up."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audio.resample import Resampler

RATES_HZ = (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
PAIRS = list(itertools.permutations(RATES_HZ, 2))
LEVEL = 20_000


def tone(frequency_hz: float, rate_hz: int, seconds: float = 0.5) -> bytes:
    at = np.arange(int(rate_hz * seconds)) / rate_hz
    sound: npt.NDArray[np.int16] = np.rint(LEVEL * np.sin(2 * np.pi * frequency_hz * at)).astype("<i2")
    return sound.tobytes()


def resampled(pcm16: bytes, from_hz: int, to_hz: int) -> npt.NDArray[np.float64]:
    stream = Resampler(from_hz, to_hz)
    return np.frombuffer(stream.push(pcm16) + stream.flush(), "<i2").astype(np.float64)


def level_db(sound: npt.NDArray[np.float64]) -> float:
    """Of the middle, without the edges, against a full tone."""
    middle = sound[len(sound) // 10 : -len(sound) // 10]
    return 20 * math.log10(max(1e-9, float(np.sqrt((middle**2).mean())) / (LEVEL / math.sqrt(2))))


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_a_tone_keeps_its_place_length_and_shape(from_hz: int, to_hz: int) -> None:
    pcm16 = tone(1_000, from_hz)
    sound = resampled(pcm16, from_hz, to_hz)
    assert len(sound) == math.ceil(len(pcm16) // 2 * to_hz / from_hz)
    expected = LEVEL * np.sin(2 * np.pi * 1_000 * np.arange(len(sound)) / to_hz)
    assert level_db(sound - expected) < -60


@pytest.mark.parametrize("frequency_hz", [4_600, 4_800, 5_000, 6_000, 7_000, 9_000, 11_000])
def test_what_eight_kilohertz_cannot_carry_is_sixty_decibels_down(frequency_hz: int) -> None:
    assert level_db(resampled(tone(frequency_hz, 24_000), 24_000, 8_000)) < -60


@pytest.mark.parametrize("frequency_hz", [100, 300, 1_000, 2_000, 3_000, 3_400])
def test_the_telephone_band_is_flat(frequency_hz: int) -> None:
    for from_hz, to_hz in ((24_000, 8_000), (8_000, 24_000), (22_050, 8_000)):
        assert abs(level_db(resampled(tone(frequency_hz, from_hz), from_hz, to_hz))) < 0.1


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_at_most_two_milliseconds_are_held_back(from_hz: int, to_hz: int) -> None:
    stream = Resampler(from_hz, to_hz)
    assert 0 < stream.delay_ms <= 2
    made = len(stream.push(tone(1_000, from_hz, 0.1))) // 2
    missing_ms = 100 - made * 1000 / to_hz
    assert missing_ms <= 2
    assert missing_ms <= stream.delay_ms + 1000 / to_hz


@given(st.sampled_from(PAIRS), st.binary(max_size=3_000), st.data())
def test_how_sound_is_cut_changes_nothing(pair: tuple[int, int], sound: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sound)), max_size=12)))
    whole = resampled(sound, *pair)
    stream = Resampler(*pair)
    pieces = [stream.push(sound[a:b]) for a, b in zip([0, *cuts], [*cuts, len(sound)], strict=True)]
    joined = np.frombuffer(b"".join(pieces) + stream.flush(), "<i2")
    assert len(joined) == len(whole)
    assert np.abs(joined - whole).max(initial=0) <= 1


def test_after_a_flush_a_stream_is_as_new() -> None:
    stream = Resampler(8_000, 24_000)
    sound = tone(440, 8_000, 0.1)
    first = stream.push(sound + b"\x01") + stream.flush()
    assert stream.push(sound) + stream.flush() == first


def test_loud_sound_is_clipped_and_does_not_wrap() -> None:
    loud = np.tile(np.repeat(np.array([32_767, -32_768], "<i2"), 20), 20).tobytes()
    sound = resampled(loud, 8_000, 24_000)
    # Twenty samples of one sign: their middle must have that sign too.
    middles = sound[30::60]
    assert (np.sign(middles) == np.resize([1, -1], len(middles))).all()
    assert sound.max() == 32_767
    assert sound.min() == -32_768


def test_equal_rates_pass_whole_samples_untouched() -> None:
    stream = Resampler(16_000, 16_000)
    assert stream.delay_ms == 0
    assert stream.push(b"\x01\x02\x03") == b"\x01\x02"
    assert stream.push(b"\x04") == b"\x03\x04"
    assert stream.flush() == b""


def test_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="positive number of Hz, got 8000 to 0"):
        Resampler(8_000, 0)
