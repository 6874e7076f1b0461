"""What a stand-in's voice sounds like: a hum as long as the words it stands for. Nobody needs a synthesiser.

Pure. It knows no wire and no language.
"""

from __future__ import annotations

import audioop
import math
from array import array
from functools import lru_cache
from sys import byteorder
from typing import Final

HUM_HZ: Final = 250
"""Whole periods in every second, so that seconds of it join without a click at any rate."""

HUM_LEVEL: Final = 4_000
"""Of 32,768: -18 dB, as loud as a quiet speaker and far above any threshold of silence."""

WORD_MS: Final = 200
"""300 words a minute, a fast speaker: so tests are short."""


def hum(words: int, rate_hz: int, *, word_ms: int = WORD_MS, hum_hz: int = HUM_HZ) -> bytes:
    """`words` words of sound: mono PCM16, little-endian, `rate_hz` samples a second. None at all for no words."""
    length = words * word_ms * rate_hz // 1000 * 2
    second = _second(rate_hz, hum_hz)
    return (second * (length // len(second) + 1))[:length]


def hum_ulaw(words: int, rate_hz: int = 8_000, *, word_ms: int = WORD_MS) -> bytes:
    """The same in µ-law, one byte a sample, as a telephone line has it."""
    law: bytes = audioop.lin2ulaw(hum(words, rate_hz, word_ms=word_ms), 2)
    return law


@lru_cache(maxsize=8)
def _second(rate_hz: int, hum_hz: int) -> bytes:
    step = 2 * math.pi * hum_hz / rate_hz
    sound = array("h", (round(HUM_LEVEL * math.sin(step * at)) for at in range(rate_hz)))
    if byteorder == "big":
        sound.byteswap()
    return sound.tobytes()
