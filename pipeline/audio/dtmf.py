"""Keys of a telephone as tones, for systems that hear them in the sound (ITU-T Q.23 and Q.24). Pure.

Twilio takes keys from a caller out of the sound, but has no message that puts them in: a media stream can only
play them.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from pipeline.audio.formats import PCM_8K, AudioFormat
from pipeline.audio.transcode import transcode

TONE_MS: Final = 100
"""Q.24: receivers take 40 ms and more."""
PAUSE_MS: Final = 100
"""Q.24: at least 40 ms between two keys; slow menus miss those that come faster."""
WAIT_MS: Final = 500
"""Of a `w`, as in Twilio's `sendDigits`."""

_LEVEL: Final = 8_000
"""Of each of the two tones, of 32,768: -9 dBm0 or so, as a telephone sends them."""
_ROWS_HZ: Final = (697, 770, 852, 941)
_COLUMNS_HZ: Final = (1209, 1336, 1477, 1633)
_KEYS: Final = ("123A", "456B", "789C", "*0#D")


def tones(digits: str, format: AudioFormat) -> bytes:
    """The sound of these keys (0-9, *, #, A-D; `w` waits), each followed by a pause. Raises `ValueError`."""
    silence = bytes(PCM_8K.bytes_in(WAIT_MS))
    sound = b"".join(silence if digit == "w" else _tone(digit) for digit in digits)
    return transcode(sound, PCM_8K, format)


@cache
def _tone(key: str) -> bytes:
    for row, keys in enumerate(_KEYS):
        if key in keys and len(key) == 1:
            seconds = np.arange(PCM_8K.rate_hz * TONE_MS // 1000) / PCM_8K.rate_hz
            pair = (_ROWS_HZ[row], _COLUMNS_HZ[keys.index(key)])
            low, high = (np.sin(2 * np.pi * hz * seconds) for hz in pair)
            return (_LEVEL * (low + high)).astype("<i2").tobytes() + bytes(PCM_8K.bytes_in(PAUSE_MS))
    raise ValueError(f"{key!r} is no key; expected 0-9, *, #, A-D or w")
