"""Sound at another rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.webrtc_rates import at_rate


def tone(rate_hz: int, duration_s: float = 0.5, hz: int = 440) -> bytes:
    times = np.arange(int(rate_hz * duration_s)) / rate_hz
    return (8_000 * np.sin(2 * np.pi * hz * times)).astype("<i2").tobytes()


@pytest.mark.parametrize(("rate_hz", "to_hz"), [(8_000, 48_000), (48_000, 8_000)])
def test_a_tone_is_the_same_tone_at_the_same_place(rate_hz: int, to_hz: int) -> None:
    got = np.frombuffer(at_rate(tone(rate_hz), rate_hz, to_hz), dtype="<i2").astype(float)
    wanted = np.frombuffer(tone(to_hz), dtype="<i2").astype(float)
    middle = slice(len(wanted) // 4, -len(wanted) // 4)
    assert np.abs(got - wanted)[middle].max() < 300


def test_at_the_same_rate_nothing_changes() -> None:
    assert at_rate(tone(8_000), 8_000, 8_000) == tone(8_000)


@given(st.integers(0, 2_000), st.sampled_from([(8_000, 48_000), (48_000, 8_000), (24_000, 8_000)]))
def test_the_length_is_kept_to_the_sample(samples: int, rates: tuple[int, int]) -> None:
    rate_hz, to_hz = rates
    assert len(at_rate(bytes(2 * samples), rate_hz, to_hz)) == 2 * round(samples * to_hz / rate_hz)
