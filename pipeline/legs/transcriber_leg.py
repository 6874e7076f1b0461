"""The transcriber's leg of a session: one final transcript per utterance, whatever happens behind it.

Behind it stand a transcriber and its spares. Who fails is replaced by the next, which hears the utterance from its
beginning; who is late, or says nothing while the caller speaks, is raced by the next. It knows nothing of turns.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from pipeline.audio.formats import AudioFormat
from pipeline.audio.transcode import Transcoder
from pipeline.costs import Used
from pipeline.legs.fault import fault_of, is_final, log_if_ours
from pipeline.legs.lineup import Lineup
from pipeline.legs.means import FAILED_LATELY, LATE, Means
from pipeline.legs.race import Alarm, Arrival, Came, Ended, Race, Rang
from pipeline.legs.utterance import Utterance
from pipeline.provider import ProviderError, Transcriber, Transcript, skills_of_transcriber
from pipeline.stall import Stall
from pipeline.timing import Timing

TRANSCRIPT_STALL_S: Final = 4.0
"""From the end of an utterance to its words. Streaming services are done in 0.3 to 2 s (their published p99), the
built-in decoder in 2.3 s where it has to look twice."""

STALL_PER_S: Final = 0.5
"""More for each second of sound that came at once instead of as it was spoken: a slow decoder hears at twice the
pace of speech."""

STREAMING_LATE_S: Final = 1.2
"""One that understands while the caller speaks has little left to do at the end; after this a second one is asked
beside it."""

SOONEST_LATE_S: Final = 0.8
LATEST_STREAMING_LATE_S: Final = 2.0
LATE_P95S: Final = 2.0
"""Where a transcriber's pace is known it is late after twice its 95th percentile, within these bounds; one that is
not streaming, not before its stall unless it is known to be faster."""

NOISE_MS: Final = 500
"""Of loud sound may be a cough or a door, in which there are no words. Of more, an empty transcript is doubted."""

MUTE_MS: Final = 3_000
"""Of speech, without a word from one that says words while it hears: its connection is dead."""


@dataclass(eq=False, slots=True)
class _Hearing:
    """One request to one transcriber."""

    place: int
    name: str
    timing: Timing
    transcriber: Transcriber
    stall: Stall = field(init=False)
    late: Stall = field(init=False)
    quiet_since_ms: int = 0
    """Where in the utterance's voiced sound its last words came."""
    at_once_s: float = 0.0
    """Sound it was given faster than it was spoken."""
    has_been_late: bool = False
    heard_s: float = 0.0
    """Sound it was given."""

    def hear(self, seconds: float) -> None:
        self.heard_s += seconds

    @property
    def used(self) -> Used:
        first_s = self.timing.first_s
        return Used(
            provider=self.name,
            kind="stt",
            requests=1,
            answered=int(first_s is not None),
            first_s=first_s or 0.0,
            audio_s=self.heard_s,
        )


_Arrival: TypeAlias = Arrival[_Hearing, Transcript]


class TranscriberLeg:
    """Of one session, over transcribers in order of preference."""

    def __init__(self, transcribers: Sequence[Transcriber], means: Means) -> None:
        self._transcribers = tuple(transcribers)
        self._means = means

    def begin(self, audio: bytes, format: AudioFormat) -> Utterance:
        """An utterance to be transcribed, of which `audio` is known already."""
        return Utterance(audio, format, keeps=len(self._transcribers) > 1 or self._means.hedges)

    async def transcribe(self, utterance: Utterance, language: str | None) -> AsyncGenerator[Transcript, None]:
        """What is understood of it; the last one is final, and none before it.

        Raises `ProviderError`, the last one's, when nobody is left to ask.
        """
        async with Race[_Hearing, Transcript]() as race:
            listening = _Listening(self._transcribers, self._means, race, utterance, language)
            listening.begin()
            try:
                while not listening.is_over:
                    if (transcript := listening.take(await race.next())) is not None:
                        yield transcript
            finally:
                listening.settle()


class _Listening:
    """One utterance being understood."""

    def __init__(
        self,
        transcribers: Sequence[Transcriber],
        means: Means,
        race: Race[_Hearing, Transcript],
        utterance: Utterance,
        language: str | None,
    ) -> None:
        self.is_over = False
        self._transcribers = transcribers
        self._means = means
        self._race = race
        self._utterance = utterance
        self._language = language
        self._lineup = Lineup("stt", [each.name for each in transcribers], means)
        self._hearings: list[_Hearing] = []
        """Those at work; the first one leads: what is understood before the end is what it says."""
        self._hedged: _Hearing | None = None
        """The second request to one that was late."""
        self._requests = 0

    def begin(self) -> None:
        first = self._lineup.next()
        assert first is not None, "a leg has at least one transcriber"
        if first:
            self._fell_back(self._transcribers[0].name, first, FAILED_LATELY)
        self._ask(first)
        self._utterance.ended = self._caller_stopped
        self._utterance.grew = self._caller_went_on

    def take(self, arrival: _Arrival) -> Transcript | None:
        """What follows for the utterance. Raises the last failure when nobody is left to ask."""
        match arrival:
            case Came(by=by, thing=transcript):
                by.quiet_since_ms = self._utterance.voiced_ms
                if transcript.is_final:
                    if self._is_doubted(transcript):
                        self._ask_another(by)
                        return None
                    self._understood(by)
                    return transcript
                return transcript if by is self._hearings[0] else None
            case Rang(by=by, alarm=Alarm.SLOW):
                self._race_with(by)
            case Rang(by=by):
                self._stalled(by)
            case Ended(by=by, error=Exception() as error):
                self._failed(by, fault_of(error, by.name))
            case _:
                by = arrival.by
                self._failed(by, ProviderError(by.name, "ended without a final transcript", retryable=True))
        return None

    def settle(self) -> None:
        """It is understood, or nobody wants to know any more: tell what was used."""
        for hearing in self._hearings:
            self._means.used(hearing.used)
        self._utterance.leave()

    def _ask(self, place: int) -> _Hearing:
        transcriber, source = self._transcribers[place], self._utterance.format
        timing = self._means.timing("stt", transcriber.name)
        hearing = _Hearing(place, transcriber.name, timing, transcriber)
        hearing.stall = self._race.alarm(hearing, Alarm.STALLED)
        hearing.late = self._race.alarm(hearing, Alarm.SLOW)
        hearing.quiet_since_ms = self._utterance.voiced_ms
        hearing.at_once_s = self._utterance.length_s if self._requests else self._utterance.at_once_s
        self._requests += 1
        self._hearings.append(hearing)
        target = source if source in transcriber.formats else transcriber.formats[0]
        sound = self._utterance.sound(Transcoder(source, target), hearing.hear)
        self._race.start(hearing, transcriber.transcribe(sound, format=target, language=self._language))
        if self._utterance.has_ended:
            self._await_final(hearing)
        return hearing

    def _caller_stopped(self) -> None:
        for hearing in self._hearings:
            hearing.timing.asked()
            self._await_final(hearing)

    def _caller_went_on(self) -> None:
        for hearing in self._hearings:
            has_partials = skills_of_transcriber(hearing.transcriber).has_partials
            if has_partials and self._utterance.voiced_ms - hearing.quiet_since_ms >= MUTE_MS:
                hearing.quiet_since_ms = self._utterance.voiced_ms
                hearing.late.owes(0.0)

    def _await_final(self, hearing: _Hearing) -> None:
        hearing.stall.owes(stall_s(hearing.at_once_s))
        if not hearing.has_been_late:
            hearing.late.owes(self._late_s(hearing))

    def _late_s(self, hearing: _Hearing) -> float:
        """After which another one is asked beside it."""
        usual_s, latest_s = TRANSCRIPT_STALL_S, TRANSCRIPT_STALL_S
        if skills_of_transcriber(hearing.transcriber).has_partials:
            usual_s, latest_s = STREAMING_LATE_S, LATEST_STREAMING_LATE_S
        pace = self._means.pace
        if pace.knows("stt", hearing.name):
            usual_s = min(max(LATE_P95S * pace.p95_s("stt", hearing.name), SOONEST_LATE_S), latest_s)
        return usual_s + STALL_PER_S * hearing.at_once_s

    def _race_with(self, late: _Hearing) -> None:
        """Another one beside one that is late: the first to be sure is believed."""
        if late.has_been_late:
            return
        late.has_been_late = True
        following = self._lineup.next()
        if following is None:
            return
        if following == late.place:
            self._hedged = self._ask(following)
        else:
            self._fell_back(late.name, following, LATE)
            self._ask(following)

    def _is_doubted(self, transcript: Transcript) -> bool:
        """Nothing was understood of what was long and loud, and there is somebody else who has not heard it."""
        is_empty = not transcript.text and self._utterance.voiced_ms > NOISE_MS
        return is_empty and self._utterance.has_ended and (len(self._hearings) > 1 or self._lineup.has_fresh)

    def _ask_another(self, doubted: _Hearing) -> None:
        """It may have been noise, which is nobody's failure."""
        doubted.timing.done()
        self._race.stop(doubted)
        self._hearings.remove(doubted)
        self._means.used(doubted.used)
        if not self._hearings:
            following = self._lineup.next()
            assert following is not None, "there is a fresh one"
            self._fell_back(doubted.name, following, "it understood nothing")
            self._ask(following)

    def _understood(self, by: _Hearing) -> None:
        pace = self._means.pace
        if self._utterance.has_ended:
            by.timing.came()
        by.timing.done()
        if self._utterance.has_ended:
            pace.took("stt", by.name, by.timing.seconds)
        pace.worked("stt", by.name, self._means.now())
        for loser in self._hearings:
            if loser is not by:
                self._race.stop(loser)
                pace.took("stt", loser.name, loser.timing.seconds)
        self._tell_hedge(won=by is self._hedged)
        self.is_over = True

    def _tell_hedge(self, *, won: bool) -> None:
        if self._hedged is not None:
            self._means.hedged("stt", self._hedged.name, won=won)

    def _stalled(self, by: _Hearing) -> None:
        if self._race.is_waited_for(by):
            by.stall.owes(0.0)  # words came at the very moment: if they are the last ones, all is well
            return
        message = f"no words {stall_s(by.at_once_s):g} seconds after the caller stopped"
        self._failed(by, ProviderError(by.name, message, retryable=True), has_stalled=True)

    def _failed(self, by: _Hearing, failure: Exception, *, has_stalled: bool = False) -> None:
        if has_stalled:
            by.timing.stalled()
        else:
            by.timing.failed(failure)
        self._means.pace.failed("stt", by.name, self._means.now())
        if is_final(failure):
            self._lineup.refuse(by.place)
        self._race.stop(by)
        self._hearings.remove(by)
        self._means.used(by.used)
        # One that was late has its successor already.
        following = None if by.has_been_late and self._hearings else self._lineup.next()
        if following is not None:
            log_if_ours(failure, by.name)
            self._fell_back(by.name, following, str(failure))
            self._ask(following)
        elif not self._hearings:
            self._tell_hedge(won=False)
            raise failure

    def _fell_back(self, from_: str, to: int, reason: str) -> None:
        self._means.fell_back("stt", from_, self._transcribers[to].name, reason)


def stall_s(at_once_s: float) -> float:
    """For one that was given so many seconds of sound at once."""
    return TRANSCRIPT_STALL_S + STALL_PER_S * at_once_s
