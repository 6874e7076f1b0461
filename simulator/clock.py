"""The steady clock a call runs on, handed in so that tests need not wait for it."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """A clock that never goes back, and how to wait on it."""

    def now_s(self) -> float:
        """Seconds since some fixed instant."""

    async def wait(self, wake: asyncio.Event, duration_s: float) -> None:
        """Return when `duration_s` has passed or `wake` is set, whichever is first. Does not clear `wake`."""


class SteadyClock:
    """The machine's own."""

    def now_s(self) -> float:
        return time.monotonic()

    async def wait(self, wake: asyncio.Event, duration_s: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, duration_s)):
                await wake.wait()
        except TimeoutError:
            pass
