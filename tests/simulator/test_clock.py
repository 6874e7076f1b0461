from __future__ import annotations

import asyncio
import time

import pytest

from simulator.clock import SteadyClock

pytestmark = pytest.mark.anyio


async def test_a_wait_ends_by_itself_or_when_woken() -> None:
    clock, wake = SteadyClock(), asyncio.Event()
    before_s = clock.now_s()
    async with asyncio.timeout(5):
        await clock.wait(wake, 0.02)
        assert clock.now_s() - before_s >= 0.019
        wake.set()
        await clock.wait(wake, 1000)
        wake.clear()
        await clock.wait(wake, -1)


def test_it_is_the_steady_clock_of_the_machine() -> None:
    assert time.monotonic() <= SteadyClock().now_s() <= time.monotonic()
