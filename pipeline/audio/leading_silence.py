"""The silence in front of an answer, which a caller hears as slowness. A voice's service sends 150 to 250 ms of it.

Pure, for one answer in any encoding. It waits for sound only while there is none, and takes away so little that a
pause somebody meant is still one.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.audio import g711
from pipeline.audio.formats import AudioFormat

SILENCE_LEVEL: Final = 100
"""Of 32,768: -50 dB. The breath in front of a word is louder, a service's noise floor is not."""

MOST_MS: Final = 300
"""More than this is a pause that somebody meant."""

KEPT_MS: Final = 20
"""What stays in front of the first sound: a consonant begins more quietly than the level."""


class LeadingSilence:
    """Takes it off one answer. `push` what is made; what it returns is to be played."""

    def __init__(self, format: AudioFormat, *, level: int = SILENCE_LEVEL, most_ms: int = MOST_MS) -> None:
        self._format = format
        self._level = level
        self._most = format.bytes_in(most_ms)
        self._kept = format.bytes_in(KEPT_MS)
        self._held: bytes | None = b""
        """`None` once sound was found: all that follows passes."""
        self._dropped = 0

    @property
    def dropped_ms(self) -> float:
        """How much later everything lay before it was taken away."""
        return self._dropped * 1000 / self._format.bytes_per_second

    def push(self, audio: bytes) -> bytes:
        """Whole samples in; all that is certain to be played out."""
        if self._held is None:
            return audio
        held = self._held + audio
        sound = self._first_sound(held)
        if sound is None and len(held) < self._most + self._kept:
            self._held = held
            return b""
        # Silence that is too long is one that ends `_kept` after what may be taken.
        quiet = len(held) if sound is None else sound
        self._dropped = max(0, min(quiet - self._kept, self._most))
        self._held = None
        return held[self._dropped :]

    def flush(self) -> bytes:
        """What is still held at the end of an answer in which there was no sound."""
        held, self._held = self._held or b"", None
        return held

    def _first_sound(self, audio: bytes) -> int | None:
        """The byte at which the first sample louder than the level begins."""
        samples = np.frombuffer(g711.decode(audio, self._format.encoding), dtype="<i2").astype(np.int32)
        loud = np.flatnonzero(np.abs(samples) > self._level)
        return int(loud[0]) * self._format.encoding.bytes_per_sample if loud.size else None
