"""The pauses in a voice's own sound: silence that it sends instead of keeping it.

Speech has pauses of some tenths of a second. A voice that goes on sending silence has stopped speaking, however
much of it comes: to the listener it is no sound, and it must not count as any. Only digital silence is known for
certain to be none: all its samples are zero. Pure.
"""

from __future__ import annotations

from typing import Final

from pipeline.audio.formats import AudioFormat

LONGEST_PAUSE_S: Final = 1.0
"""Between two sentences, of a slow speaker."""


class Pauses:
    """Of one attempt to speak, in the format in which the voice makes its sound."""

    def __init__(self, format: AudioFormat) -> None:
        self._format = format
        self._silent_byte = format.silence[:1]
        self._quiet_s = 0.0

    def goes_on(self, audio: bytes) -> bool:
        """Whether this piece belongs to a pause that is longer than any speaker's."""
        if audio.count(self._silent_byte) != len(audio):
            self._quiet_s = 0.0
            return False
        self._quiet_s += self._format.seconds_of(audio)
        return self._quiet_s > LONGEST_PAUSE_S
