"""`server_vad`: a turn begins with speech and ends after a silence. Pure: a score goes in, a boundary comes out.

Where the voice was last heard, `voice_trace.py` knows; this file only counts the silence behind it.
"""

from __future__ import annotations

from pipeline.events.config import ServerVad
from pipeline.reports import SpeechScored
from pipeline.turn.voice_trace import (
    HYSTERESIS,
    LONGEST_HANGOVER_MS,
    TRUSTED_MS,
    Boundary,
    SpeechBegan,
    SpeechEnded,
    VoiceTrace,
)

__all__ = [
    "HYSTERESIS",
    "LONGEST_HANGOVER_MS",
    "TRUSTED_MS",
    "Boundary",
    "ServerVadTurns",
    "SpeechBegan",
    "SpeechEnded",
]


class ServerVadTurns:
    """Where turns begin and end in one session's input. All positions are samples of input at `rate_hz`."""

    def __init__(self, rule: ServerVad, rate_hz: int, spoken_until: int | None = None) -> None:
        """`spoken_until`: somebody is speaking already, and was heard up to here."""
        self._trace = VoiceTrace(rule.threshold, rate_hz, spoken_until)
        self._silence = rule.silence_duration_ms * rate_hz // 1000

    @property
    def is_speaking(self) -> bool:
        return self._trace.voice_end is not None

    @property
    def voice_end(self) -> int | None:
        """Where the voice of the running utterance was last heard."""
        return self._trace.voice_end

    def judge(self, score: SpeechScored) -> Boundary | None:
        """The boundary that this window shows, if any."""
        began = self._trace.follow(score)
        if began is not None:
            return began
        return self.end() if self._is_silent(score.end) else None

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
        return voice_end is not None and heard - voice_end >= self._silence
