"""A stall: somebody who owes us something has brought nothing for too long.

An alarm whose time moves at every sign of life, made cheap: a sign of life writes one number, and a timer looks at
it only when the time would be up. What the alarm means is the business of whoever hears it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Stall:
    """Calls `ring` once when something has been owed for its limit without a sign of life.

    It owes nothing until `owes` is called, and nothing after `rests`; `owes` again is a sign of life. `end` is for
    good: nothing rings any more.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._has_ended = False

    def owes(self, limit_s: float) -> None:
        if self._has_ended:
            return
        self._due = self._loop.time() + limit_s
        if self._timer is not None and self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._look)

    def rests(self) -> None:
        self._due = None

    def end(self) -> None:
        self._has_ended = True
        self._due = None
        self._ring = _silently  # whoever hears it holds it, too
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._due <= self._loop.time():
            self._due = None
            self._ring()
        else:
            self._timer = self._loop.call_at(self._due, self._look)


def _silently() -> None:
    """How one rings that has ended."""
