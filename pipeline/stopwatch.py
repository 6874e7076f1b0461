"""The stopwatch of one turn: where the time went between the caller's last word and the agent's first.

Stages follow one another without gaps, so they add up. Times are seconds of a clock that is handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

Stage: TypeAlias = Literal["stt", "llm", "tool", "tts"]
"""To the words, to the first clause (or function), to the function's result, to the first sound."""


class Stopwatch:
    """Started when a turn is decided to be over; each lap books the time since the last one to a stage."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last = now()
        self.seconds: dict[Stage, float] = {}

    def lap(self, stage: Stage) -> None:
        now = self._now()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
