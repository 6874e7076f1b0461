"""Whisper's log-mel features, against the recipe written out step by step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.turn.log_mel import BANDS, FRAME_SAMPLES, RATE_HZ, SAMPLES, STEP_SAMPLES, STEPS, log_mel

Doubles = npt.NDArray[np.float64]


def pcm16(samples: Doubles) -> bytes:
    return np.rint(samples * 32_767).astype("<i2").tobytes()


def tone(hz: float, seconds: float) -> Doubles:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)


def corner_hz(band: int) -> float:
    """Of Slaney's scale: 82 corners from 0 to 8000 Hz, equally far apart in mels."""
    mels = (15 + 27 * np.log(8_000 / 1_000) / np.log(6.4)) * band / (BANDS + 1)
    return float(mels * 200 / 3 if mels < 15 else 1_000 * 6.4 ** ((mels - 15) / 27))


def recipe(sound: bytes) -> Doubles:
    """In double precision, a frame and a band at a time."""
    heard = np.frombuffer(sound, dtype="<i2").astype(np.float64) / 32_768
    samples = np.concatenate((np.zeros(SAMPLES - heard.size), heard))
    samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    half = FRAME_SAMPLES // 2
    padded = np.concatenate((samples[half:0:-1], samples, samples[-2 : -half - 2 : -1]))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES)
    hz = np.arange(half + 1) * RATE_HZ / FRAME_SAMPLES
    picture = np.zeros((BANDS, STEPS))
    for step in range(STEPS):
        frame = padded[step * STEP_SAMPLES : step * STEP_SAMPLES + FRAME_SAMPLES]
        power = np.abs(np.fft.rfft(frame * hann)) ** 2
        for band in range(BANDS):
            low, peak, high = (corner_hz(band + more) for more in range(3))
            triangle = np.clip(np.minimum((hz - low) / (peak - low), (high - hz) / (high - peak)), 0, None)
            picture[band, step] = np.log10(max(1e-10, float(power @ triangle) * 2 / (high - low)))
    clipped: Doubles = (np.maximum(picture, picture.max() - 8) + 4) / 4
    return clipped


def test_the_features_are_those_of_the_recipe() -> None:
    noise = np.random.default_rng(7).normal(0, 0.01, RATE_HZ * 3 // 2)
    sound = pcm16(np.clip(noise + tone(440, 1.5) * np.linspace(0, 1, noise.size), -1, 1))
    features = log_mel(sound)
    assert features.shape == (BANDS, STEPS)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, recipe(sound), atol=2e-4)


@pytest.mark.parametrize("hz", [300.0, 1_000.0, 3_000.0, 7_000.0])
def test_a_tone_is_loudest_in_the_band_around_it(hz: float) -> None:
    band = int(log_mel(pcm16(tone(hz, 8)))[:, 100:700].mean(axis=1).argmax())
    assert corner_hz(band) < hz < corner_hz(band + 2)


def test_less_than_eight_seconds_stands_at_the_end_and_of_more_the_end_counts() -> None:
    features = log_mel(pcm16(tone(500, 1)))
    assert features[:, : STEPS - 110].max() < features[:, STEPS - 90 :].max() - 0.5
    long = pcm16(np.concatenate((tone(3_000, 3), tone(500, 8))))
    np.testing.assert_array_equal(log_mel(long), log_mel(long[-2 * SAMPLES :]))


def test_silence_is_the_same_everywhere() -> None:
    assert np.ptp(log_mel(b"")) == 0
    np.testing.assert_array_equal(log_mel(b""), log_mel(bytes(2 * SAMPLES)))
