"""When a record is tried again, and when no more. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIRST_WAIT_S: Final = 5.0
LONGEST_WAIT_S: Final = 3_600.0
"""A receiver that is away for hours is asked so often."""

MOST_DOUBLINGS: Final = 30
"""2 to the power of this is past every limit, and still a number."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """5 s, 10 s, 20 s … up to an hour, each shortened by up to half at random, so that what failed together does
    not come together again; at the end once more, and then no more."""

    give_up_after_s: float
    """Since the record was put."""

    def next_try_s(
        self, *, tries: int, put_at_s: float, now_s: float, wait_s: float, spread: float
    ) -> float | None:
        """The time of the next try, after `tries` that failed; None: it was the last.

        `wait_s`: at least so long, as the receiver asks. `spread`: from 0 to 1, at random.
        """
        ends_at_s = put_at_s + self.give_up_after_s
        if now_s >= ends_at_s:
            return None
        longest_s = min(FIRST_WAIT_S * 2.0 ** min(tries - 1, MOST_DOUBLINGS), LONGEST_WAIT_S)
        return min(now_s + max(longest_s * (1 - spread / 2), wait_s), ends_at_s)
