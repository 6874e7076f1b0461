"""What a voice said, put together from its pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from pipeline.audio.formats import PCMU, AudioFormat
from pipeline.playback_ledger import PlaybackLedger
from pipeline.provider import Speech, Voice
from tests.pipeline.providers.streams import all_of, stream_of

CLAUSES = ("Hello, my dear friend.", "It is 9:30 - are you ready?")
WORDS = "Hello, my dear friend. It is 9:30 - are you ready?"


@dataclass(frozen=True, slots=True)
class Said:
    """One answer."""

    pieces: list[Speech]

    @property
    def audio(self) -> bytes:
        return b"".join(piece.audio for piece in self.pieces)

    @property
    def text(self) -> str:
        return " ".join(piece.text for piece in self.pieces if piece.text)

    def starts(self, format: AudioFormat) -> list[tuple[str, int]]:
        """Each timed word, and the millisecond of the answer's sound at which it begins."""
        starts: list[tuple[str, int]] = []
        before_ms = 0.0
        for piece in self.pieces:
            starts += [(word.text, round(before_ms + word.start_ms)) for word in piece.words]
            before_ms += piece_ms(piece, format)
        return starts

    def heard(self, format: AudioFormat, ms: int) -> str:
        """What the ledger says was heard after `ms` of it."""
        ledger = PlaybackLedger(format.rate_hz)
        for piece in self.pieces:
            ledger.write("item", format.samples_in(piece.audio), piece.text, piece.words)
        ledger.finish("item")
        ledger.play(ms * format.rate_hz // 1000)
        return ledger.heard("item").text


def piece_ms(piece: Speech, format: AudioFormat) -> float:
    return format.ms_in(format.samples_in(piece.audio))


async def said(
    voice: Voice,
    clauses: Iterable[str] = CLAUSES,
    *,
    format: AudioFormat = PCMU,
    name: str | None = None,
    speed: float = 1.0,
) -> Said:
    return Said(await all_of(voice.speak(stream_of(clauses), format=format, voice=name, speed=speed)))


async def then_nothing(*clauses: str) -> AsyncIterator[str]:
    """Clauses of a model that never comes to an end."""
    for clause in clauses:
        yield clause
    await asyncio.Event().wait()
