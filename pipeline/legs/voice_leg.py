"""The voice's leg of a session: one stream of speech per answer, whatever happens behind it.

Behind it stand a voice and its spares. Who is slow to begin is raced by a second request; who fails, falls silent
or leaves words out is replaced by the next, which speaks only what was not sounded. It knows nothing of models.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from pipeline.audio.formats import AudioFormat
from pipeline.legs.fault import fault_of, is_final, log_if_ours
from pipeline.legs.given_clauses import GivenClauses
from pipeline.legs.lineup import Lineup
from pipeline.legs.means import FAILED_LATELY, Means
from pipeline.legs.race import Alarm, Arrival, Came, Ended, Race, Rang
from pipeline.legs.sound_owed import SoundOwed
from pipeline.legs.take import Piece, Take, can_be_spoken
from pipeline.provider import KnowsVoices, ProviderError, Speech, Voice

log = logging.getLogger(__name__)

VOICE_STALL_S: Final = 1.5
"""A voice that has been given words and makes no sound for this long has failed."""

SPARED_VOICE_STALL_S: Final = 1.2
"""The same where another request can be made: streaming voices begin after 0.1 to 0.4 s."""

MOST_GAPS_S: Final = 1.0
"""Of silence in the middle of words, all together in one answer: more sounds broken, and the next voice takes over.
Networks are late by a tenth of that."""

MOST_GAPS_ALONE_S: Final = 2.5
"""The same where nobody could take over, if there was more silence than sound: a broken answer is better than none,
but a drip of sounds is no answer."""

SOONEST_HEDGE_S: Final = 0.4
LATEST_HEDGE_S: Final = 0.9
"""As the model's, in the shorter time a voice has."""

KNOWS_S: Final = 1.0
"""To say whether it has a voice of some name; then it speaks with its own."""


@dataclass(frozen=True, slots=True)
class SpareVoice:
    """A voice to fall back to, and the name of the voice it then speaks with: names are the provider's own."""

    voice: Voice
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How an answer is to be spoken."""

    format: AudioFormat
    voice: str | None = None
    """The name of the voice that the peer asked for."""
    speed: float = 1.0


_Arrival: TypeAlias = Arrival[Take, Piece]


class VoiceLeg:
    """Of one session, over voices in order of preference."""

    def __init__(self, voices: Sequence[SpareVoice], means: Means) -> None:
        self._voices = tuple(voices)
        self._means = means
        self._unknown_voices: set[str] = set()

    async def speak(
        self, clauses: asyncio.Queue[str | None], manner: Manner, first_clause: Callable[[], None]
    ) -> AsyncGenerator[Speech, None]:
        """The clauses, spoken in `manner.format`; None ends them. `text` names each word once, in order.

        Raises `ProviderError`, the last one's, when nobody is left to ask.
        """
        async with Race[Take, Piece]() as race:
            given = GivenClauses(clauses, first_clause)
            telling = _Telling(self._voices, self._means, race, given, manner, self._name_for)
            telling.begin()
            try:
                while not telling.is_over:
                    for speech in telling.take(await race.next()):
                        yield speech
                    telling.resume()
            finally:
                telling.settle()

    async def _name_for(self, place: int, asked: str | None) -> str | None:
        """The voice the peer asked for, if the provider has it. A client made for another service asks for one of
        that service's, and must be heard all the same."""
        own, voice = self._voices[place].name, self._voices[place].voice
        if asked is None or asked == self._voices[0].name:
            return own
        if not isinstance(voice, KnowsVoices):
            return own if place else asked
        try:
            async with asyncio.timeout(KNOWS_S):
                knows = await voice.knows(asked)
        except TimeoutError:
            knows = False
        if knows:
            return asked
        if not place and asked not in self._unknown_voices:
            self._unknown_voices.add(asked)
            log.info("%s has no voice %r; speaking with %r", voice.name, asked[:40], own)
        return own


class _Telling:
    """One answer being spoken."""

    def __init__(
        self,
        voices: Sequence[SpareVoice],
        means: Means,
        race: Race[Take, Piece],
        given: GivenClauses,
        manner: Manner,
        name_for: Callable[[int, str | None], Awaitable[str | None]],
    ) -> None:
        self.is_over = False
        self._voices = voices
        self._means = means
        self._race = race
        self._given = given
        self._manner = manner
        self._name_for = name_for
        self._lineup = Lineup("tts", [each.voice.name for each in voices], means)
        self._takes: list[Take] = []
        """Those that may still be heard."""
        self._winner: Take | None = None
        self._hedged: Take | None = None
        """The second request, until it is known whether it was of use."""
        self._told = 0
        """Words before this one have been announced."""
        self._sounded = 0
        """Words before this one have been sounded by takes that failed."""

    def begin(self) -> None:
        first = self._lineup.next()
        assert first is not None, "a leg has at least one voice"
        if first:
            self._fell_back(self._voices[0].voice.name, first, FAILED_LATELY)
        take = self._ask(first)
        if self._means.hedges:
            p95_s = self._means.pace.p95_s("tts", take.name)
            slow = self._race.alarm(take, Alarm.SLOW)
            take.first_asked = partial(slow.owes, min(max(p95_s, SOONEST_HEDGE_S), LATEST_HEDGE_S))

    def take(self, arrival: _Arrival) -> list[Speech]:
        """What follows for the answer. Raises the last failure when nobody is left to ask."""
        match arrival:
            case Came(by=by, thing=piece):
                return self._came(by, piece)
            case Rang(by=by, alarm=Alarm.SLOW):
                self._hedge(by)
            case Rang(by=by):
                return self._stalled(by)
            case Ended(by=by, error=Exception() as error):
                return self._failed(by, fault_of(error, by.name))
            case _:
                return self._ended(arrival.by)
        return []

    def resume(self) -> None:
        """What was taken has been dealt with: time runs again."""
        if self._winner is not None and not self.is_over:
            self._winner.owed.release()
            self._winner.gaps.excuse(self._means.now())

    def settle(self) -> None:
        """It is over, or nobody wants the rest of it: tell what it has used."""
        for take in self._takes:
            self._bill(take)

    def _bill(self, take: Take) -> None:
        if take.is_asked:
            self._means.used(take.used)

    def _ask(self, place: int) -> Take:
        voice, lineup = self._voices[place].voice, self._lineup
        limit_s = SPARED_VOICE_STALL_S if lineup.has_more else VOICE_STALL_S
        take = Take(
            place,
            voice,
            self._given,
            self._means.timing("tts", voice.name),
            begins=self._sounded,
            format=self._manner.format,
            speed=self._manner.speed,
            is_last=lambda: not lineup.has_more,  # without us, who hold the take
        )
        take.owed = SoundOwed(self._race.alarm(take, Alarm.STALLED), limit_s)
        self._race.aside(self._await_words(take))
        self._takes.append(take)
        self._race.start(take, take.speech(partial(self._name_for, place, self._manner.voice)))
        return take

    async def _await_words(self, take: Take) -> None:
        """A voice owes sound from the moment there is something to say, even if it is not ready to be told."""
        if await self._given.next(take.begins) is not None:
            take.ask()

    def _hedge(self, slow: Take) -> None:
        if self._winner is None and self._lineup.hedge(slow.place):
            self._hedged = self._ask(slow.place)

    def _came(self, by: Take, piece: Piece) -> list[Speech]:
        if self._winner is None:
            if not piece.speech.audio:
                by.silent.append(piece)
                return []
            self._win(by)
        if piece.speech.audio:
            by.owed.hold()
        pieces, by.silent = [*by.silent, piece], []
        speech = [self._announcing(each) for each in pieces]
        if piece.speech.audio and self._drips(by, piece):
            too_slow = ProviderError(by.name, "makes its sound slower than it plays", retryable=True)
            speech += self._failed(by, too_slow, has_stalled=True)
        return speech

    def _drips(self, by: Take, piece: Piece) -> bool:
        """Whether its sound comes too slowly to be listened to."""
        gaps = by.gaps
        gaps.sounded(self._means.now(), self._manner.format.seconds_of(piece.speech.audio), is_first=piece.opens)
        if self._lineup.has_more:
            return gaps.total_s > MOST_GAPS_S
        return gaps.total_s > max(MOST_GAPS_ALONE_S, gaps.made_s)

    def _announcing(self, piece: Piece) -> Speech:
        """The piece, with the words that no piece has announced before."""
        speech, words = piece.speech, piece.speech.text.split()
        known = min(max(0, self._told - piece.begins), len(words))
        self._told = max(self._told, piece.begins + len(words))
        if not known:
            return speech
        times = speech.words[known:] if len(speech.words) == len(words) else ()
        return Speech(speech.audio, " ".join(words[known:]), times)

    def _win(self, by: Take) -> None:
        pace = self._means.pace
        self._winner = by
        by.timing.came()
        pace.took("tts", by.name, by.timing.seconds)
        pace.worked("tts", by.name, self._means.now())
        saved_s = 0.0
        for loser in self._takes:
            if loser is not by:
                self._race.stop(loser)
                self._bill(loser)
                pace.took("tts", loser.name, loser.timing.seconds)
                saved_s = max(saved_s, loser.owed.limit_s - loser.timing.seconds)
        self._takes = [by]
        self._tell_hedge(by, saved_s)

    def _tell_hedge(self, winner: Take | None, saved_s: float = 0.0) -> None:
        hedged, self._hedged = self._hedged, None
        if hedged is not None:
            has_won = winner is hedged
            self._means.hedged("tts", hedged.name, saved_s if has_won else None, won=has_won)

    def _stalled(self, by: Take) -> list[Speech]:
        if self._race.is_waited_for(by):
            by.owed.renew()  # it made sound at the very moment
            return []
        if by.owed.limit_s < VOICE_STALL_S and not self._lineup.has_more:
            # The other request was made meanwhile, so there is nothing to be gained by giving this one up.
            by.owed.extend(VOICE_STALL_S)
            return []
        stalled = ProviderError(by.name, f"no sound for {by.owed.limit_s:g} seconds", retryable=True)
        return self._failed(by, stalled, has_stalled=True)

    def _ended(self, by: Take) -> list[Speech]:
        if not by.owed.has_all:
            return self._failed(by, ProviderError(by.name, "stopped before it had said everything", retryable=True))
        is_silent = self._winner is None and any(map(can_be_spoken, self._given.words[self._sounded :]))
        if is_silent:
            return self._failed(by, ProviderError(by.name, "made no sound", retryable=True))
        if by.leaves_words and self._lineup.has_more:
            return self._failed(by, ProviderError(by.name, "left out words it was given", retryable=True))
        if by.is_asked:
            by.timing.done()
        self.is_over = True
        return []

    def _failed(self, by: Take, failure: Exception, *, has_stalled: bool = False) -> list[Speech]:
        if has_stalled:
            by.timing.stalled()
        else:
            by.timing.failed(failure)
        self._means.pace.failed("tts", by.name, self._means.now())
        if is_final(failure):
            self._lineup.refuse(by.place)
        self._race.stop(by)
        self._takes.remove(by)
        self._bill(by)
        rest = self._cut_at(by) if by is self._winner else []
        if self.is_over:
            return rest
        following = self._lineup.next()
        if following is not None:
            log_if_ours(failure, by.name)
            self._fell_back(by.name, following, str(failure))
            self._ask(following)
        elif not self._takes:
            self._tell_hedge(None)
            raise failure
        return rest

    def _cut_at(self, by: Take) -> list[Speech]:
        """It was heard and has failed: settle what of the answer is done."""
        self._winner = None
        self._sounded = by.spoken.place(self._given.words)
        self.is_over = self._given.is_whole and self._sounded == len(self._given.words)
        untold = self._given.words[self._told : self._sounded]
        self._told = max(self._told, self._sounded)
        tail = by.transcoder.flush()
        return [Speech(tail, " ".join(untold))] if tail or untold else []

    def _fell_back(self, from_: str, to: int, reason: str) -> None:
        self._means.fell_back("tts", from_, self._voices[to].voice.name, reason)
