"""Phone lines for the tests: clips of speech between stretches of comfort noise, as floats and as µ-law."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.audio.g711 import ULAW_TO_FLOAT, pcm16_to_ulaw

Floats = npt.NDArray[np.float32]

CLIPS = ("stop", "anybody", "order", "wait")
"""Made by data/make.sh."""


def clip(name: str) -> Floats:
    audio = (Path(__file__).parent / "data" / f"{name}.ulaw").read_bytes()
    return ULAW_TO_FLOAT[np.frombuffer(audio, dtype=np.uint8)]


def noise(samples: int, level_db: float, seed: int = 0) -> Floats:
    """White, at `level_db` dBFS."""
    made = np.random.default_rng(seed).standard_normal(samples) * 10 ** (level_db / 20)
    return made.astype(np.float32)


def line(name: str, before: int, after: int, noise_db: float = -60.0, seed: int = 0) -> Floats:
    """`before` and `after` count samples of nothing but the line around the clip."""
    speech = np.pad(clip(name), (before, after))
    return speech + noise(speech.size, noise_db, seed)


def pcm16(sound: Floats) -> bytes:
    return np.rint(np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes()


def ulaw(sound: Floats) -> bytes:
    return pcm16_to_ulaw(pcm16(sound))


def voice_bounds(name: str) -> tuple[int, int]:
    """First and last sample of the clip that is louder than 30 dB below its loudest 20 ms, found over 2 ms."""
    power = np.convolve(clip(name).astype(np.float64) ** 2, np.ones(16) / 16, "same")
    longer = np.convolve(clip(name).astype(np.float64) ** 2, np.ones(160) / 160, "same")
    loud = np.flatnonzero(power > longer.max() / 1000)
    return int(loud[0]), int(loud[-1]) + 1
