"""Comfort noise: a real line is never digitally silent, and a detector tuned on digital silence fails on it."""

from __future__ import annotations

import audioop

import numpy as np

from simulator.sound import RATE_HZ, pcm_of

LOOP_S = 4
"""Length of the noise that is repeated: long enough that no ear and no detector finds the period."""


class ComfortNoise:
    """White noise of one level, the same for the same generator."""

    def __init__(self, level_dbfs: float, rng: np.random.Generator) -> None:
        """`level_dbfs`: RMS relative to full scale, -60 is a good line, -40 a bad one."""
        if level_dbfs > 0:
            raise ValueError(f"noise is told in dB below full scale, so not above 0, got {level_dbfs}")
        amplitude = 32768 * 10 ** (level_dbfs / 20)
        self._loop = pcm_of(rng.standard_normal(LOOP_S * RATE_HZ) * amplitude / 32768)
        self._at = 0

    def under(self, pcm: bytes) -> bytes:
        """`pcm` with the next of the noise mixed in, clipped at full scale; PCM16 both, at most `LOOP_S` long."""
        noise = self._loop[self._at : self._at + len(pcm)]
        noise += self._loop[: len(pcm) - len(noise)]
        self._at = (self._at + len(pcm)) % len(self._loop)
        return audioop.add(pcm, noise, 2)
