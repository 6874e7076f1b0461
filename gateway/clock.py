"""The gateway's clock: Unix seconds that never jump.

Times of calls are compared by several workers, so they are Unix time; and they are subtracted from each other, so
they must not follow when somebody sets the machine's clock. It is read once, and counted on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Call it for the time."""

    def __init__(
        self, unix: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._began_s = unix() - monotonic()

    def __call__(self) -> float:
        return self._began_s + self._monotonic()
