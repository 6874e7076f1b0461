"""The gaps in a voice: how long a listener waited in the middle of words whose sound came slower than it plays.

A stall is one long silence; a drip is many short ones, each too short for a stall. Pure: times are handed in,
in seconds of one monotonic clock.
"""

from __future__ import annotations


class Gaps:
    """Of one attempt to speak."""

    def __init__(self) -> None:
        self.total_s = 0.0
        self.made_s = 0.0
        """Of sound."""
        self._plays_until_s = 0.0

    def sounded(self, now_s: float, length_s: float, *, is_first: bool) -> None:
        """So much sound came; `is_first`: of a clause, before which there may be a pause."""
        if not is_first:
            self.total_s += max(0.0, now_s - self._plays_until_s)
        self._plays_until_s = max(self._plays_until_s, now_s) + length_s
        self.made_s += length_s

    def excuse(self, now_s: float) -> None:
        """It was made to wait until now, which is not its fault."""
        self._plays_until_s = max(self._plays_until_s, now_s)
