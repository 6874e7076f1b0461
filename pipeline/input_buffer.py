"""The input audio buffer: the caller's sound since the last commit, its positions counted in samples.

While nobody speaks and turn detection is on, only as much is kept as an utterance may reach back
(`prefix padding`, plus the time the speech-activity model needs to notice). Knows no clock: time is what
has been heard.
"""

from __future__ import annotations

from pipeline.audio.formats import AudioFormat


class InputBuffer:
    """Sound not yet committed, and where in the session's input it stands; at most `most_bytes` of it are kept."""

    def __init__(self, audio_format: AudioFormat, most_bytes: int) -> None:
        self.format = audio_format
        self.heard = 0
        """Samples of input since the session's first."""
        self._audio = bytearray()
        self._width = audio_format.encoding.bytes_per_sample
        self.most_bytes = most_bytes - most_bytes % self._width

    def append(self, audio: bytes) -> None:
        """Hear some more; `audio` holds whole samples. What is too much pushes out the oldest."""
        self._audio += audio
        self.heard += len(audio) // self._width
        surplus = len(self._audio) - self.most_bytes
        if surplus > 0:
            del self._audio[:surplus]

    @property
    def start(self) -> int:
        """Position of the first sample still kept."""
        return self.heard - len(self._audio) // self._width

    @property
    def room_bytes(self) -> int:
        """What can still be kept."""
        return self.most_bytes - len(self._audio)

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
