"""Louder or softer: PCM16 times a factor, clipped where the loudest would not fit."""

from __future__ import annotations

import numpy as np


def scaled(pcm16: bytes, gain: float) -> bytes:
    """Little-endian mono PCM16, each sample times `gain` and rounded."""
    if gain == 1.0:
        return pcm16
    samples = np.frombuffer(pcm16, "<i2") * gain
    return np.clip(np.rint(samples), -32_768, 32_767).astype("<i2").tobytes()
