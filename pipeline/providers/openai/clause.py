"""The sound of one clause, on its way from the service to whoever speaks it: made ahead, bounded, or void.

It knows nothing of HTTP: pieces of bytes come from somewhere, whole samples go out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from pipeline.audio.formats import AudioFormat

PIECES_AHEAD: Final = 64
"""Of a clause nobody hears yet. Full, its connection is read no further, and the service waits."""

LONGEST_S: Final = 4.0
LONGEST_PER_CHARACTER_S: Final = 0.5
"""A clause may last so long, and so much longer for each of its characters, at its own pace. Numbers take longest,
0.4 s a digit; what goes on is not speech."""

NOT_SOUND: Final = (b"RIFF", b"ID3", b"OggS", b"fLaC")
"""How files begin that are no raw samples: WAV, MP3, Ogg, FLAC."""

SNIFFED_BYTES: Final = 16
"""As many letters in a row are a text: as PCM16 they would be eight samples, all louder than a quarter of full
scale."""


class NotSpeech(Exception):
    """What came is not the sound of the clause; the message says what it is, and how to mend it."""


class Clause:
    """Made by `make` in a task of its own, heard by `sounds` in another."""

    def __init__(self, text: str, format: AudioFormat, speed: float) -> None:
        self.text = text
        self._most_bytes = format.bytes_in(1_000 * (LONGEST_S + LONGEST_PER_CHARACTER_S * len(text)) / speed)
        self._sample_bytes = format.encoding.bytes_per_sample
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(PIECES_AHEAD)
        self._making: asyncio.Task[None] | None = None
        self.begun = asyncio.Event()
        """Set with its first sound, or when there will be none."""

    def make(self, sound: AsyncGenerator[bytes, None]) -> asyncio.Task[None]:
        """Begin. The task is the caller's to cancel."""
        # A bare task: a group's would cancel whoever happens to wait for the generator that holds the group.
        self._making = asyncio.create_task(self._make(sound))
        return self._making

    async def sounds(self) -> AsyncGenerator[bytes, None]:
        """Whole samples, at least one piece. Raises what went wrong in the making."""
        while (sound := await self._pieces.get()) is not None:
            yield sound
        assert self._making is not None
        await self._making

    async def _make(self, sound: AsyncGenerator[bytes, None]) -> None:
        try:
            async with aclosing(sound), aclosing(self._checked(sound)) as pieces:
                async for piece in pieces:
                    await self._pieces.put(piece)
                    self.begun.set()
        except BaseException:
            # What waits is not worth hearing: whoever speaks next begins where the caller's ear is.
            while not self._pieces.empty():
                self._pieces.get_nowait()
            self._pieces.put_nowait(None)
            raise
        else:
            await self._pieces.put(None)
        finally:
            self.begun.set()

    async def _checked(self, sound: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Whole samples of what may be speech. Raises `NotSpeech`."""
        held = bytearray()
        is_known = False
        length = 0
        async for piece in sound:
            held += piece
            length += len(piece)
            if length > self._most_bytes:
                raise NotSpeech("made far more sound than its words can last")
            if not is_known and length >= SNIFFED_BYTES:
                _refuse_other(held)
                is_known = True
            if is_known and (whole := len(held) - len(held) % self._sample_bytes):
                yield bytes(held[:whole])
                del held[:whole]
        if not length:
            raise NotSpeech("made no sound of the words it was given")
        if not is_known:
            raise NotSpeech(f"made only {length} bytes of sound of the words it was given")


def _refuse_other(sound: bytearray) -> None:
    beginning = bytes(sound[:SNIFFED_BYTES])
    if beginning.startswith(NOT_SOUND):
        raise NotSpeech(f"sent a file ({beginning[:4]!r}) instead of raw samples; it does not know the format pcm")
    if all(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in beginning):
        raise NotSpeech("sent a text instead of sound")
