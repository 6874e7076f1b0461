from __future__ import annotations

import numpy as np
import pytest

from simulator.noise import ComfortNoise
from simulator.sound import rms


def noise(level_dbfs: float, seed: int = 1) -> ComfortNoise:
    return ComfortNoise(level_dbfs, np.random.default_rng(seed))


def test_noise_has_the_level_asked_for() -> None:
    assert rms(noise(-50).under(bytes(32_000))) == pytest.approx(32768 * 10 ** (-50 / 20), rel=0.05)


def test_noise_is_the_same_for_the_same_seed_and_goes_on_from_frame_to_frame() -> None:
    whole = noise(-50).under(bytes(640))
    line = noise(-50)
    assert whole == line.under(bytes(320)) + line.under(bytes(320))
    assert whole != noise(-50, seed=2).under(bytes(640))


def test_noise_lies_under_speech_and_clips_rather_than_wraps() -> None:
    loud = np.full(160, 32767, dtype="<i2").tobytes()
    assert np.frombuffer(noise(-20).under(loud), dtype="<i2").min() > 0


def test_noise_above_full_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="got 3"):
        noise(3)
