"""Redis fails over to a replica that lags behind, under live calls: nobody feels it, and nothing is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from pipeline.responder import Cascade
from simulator.balancer import balancer
from simulator.call_result import EndReason, Happening
from simulator.caller import HangUp, Listen, Say, Wait
from simulator.toxic_proxy import ToxicProxy
from simulator.toxics import Toxics
from tests.calls.fleet import Fleet, Worker
from tests.calls.support import AGENT, LIMIT_S, cascade, clip, running_gateway, spoken
from tests.fakes import FakeModel
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.anyio

CALLS = 3
LAG = Toxics(latency_ms=60_000)


@dataclass(eq=False)
class Deployment:
    """Two workers, each with its own network to the primary, and a replica with one, too."""

    fleet: Fleet
    replica: RedisServer
    behind: ToxicProxy
    networks: list[ToxicProxy]

    async def fail_over(self) -> None:
        """The primary dies, and who replaces it lacks the last moments."""
        self.fleet.redis.kill()
        await self.replica.ask("REPLICAOF", "NO", "ONE")
        for network in self.networks:
            network.point_at("127.0.0.1", self.replica.port)

    async def written_anew(self, call_sids: list[str]) -> None:
        """Until who took over knows all calls and how each stands."""
        async with asyncio.timeout(LIMIT_S):
            for worker in self.fleet.workers:
                while any(not held.is_settled for held in worker.store.copies):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.02)
            for call_sid in call_sids:
                key = f"switchboard:{{{call_sid}}}:call"
                while not await self.replica.ask("EXISTS", key):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.02)

    def kill(self, worker: Worker) -> None:
        """As kill -9 would: nothing it has to say reaches anybody any more."""
        network = self.networks[self.fleet.workers.index(worker)]
        network.refuse()
        network.cut()
        self.fleet.cut_off(worker)


@asynccontextmanager
async def deployment(providers: Cascade) -> AsyncGenerator[Deployment, None]:
    async with redis_server() as primary, redis_server() as replica, balancer() as door, AsyncExitStack() as stack:
        networks: list[ToxicProxy] = []

        def make() -> Any:
            url = f"redis://127.0.0.1:{networks[len(fleet.workers)].port}"
            return running_gateway(providers=providers, agent=AGENT, PUBLIC_URL=door.url, REDIS_URL=url)

        fleet = Fleet(door, primary, make, stack)
        for _ in range(2):
            networks.append(await stack.enter_async_context(ToxicProxy("127.0.0.1", primary.port)))
            await fleet.add()
        behind = await stack.enter_async_context(ToxicProxy("127.0.0.1", primary.port))
        await replica.ask("REPLICAOF", "127.0.0.1", behind.port)
        yield Deployment(fleet, replica, behind, networks)


async def test_calls_go_on_through_a_failover_and_a_worker_that_dies_after_it_takes_no_history_along() -> None:
    model = FakeModel(*(f"Answer {number}." for number in range(3 * CALLS)))
    async with deployment(cascade(model=model)) as here:
        sids: list[str] = []
        steps = (Wait(200), Say(clip("no")), Listen(quiet_ms=400), Wait(1_500), Say(clip("yes")))
        more = (*steps, Listen(quiet_ms=400), Wait(3_500), Say(clip("yes")), Listen(quiet_ms=400), HangUp())

        opened: list[Happening] = []

        def listen(one: Happening) -> None:
            if one.name == "stream.opened":
                opened.append(one)

        async with asyncio.TaskGroup() as tasks:
            calls = [tasks.create_task(here.fleet.call(*more, listener=listen, seed=n)) for n in range(CALLS)]
            # Each has had its first turn.
            await here.fleet.until(lambda: len(model.prompts) == CALLS)
            here.behind.poison(down=LAG)
            await here.fleet.until(lambda: len(model.prompts) == 2 * CALLS)
            sids += [held.call.call_sid for worker in here.fleet.workers for held in worker.store.copies]
            streams = len(opened)
            await here.fail_over()
            await here.written_anew(sids)
            assert len(opened) == streams == CALLS, "nobody felt it"
            victim = max(here.fleet.workers, key=lambda one: one.calls)
            hit = victim.calls
            here.kill(victim)
        results = [call.result() for call in calls]
    assert sorted(sids) == sorted(result.call_sid for result in results)
    assert hit >= 1 and sum(len(result.stream_sids) - 1 for result in results) == hit
    assert all(result.end_reason is EndReason.CALLER_HUNG_UP for result in results)
    last = [spoken(prompt) for prompt in model.prompts[2 * CALLS :]]
    assert len(last) == CALLS
    for said in last:
        assert [words for role, words in said if role == "user"] == ["Something was said."] * 3
        assert sum(words.startswith("Answer") for role, words in said if role == "assistant") == 2
    assert all(result.complaints == () for result in results)
