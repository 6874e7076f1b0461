"""The cue: when, while a caller speaks, an acknowledgement should be considered. Pure.

Time is counted in samples of the caller's sound, so a line that stalls does not age. What is said, and whether
anything is, others decide.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from pipeline.backchannel import Backchannel

PAUSE_MS = 200
"""Without voice: longer than the gaps inside words, shorter than the silence that ends a turn."""

VOICE_PROBABILITY = 0.5
"""From here on a window of sound counts as voice, as in turn detection by default."""

Verdict: TypeAlias = Literal["consider", "min_gap_not_elapsed", "max_per_turn_reached"]


class Cue:
    """Of one session. Positions are samples of input."""

    def __init__(self, settings: Backchannel, rate_hz: int) -> None:
        self._settings = settings
        self._rate_hz = rate_hz
        self._begins: int | None = None
        """Of the turn under way; None while nobody speaks, or nothing more will be said in it."""
        self._next = 0
        """No sooner is the turn looked at again."""
        self._said = 0
        """In this turn."""
        self._said_at: int | None = None
        self._voice_until = 0

    def follow(self, settings: Backchannel) -> None:
        """Other settings from now on."""
        self._settings = settings

    def begin(self, at: int) -> None:
        """The caller began to speak here."""
        self._begins = self._voice_until = self._next = at
        self._said = 0

    def end(self) -> None:
        """The turn is over."""
        self._begins = None

    def hear(self, until: int, probability: float, *, is_busy: bool = False) -> Verdict | None:
        """A window of sound was scored; None for most of them, and for all while one is being considered."""
        if probability >= VOICE_PROBABILITY:
            self._voice_until = until
        if is_busy or self._begins is None or until < self._next:
            return None
        # From the first sound to the last: the silence after a word or two is no long speech.
        if self._voice_until - self._begins < self._samples(self._settings.min_speech_ms):
            return None
        if self._settings.require_pause and until - self._voice_until < self._samples(PAUSE_MS):
            return None  # it stays due until the caller draws breath
        self._next = until + self._samples(self._settings.eval_interval_ms)
        if self._said >= self._settings.max_per_turn:
            self._begins = None  # told once
            return "max_per_turn_reached"
        if self._said_at is not None and until - self._said_at < self._samples(self._settings.min_gap_ms):
            return "min_gap_not_elapsed"
        return "consider"

    def said(self, at: int) -> None:
        """Something was."""
        self._said += 1
        self._said_at = at

    def _samples(self, ms: int) -> int:
        return ms * self._rate_hz // 1000
