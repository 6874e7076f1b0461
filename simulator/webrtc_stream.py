"""How evenly one stream of RTP comes: what each packet is late by, the gaps between them, what is missing. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

CLOCK_HZ: Final = 48_000
"""Of the RTP clock of Opus (RFC 7587, section 4.1)."""

_SEQUENCES: Final = 1 << 16
_TICKS: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """Of the packets since `measure`. Times in milliseconds."""

    lateness: list[float] = field(default_factory=list)
    """Of each packet, against the pace of its own timestamps and the packet that came earliest by it."""
    gaps: list[float] = field(default_factory=list)
    """From each packet to the next, as they came."""
    received: int = 0
    lost: int = 0
    """Numbers between the first and the last that did not come."""


class Stream:
    """Of one connection; `take` each packet, `measure` to begin anew, and then ask for `figures`."""

    def __init__(self) -> None:
        self.measure()

    def measure(self) -> None:
        self._transits_s: list[float] = []
        self._gaps_ms: list[float] = []
        self._last: tuple[int, int, float] | None = None
        self._span = 0
        """Packets that should have come after the first."""

    def take(self, sequence: int, timestamp: int, now: float) -> None:
        if self._last is None:
            position = timestamp
        else:
            before, position, at = self._last
            ahead = (sequence - before + _SEQUENCES // 2) % _SEQUENCES - _SEQUENCES // 2
            if ahead <= 0:
                return  # nothing overtakes on loopback, and no figure needs it
            self._span += ahead
            position += (timestamp - position + _TICKS // 2) % _TICKS - _TICKS // 2
            self._gaps_ms.append((now - at) * 1000)
        self._transits_s.append(now - position / CLOCK_HZ)
        self._last = (sequence, position, now)

    def figures(self) -> StreamFigures:
        if not self._transits_s:
            return StreamFigures()
        least = min(self._transits_s)
        return StreamFigures(
            lateness=[(transit - least) * 1000 for transit in self._transits_s],
            gaps=self._gaps_ms,
            received=len(self._transits_s),
            lost=self._span + 1 - len(self._transits_s),
        )
