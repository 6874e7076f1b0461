from __future__ import annotations

import asyncio

import pytest

from gateway.calls.admission import Measurement
from gateway.calls.load_sensor import PERIOD_S, watch_load

pytestmark = pytest.mark.anyio


async def measurements(count: int, now: list[float], used: list[float]) -> list[Measurement]:
    """The first `count` of a sensor whose clocks say, one after another, what they are given."""
    seen: list[Measurement] = []
    enough = asyncio.Event()

    def report(measurement: Measurement) -> None:
        seen.append(measurement)
        if len(seen) == count:
            enough.set()

    times, processor = iter(now), iter(used)
    sensing = asyncio.create_task(
        watch_load(
            report, lambda: next(times, now[-1]), period_s=0.001, processor_s=lambda: next(processor, used[-1])
        )
    )
    async with asyncio.timeout(10):
        await enough.wait()
    sensing.cancel()
    return seen[:count]


async def test_lateness_is_what_the_sleep_took_too_long_and_busy_the_share_of_the_processor() -> None:
    first, second, third = await measurements(3, [10.0, 10.101, 10.1015, 10.1015], [1.0, 1.05, 1.06, 1.06])
    assert (first.at_s, first.period_s) == (10.101, 0.001)
    assert first.lateness_s == pytest.approx(0.1)
    assert first.busy == pytest.approx(0.05 / 0.101)
    assert (second.lateness_s, second.busy) == (0.0, 1.0)
    assert (third.lateness_s, third.busy) == (0.0, 0.0)


async def test_a_loop_that_is_blocked_is_seen_to_be_late() -> None:
    seen: list[Measurement] = []
    enough = asyncio.Event()

    def report(measurement: Measurement) -> None:
        seen.append(measurement)
        if measurement.busy > 0:
            enough.set()

    loop = asyncio.get_running_loop()
    sensing = asyncio.create_task(watch_load(report, loop.time))
    await asyncio.sleep(0)
    until_s = loop.time() + 2 * PERIOD_S
    while loop.time() < until_s:  # it is the loop that is to stand still
        sum(range(1000))
    async with asyncio.timeout(10):
        await enough.wait()
    sensing.cancel()
    assert seen[0].lateness_s >= PERIOD_S * 0.9
