"""`server_vad`: a turn begins with speech and ends after a silence. Pure: a score goes in, a boundary comes out.

Two things judge together. The speech-activity model says *whether* somebody speaks; it hangs over the end of
speech by two or three windows. The level says *where* sound ended, to 8 ms. So silence is counted from the last
sound that lies inside speech, not from the model's last high score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from pipeline.events.config import ServerVad
from pipeline.reports import SpeechScored

HYSTERESIS = 0.15
"""Speech under way goes on down to this much below the threshold (Silero's own recommendation)."""

LONGEST_HANGOVER_MS = 160
"""The model's score stays high at most about this long after the voice has ended. Where it stays high longer,
somebody speaks too softly for the level to tell, and the model is believed."""


TRUSTED_MS = 64
"""Two windows of the model. Between two of its scores, silence is taken to go on for so long."""


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    start: int
    """First sample of the utterance, without padding."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    voice_end: int
    """Where the voice ended, in samples; the silence behind it is what ended the turn."""


Boundary: TypeAlias = SpeechBegan | SpeechEnded


class ServerVadTurns:
    """Where turns begin and end in one session's input. All positions are samples of input at `rate_hz`."""

    def __init__(self, rule: ServerVad, rate_hz: int, spoken_until: int | None = None) -> None:
        """`spoken_until`: somebody is speaking already, and was heard up to here."""
        self._threshold = rule.threshold
        self._silence = rule.silence_duration_ms * rate_hz // 1000
        self._trusted = TRUSTED_MS * rate_hz // 1000
        self._hangover = LONGEST_HANGOVER_MS * rate_hz // 1000
        self._voice_end = spoken_until
        """Where the voice of the running utterance was last heard; None while nobody speaks."""
        self._last_end = 0

    @property
    def is_speaking(self) -> bool:
        return self._voice_end is not None

    def judge(self, score: SpeechScored) -> Boundary | None:
        """The boundary that this window shows, if any."""
        begin, self._last_end = self._last_end, score.end
        if self._voice_end is None:
            if score.probability < self._threshold:
                return None
            self._voice_end = score.end
            return SpeechBegan(start=begin)
        if score.probability >= self._threshold - HYSTERESIS:
            self._voice_end = max(self._voice_end, score.loud_until, score.end - self._hangover)
        if score.end - self._voice_end < self._silence:
            return None
        return self.end()

    def is_over(self, heard: int) -> bool:
        """Whether the silence is long enough by now, `heard` samples into the input.

        Asked with every frame, because the next window may be 30 ms away. Only true while the scores keep up: sound
        that has not been judged is not silence.
        """
        return (
            self._voice_end is not None
            and heard - self._voice_end >= self._silence
            and heard - self._last_end <= self._trusted
        )

    def end(self) -> SpeechEnded | None:
        """The utterance is over; the boundary that makes it so."""
        voice_end, self._voice_end = self._voice_end, None
        return None if voice_end is None else SpeechEnded(voice_end=voice_end)

    def reset(self) -> None:
        """Forget a running utterance: its sound was committed or cleared by other means."""
        self._voice_end = None
