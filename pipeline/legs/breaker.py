"""A circuit breaker: a provider that keeps failing is left alone for a while, so that not every turn pays for it.

Pure: the time is handed in. What counts as a failure is decided by whoever tells it.
"""

from __future__ import annotations

import enum
from typing import Final

FAILURES_IN_A_ROW: Final = 3
"""One failure is chance and two may be; a caller who meets the third has waited for the first two."""

OPEN_S: Final = 10.0
"""Then one request tries whether it works again: with hundreds of calls, one caller in ten seconds pays a limit."""


class State(enum.Enum):
    CLOSED = enum.auto()
    """It works, as far as is known."""
    OPEN = enum.auto()
    """It is left alone."""
    TRYING = enum.auto()
    """One request is finding out whether it works again."""


class Fact(enum.Enum):
    WORKED = enum.auto()
    FAILED_ONCE_MORE = enum.auto()
    """Fewer than `FAILURES_IN_A_ROW` so far."""
    FAILED_TOO_OFTEN = enum.auto()
    TIME_PASSED = enum.auto()
    """And somebody wants to ask it."""


LEGAL_STEPS: Final = {
    (State.CLOSED, Fact.WORKED): State.CLOSED,
    (State.CLOSED, Fact.FAILED_ONCE_MORE): State.CLOSED,
    (State.CLOSED, Fact.FAILED_TOO_OFTEN): State.OPEN,
    (State.OPEN, Fact.TIME_PASSED): State.TRYING,
    # Whoever was asked before it opened may still answer, which proves that it works, or fail late as well.
    (State.OPEN, Fact.WORKED): State.CLOSED,
    (State.OPEN, Fact.FAILED_TOO_OFTEN): State.OPEN,
    (State.TRYING, Fact.WORKED): State.CLOSED,
    (State.TRYING, Fact.FAILED_TOO_OFTEN): State.OPEN,
    # The trial's caller may have hung up, and nobody learnt anything: the next one tries.
    (State.TRYING, Fact.TIME_PASSED): State.TRYING,
}


class Breaker:
    """Of one provider or server, for all sessions of a process. Times are seconds of one monotonic clock."""

    def __init__(self, open_s: float = OPEN_S) -> None:
        self._open_s = open_s
        self.state = State.CLOSED
        self._failures = 0
        self._tried_again_from_s = 0.0

    def admits(self, now_s: float) -> bool:
        """Whether to ask it now. While it is left alone, one request in `open_s` is let through as a trial."""
        if self.state is State.CLOSED:
            return True
        if now_s < self._tried_again_from_s:
            return False
        self._step(Fact.TIME_PASSED, now_s)
        return True

    def is_open(self, now_s: float) -> bool:
        """Whether `admits` would refuse; asking this lets nobody through."""
        return self.state is not State.CLOSED and now_s < self._tried_again_from_s

    def worked(self, now_s: float) -> None:
        self._failures = 0
        self._step(Fact.WORKED, now_s)

    def failed(self, now_s: float) -> None:
        self._failures += 1
        too_often = self._failures >= FAILURES_IN_A_ROW
        self._step(Fact.FAILED_TOO_OFTEN if too_often else Fact.FAILED_ONCE_MORE, now_s)

    def _step(self, fact: Fact, now_s: float) -> None:
        self.state = LEGAL_STEPS[self.state, fact]
        if self.state is not State.CLOSED:
            self._tried_again_from_s = now_s + self._open_s
