"""The clock that jumps: exact, in order, and never waiting for what cannot come."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.virtual_time import LONGEST_S, VIRTUAL_TIME, VirtualTime, WaitsForever, now_s, settle, virtual_loop


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


@pytest.mark.anyio
async def test_sleepers_wake_in_order_and_to_the_point() -> None:
    woken: list[tuple[float, float]] = []
    began = now_s()

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append((seconds, round(now_s() - began, 9)))

    async with asyncio.TaskGroup() as tasks:
        for seconds in (900.0, 0.001, 30.0):
            tasks.create_task(sleep(seconds))
    assert woken == [(0.001, 0.001), (30.0, 30.0), (900.0, 900.0)]


@pytest.mark.anyio
async def test_half_an_hour_takes_no_time() -> None:
    began = time.monotonic()
    await asyncio.sleep(1_800)
    assert time.monotonic() - began < 60


@pytest.mark.anyio
async def test_a_timeout_ends_a_wait_at_its_moment() -> None:
    began = now_s()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2.5):
            await asyncio.Event().wait()
    assert now_s() - began == pytest.approx(2.5)


@pytest.mark.anyio
async def test_all_that_can_happen_now_happens_while_settling() -> None:
    done: list[int] = []
    loop = asyncio.get_running_loop()

    def go_on(left: int) -> None:
        done.append(left)
        if left:
            loop.call_soon(go_on, left - 1)

    loop.call_soon(go_on, 40)
    await settle()
    assert len(done) == 41


@pytest.mark.parametrize(("waits", "why"), [(None, "no timer"), (LONGEST_S + 1, "3600 seconds")])
def test_a_wait_without_an_end_is_an_error(waits: float | None, why: str) -> None:
    async def wait() -> None:
        async with asyncio.timeout(waits):
            await asyncio.Event().wait()

    loop = virtual_loop()
    task = loop.create_task(wait())
    with pytest.raises(WaitsForever, match=why):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
