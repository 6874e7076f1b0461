"""How soon a worker that has died is replaced, and when it is hopeless. Pure: it is told how long each lived.

A worker that dies after having lived for a while is replaced at once. One that dies quickly will likely do so
again, so the next waits, each time twice as long.
"""

from __future__ import annotations

QUICK_S = 10.0
"""A life shorter than this ends in the same fault it began with, more likely than not."""

FIRST_DELAY_S = 0.5
"""Before the third start in a row; the second comes at once, because one death is no pattern and callers wait."""

LONGEST_DELAY_S = 10.0
"""What was missing (Redis, a file, memory) may be back at any time; a start every ten seconds burdens nobody."""

HOPELESS_AFTER = 5
"""Quick deaths in a row: about four seconds of waiting, and the time of five starts."""


class Restarts:
    """The deaths in one worker's place."""

    def __init__(self) -> None:
        self._quick_deaths = 0

    def died(self, lived_s: float) -> float:
        """The seconds to wait before its successor is started."""
        self._quick_deaths = self._quick_deaths + 1 if lived_s < QUICK_S else 0
        if self._quick_deaths < 2:
            return 0.0
        doublings = min(self._quick_deaths - 2, 10)
        return min(FIRST_DELAY_S * float(2**doublings), LONGEST_DELAY_S)

    @property
    def is_hopeless(self) -> bool:
        return self._quick_deaths >= HOPELESS_AFTER
