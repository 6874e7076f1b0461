"""A take: one attempt of one voice to speak an answer, from a given word on.

It gives the voice its clauses, counts what comes back as it comes, and turns it into the format that was asked for.
Whether it is of use is decided by the leg it belongs to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from pipeline.audio.formats import AudioFormat
from pipeline.audio.transcode import Transcoder
from pipeline.costs import Used
from pipeline.legs.gaps import Gaps
from pipeline.legs.given_clauses import GivenClauses
from pipeline.legs.pauses import Pauses
from pipeline.legs.sound_owed import SoundOwed
from pipeline.legs.spoken import Spoken
from pipeline.provider import ProviderError, Speech, Voice
from pipeline.timing import Timing


@dataclass(frozen=True, slots=True)
class Piece:
    """Speech in the format that was asked for."""

    speech: Speech
    begins: int
    """The place of its text's first word in the answer."""
    opens: bool = False
    """Its sound is the first since a clause was given: there may have been a pause before it."""


class Take:
    """See the module's docstring. `place` is that of its voice in the line-up."""

    def __init__(
        self,
        place: int,
        voice: Voice,
        given: GivenClauses,
        timing: Timing,
        *,
        begins: int,
        format: AudioFormat,
        speed: float,
        is_last: Callable[[], bool],
    ) -> None:
        """`is_last`: whether nobody else could make up for what it leaves out."""
        self.place = place
        self.name = voice.name
        self.timing = timing
        source = format if format in voice.formats else voice.formats[0]
        self.transcoder = Transcoder(source, format)
        self.spoken = Spoken(begins, source.rate_hz, speed)
        self.owed: SoundOwed
        self.first_asked: Callable[[], None] = lambda: None
        """Called once, when there is something for it to say."""
        self.silent: list[Piece] = []
        """What it brought before its first sound, such as the times of words."""
        self.gaps = Gaps()
        """In its sound, as far as it was heard."""
        self.is_asked = False
        self._characters = 0
        """Given to the voice."""
        self._made_s = 0.0
        """Of sound."""
        self._pauses = Pauses(source)
        self._voice = voice
        self._given = given
        self.begins = begins
        self._speed = speed
        self._is_last = is_last

    def ask(self) -> None:
        """There is something for it to say."""
        if not self.is_asked:
            self.is_asked = True
            self.timing.asked()
            self.owed.given()
            self.first_asked()

    async def speech(self, name: Callable[[], Awaitable[str | None]]) -> AsyncGenerator[Piece, None]:
        """All it makes. Raises `ProviderError` also where the voice leaves words out."""
        source = self.transcoder.source
        voice_name = await name()
        made = self._voice.speak(self._told(), format=source, voice=voice_name, speed=self._speed)
        async with aclosing(made):
            async for piece in made:
                self._made_s += source.seconds_of(piece.audio)
                if self._pauses.goes_on(piece.audio):
                    # Dropped, it makes no sound for the watchdogs either, and does not stand before what follows.
                    piece = dataclasses.replace(piece, audio=b"")
                begins, opens = self._announced(piece.text), self.owed.is_owing
                self.spoken.made(piece, source.samples_in(piece.audio))
                if self.spoken.asks_ahead and not self.owed.asks_ahead:
                    self.owed.asked(is_through=False)
                if piece.audio:
                    self.owed.sounded(is_enough=self.owed.asks_ahead and self._may_be_all())
                audio = self.transcoder.push(piece.audio)
                yield Piece(
                    piece if audio is piece.audio else dataclasses.replace(piece, audio=audio), begins, opens
                )
        if tail := self.transcoder.flush():
            yield Piece(Speech(tail), self.spoken.told)

    @property
    def used(self) -> Used:
        """So far; nothing, not even a request, if there was nothing for it to say."""
        first_s = self.timing.first_s
        return Used(
            provider=self.name,
            kind="tts",
            requests=int(self.is_asked),
            answered=int(first_s is not None),
            first_s=first_s or 0.0,
            characters=self._characters,
            audio_s=self._made_s,
        )

    @property
    def leaves_words(self) -> bool:
        """At its end: whether words that can be spoken have got no sound, as far as can be told."""
        if self.spoken.is_exact and self.spoken.has_sound and self.spoken.breaks_off:
            return True
        if not any(map(can_be_spoken, self._given.words[self.spoken.told :])):
            return False
        if self.spoken.is_exact and self.spoken.told > self.begins:
            return True
        return self.owed.is_owing or not self._may_be_all()

    def _may_be_all(self) -> bool:
        return self.spoken.may_be_all(self._given.words[self.begins :])

    async def _told(self) -> AsyncGenerator[str, None]:
        """What the voice is given to say."""
        place = self.begins
        while (clause := await self._given.next(place)) is not None:
            place = self._given.end_of(place)
            self.ask()
            self.owed.given()
            self._characters += len(clause)
            yield clause
            self.owed.asked(is_through=self.spoken.asked_for_more(place))
        self.owed.given(is_last=True)

    def _announced(self, text: str) -> int:
        """Where in the answer these words are."""
        words, told, given = text.split(), self.spoken.told, self._given
        if not words or words == given.words[told : told + len(words)]:
            return told
        later = (begin for begin in given.begins if begin > told)
        found = next((at for at in later if words == given.words[at : at + len(words)]), None)
        if found is None:
            self.spoken.is_exact = False
            return told
        if any(map(can_be_spoken, given.words[told:found])) and not self._is_last():
            raise ProviderError(self.name, "left out words it was given", retryable=True)
        self.spoken.skip_to(found)
        return found


def can_be_spoken(word: str) -> bool:
    """Dots and dashes have no sound of their own."""
    return any(map(str.isalnum, word))
