"""The pacer: one timer for all playing calls of a process. No task and no timer per call, let alone per frame.

Time is cut into ticks; a call that wants to be woken is put into the tick it is due in, and one timer of the event
loop runs from tick to tick while any is waiting. A call is woken at most a tick early and, while the loop is not
blocked, never late; the sound it sends then has a lead that covers both.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable

log = logging.getLogger(__name__)

TICK_S = 0.010
"""Ten wake-ups in a piece of sound: fine enough to spread calls, coarse enough that a busy process pays once."""


class Pacer:
    """Wakes callbacks by the clock of the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ticks: defaultdict[int, list[Callable[[], None]]] = defaultdict(list)
        self._timer: asyncio.TimerHandle | None = None
        self._next_tick = self._reached = 0
        self._is_running = False

    def now(self) -> float:
        """Seconds of the clock that `wake_at` counts in."""
        return self._loop.time()

    def wake_at(self, when: float, wake: Callable[[], None]) -> None:
        """Call `wake` once at about `when`. Not cancellable: whoever is gone by then ignores it."""
        tick = max(int(when / TICK_S), self._present() + 1)
        self._ticks[tick].append(wake)
        if not self._is_running and (self._timer is None or tick < self._next_tick):
            self._arm(tick)

    def _arm(self, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next_tick = tick
        self._timer = self._loop.call_at(tick * TICK_S, self._run)

    def _run(self) -> None:
        self._timer = None
        self._is_running = True
        self._reached = self._next_tick
        current = self._present()
        try:
            for tick in sorted(tick for tick in self._ticks if tick <= current):
                for wake in self._ticks.pop(tick):
                    self._call(wake)
        finally:
            self._is_running = False
            if self._ticks:
                self._arm(min(self._ticks))

    def _present(self) -> int:
        """The tick it is. One whose timer has run has come, even where the division says that it nearly has."""
        return max(self._reached, int(self._loop.time() / TICK_S))

    def _call(self, wake: Callable[[], None]) -> None:
        try:
            wake()
        except Exception:
            # One call's fault must not stop the clock of all the others.
            log.exception("a paced call failed by a fault of ours")
