"""`semantic_vad`: a turn ends when what was said sounds finished. Pure: scores, words and judgements go in, a
boundary comes out.

Realtime reference, section C.2: `eagerness` low, medium, high or auto (= medium) waits at most 8, 4 or 2 seconds.
How long it waits within that, four layers say:

1. A first silence (`Wait.SHORTEST`), below which nobody takes the turn.
2. The text (`unfinished.py`): a finished sentence is answered soon, an unfinished clause is waited for.
3. An optional model that has listened to the sound (`end_of_turn.py`): its judgement makes the wait longer or
   shorter by the table `WAITS`. It is asked once for each pause and may never answer.
4. The longest wait (`Wait.BACKSTOP`), after which the turn ends whatever was said.
"""

from __future__ import annotations

import enum
from typing import Final

from pipeline.events.config import SemanticVad
from pipeline.reports import SpeechScored
from pipeline.turn.unfinished import Ending, ending_of
from pipeline.turn.voice_trace import Boundary, SpeechBegan, SpeechEnded, VoiceTrace

__all__ = ["PREFIX_PADDING_MS", "SemanticTurns", "SpeechBegan", "SpeechEnded"]

THRESHOLD: Final = 0.5
PREFIX_PADDING_MS: Final = 300
"""As `server_vad` has them by default; `semantic_vad` does not let a client choose."""

PAUSE_MS: Final = 200
"""Silence that makes a pause worth judging: gaps in fluent speech are shorter. pipecat asks at the same point."""

JUDGEMENT_MS: Final = 300
"""A judgement that has not come by now never comes. Until then no other is asked for, so that the answer about one
pause is not taken for an answer about the next."""

TAIL_MS: Final = 100
"""Voice after the latest words that is too short to hold another one: the words still stand for all that was said.
With more, a sentence that looked finished may have gone on."""

COMPLETE: Final = 0.7
INCOMPLETE: Final = 0.3
"""Between the two the model's judgement counts for nothing: on telephone sound it is often that unsure."""


class Wait(enum.Enum):
    """Lengths of silence, from the shortest that ends a turn to the longest that does not."""

    SHORTEST = "shortest"
    SOON = "soon"
    MIDDLE = "middle"
    LATE = "late"
    LONG = "long"
    BACKSTOP = "backstop"


class Leaning(enum.Enum):
    """What the model made of the pause."""

    NONE = "none"
    """Not asked yet, no answer, or undecided."""
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"


_MEDIUM_MS: Final = {
    Wait.SHORTEST: 250,  # a plosive's closure and a breath are shorter; pipecat's first stop is 200
    Wait.SOON: 400,  # livekit waits 500 for a sentence it takes for finished, with a streaming detector 300
    Wait.MIDDLE: 700,  # words unknown: above the 500 to 600 of servers that go by silence alone
    Wait.LATE: 1_200,  # above the gap between digits read one by one, about 900
    Wait.LONG: 2_500,  # two such gaps and a look at the paper
    Wait.BACKSTOP: 4_000,
}
WAITS_MS: Final = {
    "high": dict(zip(Wait, (200, 250, 500, 1_000, 1_500, 2_000), strict=True)),
    "medium": _MEDIUM_MS,
    "auto": _MEDIUM_MS,
    "low": dict(zip(Wait, (400, 700, 1_200, 2_500, 5_000, 8_000), strict=True)),
}
"""By eagerness. The last of each is the reference's, the others keep about medium's proportions."""


def _by_leaning(none: Wait, complete: Wait, incomplete: Wait) -> dict[Leaning, Wait]:
    return {Leaning.NONE: none, Leaning.COMPLETE: complete, Leaning.INCOMPLETE: incomplete}


WAITS: Final = {
    Ending.FINISHED: _by_leaning(Wait.SOON, Wait.SHORTEST, Wait.MIDDLE),
    Ending.UNKNOWN: _by_leaning(Wait.MIDDLE, Wait.SOON, Wait.LATE),
    Ending.OPEN: _by_leaning(Wait.LATE, Wait.MIDDLE, Wait.LONG),
    # No melody tells that a number goes on: here the model may only lengthen.
    Ending.DICTATING: _by_leaning(Wait.LONG, Wait.LONG, Wait.BACKSTOP),
    Ending.UNFINISHED: _by_leaning(Wait.BACKSTOP, Wait.LATE, Wait.BACKSTOP),
}
"""How the text ends, and what the model makes of the sound: none, complete, incomplete. Neither has the last word,
because the text may be late or misheard, and the model errs in one case of twelve by its makers' own count."""


class SemanticTurns:
    """Where turns begin and end in one session's input. All positions are samples of input at `rate_hz`.

    A pause is known by where its voice ended. What the model made of it is void once the voice is back.
    """

    def __init__(self, rule: SemanticVad, rate_hz: int, spoken_until: int | None = None) -> None:
        """`spoken_until`: somebody is speaking already, and was heard up to here."""
        self._trace = VoiceTrace(THRESHOLD, rate_hz, spoken_until)
        self._waits = {wait: ms * rate_hz // 1000 for wait, ms in WAITS_MS[rule.eagerness].items()}
        self._pause = PAUSE_MS * rate_hz // 1000
        self._tail = TAIL_MS * rate_hz // 1000
        self._judgement = JUDGEMENT_MS * rate_hz // 1000
        self._answered_by = 0
        self._forget()

    def _forget(self) -> None:
        self._ending = Ending.UNKNOWN
        self._worded_until = 0
        """Where the voice had come when the latest words came."""
        self._asked_pause: int | None = None
        self._leaning = Leaning.NONE
        self._reckon()

    @property
    def is_speaking(self) -> bool:
        return self._trace.voice_end is not None

    @property
    def voice_end(self) -> int | None:
        """Where the voice of the running utterance was last heard."""
        return self._trace.voice_end

    def judge(self, score: SpeechScored) -> Boundary | None:
        """The boundary that this window shows, if any."""
        voice_end = self._trace.voice_end
        began = self._trace.follow(score)
        if began is not None:
            self._forget()
            return began
        if self._trace.voice_end != voice_end:
            self._leaning = Leaning.NONE
            self._reckon()
        return self.end() if self._is_silent(score.end) else None

    def words(self, text: str) -> None:
        """The latest transcript of the running utterance, all of it, partial or final. One may never come.

        It only moves the end, which `is_over` or `judge` then finds. Ignored while nobody speaks.
        """
        if self._trace.voice_end is None:
            return
        self._ending = ending_of(text)
        self._worded_until = self._trace.voice_end
        self._reckon()

    def wants_judgement(self, heard: int) -> bool:
        """Whether the pause under way is to be judged now, `heard` samples into the input. True once for each."""
        voice_end = self._trace.voice_end
        if voice_end is None or voice_end == self._asked_pause or not self._trace.is_current(heard):
            return False
        if heard < max(voice_end + self._pause, self._answered_by):
            return False
        self._asked_pause = voice_end
        self._answered_by = heard + self._judgement
        return True

    def judged(self, probability: float) -> None:
        """The model thinks that what was said before the pause it was asked about is complete, 0 to 1.

        Ignored when the voice is back, and when nobody asked.
        """
        if self._asked_pause is None or self._asked_pause != self._trace.voice_end:
            return
        if probability >= COMPLETE:
            self._leaning = Leaning.COMPLETE
        elif probability <= INCOMPLETE:
            self._leaning = Leaning.INCOMPLETE
        else:
            self._leaning = Leaning.NONE
        self._reckon()

    def is_over(self, heard: int) -> bool:
        """Whether the silence is long enough by now, `heard` samples into the input.

        Asked with every frame, because the next window may be 30 ms away. Only true while the scores keep up.
        """
        return self._is_silent(heard) and self._trace.is_current(heard)

    def end(self) -> SpeechEnded | None:
        """The utterance is over; the boundary that makes it so."""
        return self._trace.end()

    def reset(self) -> None:
        """Forget a running utterance: its sound was committed or cleared by other means."""
        self._trace.reset()

    def _is_silent(self, heard: int) -> bool:
        voice_end = self._trace.voice_end
        return voice_end is not None and heard - voice_end >= self._wait

    def _reckon(self) -> None:
        """How long the silence must be, by all that is known now."""
        voice_end = self._trace.voice_end or 0
        ending = self._ending
        if ending is Ending.FINISHED and voice_end - self._worded_until > self._tail:
            ending = Ending.UNKNOWN
        self._wait = self._waits[WAITS[ending][self._leaning]]
