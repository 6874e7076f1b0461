"""One channel of a recording, as far as it has not been written yet. Pure; positions are samples of one byte."""

from __future__ import annotations


class Track:
    """Sound on its way to the file: silence wherever nothing was put."""

    def __init__(self, silence: bytes) -> None:
        if len(silence) != 1:
            raise ValueError("a track holds G.711: one byte a sample")
        self._silence = silence
        self._first = 0
        self._sound = bytearray()

    @property
    def first(self) -> int:
        """The first sample that was not taken."""
        return self._first

    @property
    def end(self) -> int:
        """Behind the last sample that was put."""
        return self._first + len(self._sound)

    def put(self, at: int, audio: bytes) -> None:
        """`audio` from sample `at`. Over what is there it wins; what lies before `first` comes too late."""
        skip = at - self._first - len(self._sound)
        if skip > 0:
            self._sound += self._silence * skip
        elif skip < 0:
            index = at - self._first
            if index < 0:
                audio, index = audio[-index:], 0
            self._sound[index : index + len(audio)] = audio
            return
        self._sound += audio

    def hush(self, since: int, until: int) -> None:
        """Silence in place of what was put between the two, as far as it was not taken."""
        start, stop = max(since - self._first, 0), min(until, self.end) - self._first
        if start < stop:
            self._sound[start:stop] = self._silence * (stop - start)

    def take(self, until: int) -> bytes:
        """Everything before `until`, silence where nothing was put."""
        size = until - self._first
        if size <= 0:
            return b""
        taken = bytes(self._sound[:size])
        del self._sound[:size]
        self._first = until
        return taken + self._silence * (size - len(taken))
