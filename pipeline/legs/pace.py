"""The pace of every provider of a process: how long it takes until something of use comes, and whether it works.

One for all sessions. Pure: latencies and times are handed in, in seconds.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Final, Literal, TypeAlias

from pipeline.legs.breaker import Breaker

Kind: TypeAlias = Literal["stt", "llm", "tts"]

KEPT: Final = 200
"""The latest of each provider: some minutes of a busy process, so that a slow afternoon is soon the usual."""

LEAST: Final = 20
"""Fewer say nothing of a 95th percentile: it would be their longest."""

UNKNOWN_P95_S: Final[dict[Kind, float]] = {"stt": 0.6, "llm": 1.0, "tts": 0.6}
"""Until `LEAST` are known: what services publish of themselves, on the slow side."""


class Pace:
    """See the module's docstring. A provider is its kind and its label."""

    def __init__(self) -> None:
        self._latencies: defaultdict[tuple[Kind, str], deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._breakers: defaultdict[tuple[Kind, str], Breaker] = defaultdict(Breaker)

    def took(self, kind: Kind, provider: str, seconds: float) -> None:
        """So long it took, or at least so long: one that lost a race counts with the time it had, because without
        the slow ones the rest would look ever faster."""
        self._latencies[kind, provider].append(seconds)

    def knows(self, kind: Kind, provider: str) -> bool:
        """Whether `p95_s` is its own."""
        return len(self._latencies[kind, provider]) >= LEAST

    def p95_s(self, kind: Kind, provider: str) -> float:
        """Of its recent latencies; until enough are known, `UNKNOWN_P95_S`."""
        if not self.knows(kind, provider):
            return UNKNOWN_P95_S[kind]
        latencies = sorted(self._latencies[kind, provider])
        return latencies[(len(latencies) * 95 - 1) // 100]

    def admits(self, kind: Kind, provider: str, now_s: float) -> bool:
        """Whether to ask it now: see `Breaker.admits`."""
        return self._breakers[kind, provider].admits(now_s)

    def worked(self, kind: Kind, provider: str, now_s: float) -> None:
        self._breakers[kind, provider].worked(now_s)

    def failed(self, kind: Kind, provider: str, now_s: float) -> None:
        self._breakers[kind, provider].failed(now_s)
