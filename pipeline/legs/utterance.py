"""An utterance on its way to whoever transcribes it: its sound is kept, so that it can be heard a second time.

Each attempt reads it from its first piece, as fast as it likes, and then along with the caller. Knows nothing of
transcribers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

import numpy as np

from pipeline.audio import g711
from pipeline.audio.formats import AudioFormat
from pipeline.audio.transcode import Transcoder

PIECE_MS: Final = 100
"""Sound goes to the transcriber in pieces of this length: five frames at the price of one. Its end goes at once."""

UTTERANCE_BACKLOG: Final = 300
"""Pieces of sound (30 s) a transcriber may be behind; then the utterance is cut short rather than grow."""

KEPT_S: Final = 60
"""Of what was heard already, for a second attempt: the latest, since a caller who speaks for so long says last what
he wants. Half a megabyte of a telephone's sound."""

VOICED_DBFS: Final = -45.0
"""A piece as loud as this (RMS) is taken for speech: the quietest voice that the loudness of calls is judged by."""


class Utterance:
    """One of one caller. `audio` is known already; `keeps` has it kept to be heard again."""

    def __init__(self, audio: bytes, format: AudioFormat, *, keeps: bool = False) -> None:
        self.format = format
        self.at_once_s = format.seconds_of(audio)
        """What of it came at once instead of as it was spoken."""
        self.length_s = self.at_once_s
        self.voiced_ms = 0
        """Of what came since, as far as it is loud."""
        self.is_open = True
        """More sound is taken."""
        self.has_ended = False
        """The caller has stopped."""
        self.ended: Callable[[], None] = lambda: None
        """Called when it ends."""
        self.grew: Callable[[], None] = lambda: None
        """Called for every piece that is added, if it `keeps`."""
        self._keeps = keeps
        self._pieces = [audio]
        self._dropped = 0
        """Pieces before those of `_pieces`."""
        self._kept_bytes = len(audio)
        self._read = 0
        """Pieces that the foremost reader has taken."""
        self._news = asyncio.Event()
        self._gathered = bytearray()
        self._piece_bytes = format.bytes_in(PIECE_MS)
        self._most_kept_bytes = format.bytes_per_second * KEPT_S if keeps else 0

    def hear(self, audio: bytes) -> None:
        """More of it. When all who hear it are too far behind, it ends here and is cut short."""
        if not self.is_open:
            return
        self._gathered += audio
        if len(self._gathered) < self._piece_bytes:
            return
        if self._dropped + len(self._pieces) - self._read >= UTTERANCE_BACKLOG:
            self._close()
        else:
            self._add()

    def end(self) -> None:
        """The caller has stopped."""
        self._close()
        if not self.has_ended:
            self.has_ended = True
            self.ended()

    def leave(self) -> None:
        """Whoever waited for its end and its growth has gone."""
        self.ended = self.grew = _unheard

    async def sound(
        self, transcoder: Transcoder, given: Callable[[float], None] = lambda _: None
    ) -> AsyncGenerator[bytes, None]:
        """All of it that is kept, then what comes, in the transcoder's target. `given` is told the seconds."""
        at = 0
        while True:
            at = max(at, self._dropped)
            if at < self._dropped + len(self._pieces):
                piece = self._pieces[at - self._dropped]
                at += 1
                if at > self._read:
                    self._read = at
                    self._drop()
                given(self.format.seconds_of(piece))
                yield transcoder.push(piece)
            elif self.is_open:
                self._news.clear()
                await self._news.wait()
            else:
                break
        if tail := transcoder.flush():
            yield tail

    def _close(self) -> None:
        if self.is_open:
            if self._gathered:
                self._add()
            self.is_open = False
            self._news.set()

    def _add(self) -> None:
        piece = bytes(self._gathered)
        self._gathered.clear()
        self._pieces.append(piece)
        self._kept_bytes += len(piece)
        self.length_s += self.format.seconds_of(piece)
        self._news.set()
        if self._keeps:
            if level_dbfs(piece, self.format) >= VOICED_DBFS:
                self.voiced_ms += PIECE_MS
            self.grew()

    def _drop(self) -> None:
        """What was read and is too old to be kept."""
        while self._dropped < self._read and self._kept_bytes > self._most_kept_bytes:
            self._kept_bytes -= len(self._pieces.pop(0))
            self._dropped += 1


def _unheard() -> None:
    """Nobody is told."""


def level_dbfs(sound: bytes, format: AudioFormat) -> float:
    """RMS of a piece, in decibels of full scale."""
    pcm16 = g711.decode(sound, format.encoding)
    whole = pcm16[: len(pcm16) & ~1]  # a client's piece may end in half a sample
    samples = np.frombuffer(whole, np.dtype("<i2")).astype(np.float64)
    power = float(np.mean(np.square(samples / 32_768))) if samples.size else 0.0
    return float(10 * np.log10(max(power, 1e-12)))
