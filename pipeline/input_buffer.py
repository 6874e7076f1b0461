"""The input audio buffer: the caller's sound since the last commit, its positions counted in samples.

While nobody speaks and turn detection is on, only as much is kept as an utterance may reach back
(`prefix padding`, plus the time the speech-activity model needs to notice). Knows no clock: time is what
has been heard.
"""

from __future__ import annotations

from pipeline.audio.formats import AudioFormat

MAX_KEPT_MS = 60_000
"""An utterance longer than this loses its beginning: nothing a person says in one breath is longer, and a
stuck open line must not grow without bound."""


class InputBuffer:
    """Sound not yet committed, and where in the session's input it stands."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self.format = audio_format
        self.heard = 0
        """Samples of input since the session's first."""
        self._audio = bytearray()
        self._width = audio_format.encoding.bytes_per_sample
        self._max_bytes = audio_format.bytes_in(MAX_KEPT_MS)

    def append(self, audio: bytes) -> None:
        """Hear some more; `audio` holds whole samples."""
        self._audio += audio
        self.heard += len(audio) // self._width
        surplus = len(self._audio) - self._max_bytes
        if surplus > 0:
            del self._audio[:surplus]

    @property
    def start(self) -> int:
        """Position of the first sample still kept."""
        return self.heard - len(self._audio) // self._width

    @property
    def kept_ms(self) -> float:
        return self.format.ms_in(len(self._audio) // self._width)

    def keep_from(self, position: int) -> None:
        """Forget all sound before `position`."""
        surplus = (position - self.start) * self._width
        if surplus > 0:
            del self._audio[:surplus]

    def since(self, position: int) -> bytes:
        """All kept sound from `position` on."""
        skip = max(0, position - self.start) * self._width
        return bytes(self._audio[skip:])

    def clear(self) -> None:
        """Forget everything kept; positions go on counting."""
        self._audio.clear()
