"""What a voice's stand-in recites in one context: a hum for each word, with the time of every character. Pure.

It knows encodings and faults of sound, no wire: each stand-in writes chunks down as its service does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from simulator.sound import Codec
from simulator.standins.fault import Fault
from simulator.standins.tone import HUM_HZ, WORD_MS, hum

CHUNK_MS: Final = 100
DRIP_CHUNK_MS: Final = 20
"""Of a slow drip."""

BIG_CHUNK_BYTES: Final = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SoundForm:
    """How sound is written."""

    encoding: str
    """`pcm`, `ulaw` or `alaw`."""
    rate_hz: int

    @property
    def bytes_per_sample(self) -> int:
        return 2 if self.encoding == "pcm" else 1

    def write(self, pcm: bytes) -> bytes:
        match self.encoding:
            case "ulaw":
                return Codec.PCMU.encode(pcm)
            case "alaw":
                return Codec.PCMA.encode(pcm)
            case _:
                return pcm


@dataclass(frozen=True, slots=True)
class TimedText:
    """A character or a word, in milliseconds from the first sample of its context."""

    text: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of sound, and the characters that begin in it."""

    audio: bytes
    start_ms: float
    chars: tuple[TimedText, ...]


class Recital:
    """One context. `lead_ms` of silence come before its first word, as services have it."""

    def __init__(
        self,
        form: SoundForm,
        fault: Fault,
        *,
        word_ms: float = WORD_MS,
        lead_ms: int = 0,
        speed: float = 1.0,
        hum_hz: int = HUM_HZ,
    ) -> None:
        self._form = form
        self._fault = fault
        self._hum_hz = hum_hz
        self._word_ms = round(word_ms / speed)
        self._lead_ms = lead_ms
        self._at_ms = 0.0
        """Where the next text begins."""

    def recite(self, text: str) -> tuple[list[Chunk], list[TimedText]]:
        """The chunks of `text`, and its words. A text without words has neither."""
        count = len(text.split())
        if not count:
            return [], []
        begins_ms, lead_ms, self._lead_ms = self._at_ms, self._lead_ms, 0
        quiet = bytes(2 * (lead_ms * self._form.rate_hz // 1000))
        voiced = hum(count, self._form.rate_hz, word_ms=self._word_ms, hum_hz=self._hum_hz)
        audio = self._form.write(quiet + voiced)
        self._at_ms += len(audio) * 1000 / (self._form.rate_hz * self._form.bytes_per_sample)
        chars = list(self._chars(text, begins_ms + lead_ms))
        words = [
            TimedText(
                word, begins_ms + lead_ms + at * self._word_ms, begins_ms + lead_ms + (at + 1) * self._word_ms
            )
            for at, word in enumerate(text.split())
        ]
        return list(self._chunks(audio, begins_ms, chars)), words

    def _chars(self, text: str, begins_ms: float) -> Iterator[TimedText]:
        """The characters of a word and the space behind it share the word's time evenly."""
        for at, word in enumerate(text.split()):
            spelled = f"{word} "
            step_ms = self._word_ms / len(spelled)
            for place, char in enumerate(spelled):
                start_ms = begins_ms + at * self._word_ms + place * step_ms
                yield TimedText(char, start_ms, start_ms + step_ms)

    def _chunks(self, audio: bytes, begins_ms: float, chars: list[TimedText]) -> Iterator[Chunk]:
        if self._fault is Fault.BIG_CHUNK:
            audio += bytes(BIG_CHUNK_BYTES)
        size = self._chunk_bytes(len(audio))
        per_ms = self._form.rate_hz * self._form.bytes_per_sample / 1000
        for at in range(0, len(audio), size):
            start_ms = begins_ms + at / per_ms
            end_ms = start_ms + size / per_ms
            within = tuple(char for char in chars if start_ms <= char.start_ms < end_ms)
            yield Chunk(audio[at : at + size], start_ms, within)

    def _chunk_bytes(self, whole: int) -> int:
        if self._fault is Fault.BIG_CHUNK:
            return whole
        length_ms = DRIP_CHUNK_MS if self._fault is Fault.SLOW_DRIP else CHUNK_MS
        size = length_ms * self._form.rate_hz // 1000 * self._form.bytes_per_sample
        return size | 1 if self._fault is Fault.ODD_PCM else size
