"""One answer as a voice's service makes it: sound and the times of its words, which come apart, as `Speech`.

Sound is cut at whole samples and loses the silence in front of it; word times move along. Pure: which service
speaks, and on what wire, is not its business.
"""

from __future__ import annotations

from pipeline.audio.formats import AudioFormat
from pipeline.audio.leading_silence import MOST_MS, LeadingSilence
from pipeline.provider import Speech, WordTime
from pipeline.providers.spoken_words import SpokenWords


class SpokenAnswer:
    """`tell` it what the service is told, give it what the service sends, and hand on what `made` returns."""

    def __init__(self, format: AudioFormat, *, trims_silence: bool = True) -> None:
        self._format = format
        self._silence = LeadingSilence(format, most_ms=MOST_MS if trims_silence else 0)
        self._words = SpokenWords()
        self._odd = b""
        self._received = 0
        self._yielded = 0
        self._sound = b""
        self._known: list[WordTime] = []

    @property
    def received_ms(self) -> float:
        """Sound that came so far, silence and all: where the next begins, as the service counts."""
        return self._received * 1000 / self._format.bytes_per_second

    @property
    def lacks_sound(self) -> bool:
        """There was something to pronounce, and no sound of it came."""
        return self._words.can_be_heard and not self._received

    def tell(self, clause: str) -> None:
        self._words.tell(clause)

    def sound(self, audio: bytes) -> None:
        """Any number of bytes; half a sample waits for its other half."""
        audio = self._odd + audio
        whole = self._format.samples_in(audio) * self._format.encoding.bytes_per_sample
        audio, self._odd = audio[:whole], audio[whole:]
        self._received += len(audio)
        self._sound += self._silence.push(audio)

    def time(self, piece: str, start_ms: float) -> None:
        """A word, or a part of one, begins `start_ms` after the first sample that came."""
        self._known += self._words.time(piece, start_ms)

    def end_clauses(self, clauses: int) -> None:
        """The first so many clauses are spoken: those of their words that got no time get none any more."""
        self._known += self._words.spread(self.received_ms, clauses)

    def made(self) -> Speech | None:
        """What came since the last time. Words wait for the first sound: a sign of life is not speech."""
        return self._piece() if self._sound or self._yielded else None

    def end(self) -> Speech | None:
        """The rest, once the service has said that there is no more."""
        self._sound += self._silence.flush()
        self._known += self._words.spread(self.received_ms)
        return self._piece()

    def _piece(self) -> Speech | None:
        if not self._sound and not self._known:
            return None
        moved_ms = self._silence.dropped_ms + self._yielded * 1000 / self._format.bytes_per_second
        words = tuple(WordTime(word.text, round(word.start_ms - moved_ms)) for word in self._known)
        if not self._yielded:
            # A first word timed within the silence begins with the first sound.
            words = tuple(WordTime(word.text, max(0, word.start_ms)) for word in words)
        sound, self._sound, self._known = self._sound, b"", []
        self._yielded += len(sound)
        return Speech(sound, " ".join(word.text for word in words), words)
