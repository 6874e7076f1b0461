"""Spoken phrases: short texts in a voice, kept, so that saying one again costs nothing.

One for all sessions of a process. What is asked for rarely goes first when there is no more room.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeAlias

from pipeline.audio.formats import PCM_24K
from pipeline.audio.transcode import transcode
from pipeline.provider import KnowsVoices, Voice

KEPT_BYTES = 8 * 1024 * 1024
"""Of sound: nearly three minutes, some two hundred phrases."""

LONGEST_PHRASE_S = 10
"""Of sound; a voice that does not end is cut."""

_Key: TypeAlias = tuple[int, str | None, str, float]


class SpokenPhrases:
    """See the module's docstring."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._bytes = 0
        self._sounds: OrderedDict[_Key, tuple[Voice, bytes]] = OrderedDict()
        """With its voice, so that the number in the key stays that voice's."""

    async def say(
        self, voice: Voice, text: str, *, own_name: str | None, asked: str | None = None, speed: float = 1.0
    ) -> bytes:
        """The phrase as PCM16 at 24 kHz, in the voice that was `asked` for if the provider has it.

        Raises `ProviderError`. Empty if the voice made no sound; that is not kept.
        """
        key = (id(voice), asked or own_name, text, speed)
        if key in self._sounds:
            self._sounds.move_to_end(key)
            return self._sounds[key][1]
        name = own_name if asked is None else asked
        if name != own_name and isinstance(voice, KnowsVoices) and not await voice.knows(name or ""):
            name = own_name
        sound = transcode(await say(voice, name, text, speed), voice.formats[0], PCM_24K)
        if sound and key not in self._sounds:
            self._keep(key, voice, sound)
        return sound

    def _keep(self, key: _Key, voice: Voice, sound: bytes) -> None:
        self._sounds[key] = (voice, sound)
        self._bytes += len(sound)
        while self._bytes > self._kept_bytes:
            _, (_, dropped) = self._sounds.popitem(last=False)
            self._bytes -= len(dropped)


async def say(voice: Voice, name: str | None, text: str, speed: float = 1.0) -> bytes:
    """The text in the voice's best format, at most `LONGEST_PHRASE_S` of it. Raises `ProviderError`."""

    async def clauses() -> AsyncGenerator[str, None]:
        yield text

    format, sound = voice.formats[0], bytearray()
    most = format.bytes_in(LONGEST_PHRASE_S * 1000)
    async with (
        aclosing(clauses()) as words,
        aclosing(voice.speak(words, format=format, voice=name, speed=speed)) as pieces,
    ):
        async for piece in pieces:
            sound += piece.audio
            if len(sound) > most:
                break
    return bytes(sound[:most])
