"""Where there is voice in a stream of sound, by its loudness alone: the ear of a stand-in that understands nothing.

Pure. Time is the sound's own: it is counted in samples, however fast they come.
"""

from __future__ import annotations

import audioop
from collections.abc import Iterator
from typing import Final

FRAME_MS: Final = 20
"""Sound is judged in frames of this length, a usual packet of a telephone line."""

VOICE_LEVEL: Final = 300
"""Root mean square, of 32,768, from which a frame is taken for voice: -41 dB, well above a line's noise."""

BYTES_PER_SAMPLE: Final = {"linear16": 2, "mulaw": 1, "alaw": 1}
"""What is heard, by the name that speech services give it."""


class Energy:
    """One stream of mono sound in `encoding` (one of `BYTES_PER_SAMPLE`), `rate_hz` samples a second."""

    def __init__(self, encoding: str, rate_hz: int) -> None:
        self._encoding = encoding
        self._frame_bytes = rate_hz * FRAME_MS // 1000 * BYTES_PER_SAMPLE[encoding]
        self._waiting = bytearray()

    def frames(self, audio: bytes) -> Iterator[bool]:
        """Whether there is voice in each whole frame that `audio` completes."""
        self._waiting += audio
        while len(self._waiting) >= self._frame_bytes:
            frame = bytes(self._waiting[: self._frame_bytes])
            del self._waiting[: self._frame_bytes]
            yield audioop.rms(self._linear(frame), 2) >= VOICE_LEVEL

    def _linear(self, frame: bytes) -> bytes:
        match self._encoding:
            case "mulaw":
                return audioop.ulaw2lin(frame, 2)
            case "alaw":
                return audioop.alaw2lin(frame, 2)
            case _:
                return frame
