"""A balancer sends webhooks and streams to whichever worker it likes: full, draining or not. A call is let in while
any worker has room, and a stream is served where it lands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from gateway.calls import workers
from gateway.gate import Gate
from simulator.caller import HangUp, Listen
from tests.calls.fleet import Fleet, Worker, running_fleet
from tests.calls.raw_line import RawLine, ask, new_call, offered, raw_line
from tests.calls.support import LIMIT_S, cascade
from twiml.overflow_words import words_in

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats that a test has not to wait for."""
    monkeypatch.setattr(workers, "TELL_EVERY_S", 0.1)


BUSY = words_in(None).all_busy


def gate_of(worker: Worker) -> Gate:
    return worker.house.gateway.desk.gate


class Crowd:
    """Calls by hand, each webhook and each stream to a worker of the test's choice."""

    def __init__(self, fleet: Fleet, stack: AsyncExitStack) -> None:
        self.fleet = fleet
        self._stack = stack

    async def ring(self, worker: Worker) -> str:
        """What a new caller's webhook is answered there."""
        self._send_to(worker)
        return (await ask(f"{self.fleet.url}/twilio/voice", new_call())).body.decode()

    async def call(self, asked: Worker, attending: Worker) -> RawLine:
        """A call whose agent is heard, until the end of the test."""
        call_sid = new_call()
        self._send_to(asked)
        url = await offered(self.fleet.url, call_sid)
        self._send_to(attending)
        before = attending.calls
        line = await self._stack.enter_async_context(raw_line(url, call_sid))
        await line.begin()
        await line.until("media")
        assert attending.calls == before + 1
        return line

    async def heard(self) -> None:
        """Until every worker knows how it stands with the others now: two heartbeats later."""
        for _ in range(2):
            before = {worker: gate_of(worker).admission.others for worker in self.fleet.workers}
            await self.fleet.until(
                lambda before=before: all(  # type: ignore[misc]  # a default is how a lambda keeps it
                    gate_of(worker).admission.others is not others for worker, others in before.items()
                )
            )

    async def readiness(self, worker: Worker) -> tuple[int, str]:
        url = f"http://127.0.0.1:{worker.upstream.port}/readyz"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, (await answer.json())["status"]

    def _send_to(self, worker: Worker) -> None:
        self.fleet.door.upstreams[:] = [worker.upstream]


@asynccontextmanager
async def crowd(count: int, **settings: Any) -> AsyncGenerator[Crowd, None]:
    async with running_fleet(count, providers=cascade(), **settings) as fleet, AsyncExitStack() as stack:
        async with asyncio.timeout(2 * LIMIT_S):
            everyone = len(fleet.workers) - 1
            await fleet.until(lambda: all(gate_of(one).admission.others.live == everyone for one in fleet.workers))
            yield Crowd(fleet, stack)


async def test_a_full_worker_takes_calls_in_for_the_others_until_all_are_full_and_then_speaks() -> None:
    async with crowd(2, SWITCHBOARD_MAX_CALLS="2") as here:
        full, other = here.fleet.workers
        for _ in range(2):
            await here.call(full, full)
        await here.heard()
        assert await here.readiness(full) == (200, "ready"), "for the others, and the only other one may die"
        line = await here.call(full, other)
        await here.heard()
        assert gate_of(full).admission.held == 2, "the seat is where the stream is, and nowhere else"
        await here.call(full, other)
        await here.heard()
        for worker in (full, other):
            assert BUSY in await here.ring(worker)
            assert await here.readiness(worker) == (200, "full"), "somebody must speak to callers"
        await line.send(line.write.stop())
        await line.close_code()
        await here.heard()
        assert "<Stream" in await here.ring(full), "the other has room again"


async def test_a_full_worker_is_taken_out_of_the_balancer_while_two_others_have_room() -> None:
    async with crowd(3, SWITCHBOARD_MAX_CALLS="1") as here:
        full, second, third = here.fleet.workers
        await here.call(full, full)
        await here.heard()
        assert [(await here.readiness(one))[0] for one in (full, second, third)] == [503, 200, 200]
        await here.call(full, second)
        await here.heard()
        assert [(await here.readiness(one))[0] for one in (full, second, third)] == [200, 200, 200]


async def test_a_stream_that_lands_on_a_full_worker_is_served_there() -> None:
    async with crowd(2, SWITCHBOARD_MAX_CALLS="1") as here:
        full, other = here.fleet.workers
        await here.call(other, full)
        await here.heard()
        line = await here.call(other, full)
        await line.press("1#")
        await line.until("clear")
        await line.until("media")
        await here.heard()
        assert (full.calls, other.calls) == (2, 0)
        assert "<Stream" in await here.ring(full), "the other has its seat still"


async def test_a_worker_that_drains_takes_calls_in_for_the_others_and_serves_a_stream_that_lands_on_it() -> None:
    async with crowd(2, SWITCHBOARD_MAX_CALLS="2") as here:
        leaving, other = here.fleet.workers
        leaving.house.gateway.drain()
        await here.call(leaving, other)
        await here.call(leaving, leaving)
        assert await here.readiness(leaving) == (503, "draining")
        await here.heard()
        await here.call(leaving, other)
        await here.heard()
        assert BUSY in await here.ring(leaving)


async def test_a_line_has_its_limit_on_all_workers_together() -> None:
    async with crowd(2, SWITCHBOARD_MAX_CALLS_PER_LINE="2") as here:
        one, two = here.fleet.workers
        await here.call(one, two)
        assert "<Stream" in await here.ring(one)
        await here.heard()
        for worker in (one, two):
            assert BUSY in await here.ring(worker)
            assert await here.readiness(worker) == (200, "ready"), "another line may have room"


async def test_as_many_as_there_are_seats_are_let_in_however_they_are_spread() -> None:
    async with crowd(2, SWITCHBOARD_MAX_CALLS="3") as here:
        async with asyncio.TaskGroup() as callers:
            calls = [callers.create_task(here.fleet.call(Listen(quiet_ms=600), HangUp(), seed=n)) for n in range(6)]
    assert all(one.result().heard_bytes for one in calls), "before, each took two seats"
