"""Where the voice of the running utterance was last heard. Pure: scores go in, a beginning comes out.

Two things judge together. The speech-activity model says *whether* somebody speaks; it hangs over the end of
speech by two or three windows. The level says *where* sound ended, to 8 ms. So silence is counted from the last
sound that lies inside speech, not from the model's last high score. How much silence ends a turn, the rules that
hold a trace know (`server_vad.py`, `semantic_vad.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

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


class VoiceTrace:
    """One session's voice, by its scores. All positions are samples of input at `rate_hz`."""

    def __init__(self, threshold: float, rate_hz: int, spoken_until: int | None = None) -> None:
        """`spoken_until`: somebody is speaking already, and was heard up to here."""
        self.voice_end = spoken_until
        """Where the voice of the running utterance was last heard; None while nobody speaks."""
        self._threshold = threshold
        self._trusted = TRUSTED_MS * rate_hz // 1000
        self._hangover = LONGEST_HANGOVER_MS * rate_hz // 1000
        self._last_end = 0

    def follow(self, score: SpeechScored) -> SpeechBegan | None:
        """Hear one window. It may begin an utterance; to end one is the rule's affair."""
        begin, self._last_end = self._last_end, score.end
        if self.voice_end is None:
            if score.probability < self._threshold:
                return None
            self.voice_end = score.end
            return SpeechBegan(start=begin)
        if score.probability >= self._threshold - HYSTERESIS:
            self.voice_end = max(self.voice_end, score.loud_until, score.end - self._hangover)
        return None

    def is_current(self, heard: int) -> bool:
        """Whether the scores keep up with the sound: what has not been judged is not silence."""
        return heard - self._last_end <= self._trusted

    def end(self) -> SpeechEnded | None:
        """The utterance is over; the boundary that makes it so."""
        voice_end, self.voice_end = self.voice_end, None
        return None if voice_end is None else SpeechEnded(voice_end=voice_end)

    def reset(self) -> None:
        """Forget a running utterance."""
        self.voice_end = None
