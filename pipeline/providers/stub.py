"""Providers that do nothing at no cost, for benchmarks: whatever a call takes with them is Switchboard's own.

They understand nothing, think nothing and hum instead of speaking. Nothing about them is a demonstration.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import numpy as np

from pipeline.audio import g711
from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, PCMA, PCMU, AudioFormat
from pipeline.provider import ModelOutput, Prompt, ProviderError, Speech, TextDelta, Transcript, WordTime
from pipeline.providers.source import Source
from pipeline.providers.word_tokens import metered

NAME: Final = "stub"

TRANSCRIPT: Final = "Something was said."
REPLY_WORDS: Final = 20
WORD_MS: Final = 200
"""How long a word is hummed: 300 words a minute, a fast speaker."""
PIECE_MS: Final = 200

_TONE_HZ: Final = 400  # whole periods in every piece, so that pieces join without a click
_TONE_LEVEL: Final = 4_000  # of 32,768


class StubTranscriber:
    """Says `TRANSCRIPT` of any sound at all, when it ends."""

    name = NAME
    formats: tuple[AudioFormat, ...] = (PCMU, PCMA, PCM_8K, PCM_16K, PCM_24K)

    async def transcribe(
        self, audio: AsyncIterator[bytes], *, format: AudioFormat, language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        """See `Transcriber`."""
        length = 0
        async for sound in audio:
            length += len(sound)
        yield Transcript(TRANSCRIPT if length else "", is_final=True)


class StubModel:
    """Answers everything with the same `words` words, in sentences of ten. A word is a token; it calls no tool."""

    name = NAME
    takes_images = False

    def __init__(self, *, words: int = REPLY_WORDS) -> None:
        self._deltas = tuple(
            TextDelta(f"{' ' if number else ''}word{'.' if number % 10 == 9 or number == words - 1 else ''}")
            for number in range(words)
        )

    async def respond(self, prompt: Prompt) -> AsyncGenerator[ModelOutput, None]:
        """See `LanguageModel`."""
        for output in metered(prompt, self._deltas):
            yield output


class StubVoice:
    """Hums straight in µ-law and at 24 kHz, so that nothing is transcoded for a telephone or a Realtime client.

    A word lasts `word_ms` milliseconds at its own pace.
    """

    name = NAME
    formats: tuple[AudioFormat, ...] = (PCMU, PCM_24K)

    def __init__(self, *, word_ms: int = WORD_MS) -> None:
        self._word_ms = word_ms
        self._pieces = {format: _tone(format) for format in self.formats}

    async def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        """See `Voice`. Raises `ProviderError` for another format."""
        if format not in self.formats:
            raise ProviderError(NAME, f"hums in {self.formats}, not {format}", retryable=False)
        word_ms, piece = self._word_ms / speed, self._pieces[format]
        async for clause in clauses:
            words = clause.split()
            length = format.bytes_in(word_ms * len(words))
            whole, rest = divmod(length, len(piece))
            times = tuple(WordTime(word, round(at * word_ms)) for at, word in enumerate(words))
            sounds = [piece] * whole + ([piece[:rest]] if rest else [])
            for number, sound in enumerate(sounds):
                yield Speech(sound) if number else Speech(sound, clause, times)


def _tone(format: AudioFormat) -> bytes:
    samples = format.rate_hz * PIECE_MS // 1000
    phase = 2 * math.pi * _TONE_HZ / format.rate_hz * np.arange(samples)
    return g711.encode((_TONE_LEVEL * np.sin(phase)).astype("<i2").tobytes(), format.encoding)


def transcriber(source: Source) -> StubTranscriber:
    """For the registry, as are the other two."""
    return StubTranscriber()


def language_model(source: Source) -> StubModel:
    return StubModel()


def voice(source: Source) -> StubVoice:
    return StubVoice()
