"""The phrasebook: short phrases in the agent's own voice, spoken once when the gateway starts.

They are there when a provider is slow or dead, so they cannot wait for one. Should the voice fail even then, the
shipped recording takes the place of each phrase.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from pipeline.audio.apology import ONE_MOMENT_TEXT, one_moment
from pipeline.audio.formats import AudioFormat
from pipeline.audio.transcode import transcode
from pipeline.patience import Phrase
from pipeline.provider import ProviderError, Voice
from pipeline.spoken_phrases import say

log = logging.getLogger(__name__)

SPEAK_LIMIT_S = 5.0
"""For one phrase. The start of the gateway waits for it."""


@dataclass(frozen=True, slots=True)
class _Spoken:
    text: str
    sound: bytes
    format: AudioFormat


class Phrasebook:
    """Phrases of one agent."""

    def __init__(self, texts: tuple[str, ...] = ()) -> None:
        self._texts = texts
        self._spoken: list[_Spoken] = []
        self._made: dict[AudioFormat, tuple[Phrase, ...]] = {}

    async def speak(self, voice: Voice, voice_name: str | None) -> bool:
        """Have all phrases spoken. False if the voice failed; those it had spoken stay."""
        self._made.clear()
        self._spoken = []
        for text in self._texts:
            try:
                async with asyncio.timeout(SPEAK_LIMIT_S):
                    sound = await say(voice, voice_name, text)
            except (ProviderError, TimeoutError) as error:
                log.warning("%s cannot say %r beforehand: %s", voice.name, text, error or "no answer")
                return False
            if sound:
                self._spoken.append(_Spoken(text, sound, voice.formats[0]))
        return True

    def phrases(self, format: AudioFormat) -> tuple[Phrase, ...]:
        """The phrases in this format. If none was spoken, the recording in the place of each: as often as something
        would be said, since whoever has no voice may be waited for as long as anybody."""
        if format not in self._made:
            self._made[format] = tuple(
                Phrase(spoken.text, transcode(spoken.sound, spoken.format, format)) for spoken in self._spoken
            )
        if not self._made[format] and self._texts:
            return (Phrase(ONE_MOMENT_TEXT, one_moment(format)),) * len(self._texts)
        return self._made[format]
