"""The sensor of the load: how late the event loop is, and how busy.

Sleeps, and looks how late it was woken; asks the system how long its thread had the processor meanwhile. Runs on
the loop it measures. What follows from the measurements, `admission.py` knows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from gateway.calls.admission import Measurement

PERIOD_S = 0.05
"""Often enough that a second has twenty measurements; each costs some microseconds."""


async def watch_load(
    report: Callable[[Measurement], None],
    now: Callable[[], float],
    *,
    period_s: float = PERIOD_S,
    processor_s: Callable[[], float] = time.thread_time,
) -> None:
    """Measures until it is cancelled. `report` gets each measurement; `now` is the clock of whoever asks later.

    `processor_s` says how long the calling thread has had the processor; it is asked on the loop's thread.
    """
    began_s, used_s = now(), processor_s()
    while True:
        await asyncio.sleep(period_s)
        now_s, now_used_s = now(), processor_s()
        elapsed_s = now_s - began_s
        # A clock as coarse as the period may stand still; then nothing can be said of this time.
        busy = (now_used_s - used_s) / elapsed_s if elapsed_s > 0 else 0.0
        report(Measurement(now_s, max(0.0, elapsed_s - period_s), min(1.0, busy), period_s))
        began_s, used_s = now_s, now_used_s
