"""The providers of a worker under proof: they cost no time, and they bear witness.

The transcriber reads the marks of a turn (`prove_marks.py`) and says them in words. The model writes down, for
every prompt, which turns it was told of: into a file of JSON lines that all workers append to, and that no fault in
Redis or in a worker can take back. The voice hums words with a pause after each, so that a recording shows which
were cut.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from gateway.cli.prove_marks import Mark, marks_in
from pipeline.audio import g711
from pipeline.audio.formats import PCMU, AudioFormat
from pipeline.events.items import Message
from pipeline.provider import ModelOutput, Prompt, Speech, TextDelta, Transcript, WordTime

GREETING: Final = "You have reached the proof."
GREETING_WORDS: Final = len(GREETING.split())

ANSWER_WORDS: Final = 30
"""Six seconds: most of the time the agent is speaking, so most faults come into a sentence."""

WORD_MS: Final = 160
PAUSE_MS: Final = 40
"""After each word. Shorter than any hole that a fault makes, longer than any that a network makes."""

_TONE_HZ: Final = 400
_TONE_LEVEL: Final = 4_000  # of 32,768
_TURN: Final = re.compile(r"turn (\d+) of call (\d+)")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt: what a model was told of the past."""

    call: int
    turns: tuple[int, ...]
    """Of the caller's, those among its items."""
    answers: tuple[int, ...] = ()
    """The turns whose answers are among its items, whole or in part."""
    at_s: float
    """On the machine's steady clock, which all its processes share."""
    pid: int


class Ledger:
    """The file of what models were told."""

    def __init__(self, path: Path) -> None:
        # Appending less than a page to a file in memory does not hold the event loop up.
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, told: Told) -> None:
        os.write(self._file, msgspec.json.encode(told) + b"\n")


def read_ledger(path: Path) -> tuple[Told, ...]:
    """All that was written so far; a line that a killed worker did not finish is left out."""
    if not path.exists():
        return ()
    lines = path.read_bytes().split(b"\n")
    return tuple(found for line in lines if (found := _read(line)) is not None)


def _read(line: bytes) -> Told | None:
    try:
        return _decoder.decode(line)
    except msgspec.MsgspecError:
        return None


_decoder = msgspec.json.Decoder(Told)


class WitnessTranscriber:
    """Says which turn of which call it heard."""

    name = "witness"
    formats: tuple[AudioFormat, ...] = (PCMU,)

    async def transcribe(
        self, audio: AsyncIterator[bytes], *, format: AudioFormat, language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        """See `Transcriber`."""
        law = b"".join([sound async for sound in audio])
        yield Transcript(words_of(marks_in(law)), is_final=True)


def words_of(marks: Iterable[Mark]) -> str:
    """What a caller with these marks is taken to have said."""
    said = [f"This is turn {mark.turn} of call {mark.call}." for mark in marks]
    return " ".join(said) or "Something was said."


class WitnessModel:
    """Answers with a fixed number of words, the first of which name the turn; writes down what it was told."""

    name = "witness"
    takes_images = False

    def __init__(self, ledger: Ledger, *, words: int = ANSWER_WORDS) -> None:
        self._ledger = ledger
        self._words = words

    async def respond(self, prompt: Prompt) -> AsyncGenerator[ModelOutput, None]:
        """See `LanguageModel`."""
        turns, answers = _named(prompt, "user"), _named(prompt, "assistant")
        if turns:
            call = turns[-1].call
            self._ledger.write(
                Told(
                    call=call,
                    turns=tuple(sorted({mark.turn for mark in turns if mark.call == call})),
                    answers=tuple(sorted({mark.turn for mark in answers if mark.call == call})),
                    at_s=time.monotonic(),
                    pid=os.getpid(),
                )
            )
        words = f"To turn {turns[-1].turn} of call {turns[-1].call}".split() if turns else []
        words += ["word"] * (self._words - len(words))
        yield TextDelta(" ".join(words) + ".")


def _named(prompt: Prompt, role: str) -> list[Mark]:
    """The turns that the messages of one side name, in order."""
    texts = (item.text for item in prompt.items if isinstance(item, Message) and item.role == role)
    return [Mark(call=int(call), turn=int(turn)) for text in texts for turn, call in _TURN.findall(text)]


class WitnessVoice:
    """Hums each word for `WORD_MS` and pauses for `PAUSE_MS`."""

    name = "witness"
    formats: tuple[AudioFormat, ...] = (PCMU,)

    def __init__(self) -> None:
        samples = PCMU.rate_hz * WORD_MS // 1000
        phase = 2 * math.pi * _TONE_HZ / PCMU.rate_hz * np.arange(samples)
        tone = (_TONE_LEVEL * np.sin(phase)).astype("<i2").tobytes()
        self._word = g711.encode(tone, PCMU.encoding) + b"\xff" * PCMU.bytes_in(PAUSE_MS)

    async def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        """See `Voice`; always at its own pace."""
        async for clause in clauses:
            words = clause.split()
            times = tuple(WordTime(word, at * (WORD_MS + PAUSE_MS)) for at, word in enumerate(words))
            for number in range(len(words)):
                yield Speech(self._word) if number else Speech(self._word, clause, times)
