"""Several workers behind one address, sharing one Redis: real servers and sockets, in the test's own event loop.

Workers are cut off here, not killed: `make prove` does that, with real processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway import worker_id
from gateway.calls.redis_store import RedisStore
from pipeline.agent import Agent
from pipeline.responder import Cascade
from simulator.balancer import Balancer, Upstream, balancer
from simulator.call_result import CallResult
from simulator.caller import Step
from simulator.chronicle import Listener
from simulator.phone_call import PhoneCall
from tests.calls.support import AGENT, LIMIT_S, RunningGateway, call_setup, running_gateway
from tests.redis_server import RedisServer, redis_server


@dataclass(eq=False)
class Worker:
    """One of them."""

    house: RunningGateway
    upstream: Upstream
    stack: AsyncExitStack

    @property
    def store(self) -> RedisStore:
        store = self.house.gateway.desk.store
        assert isinstance(store, RedisStore)
        return store

    @property
    def calls(self) -> int:
        return self.store.here


@dataclass(eq=False)
class Fleet:
    """The workers, what stands before them and what they share."""

    door: Balancer
    redis: RedisServer
    make: Callable[[], Any]
    stack: AsyncExitStack
    workers: list[Worker] = field(default_factory=list)
    tasks: list[asyncio.Future[None]] = field(default_factory=list)
    """What tests have begun, to be looked at."""

    @property
    def url(self) -> str:
        return self.door.url

    async def add(self) -> Worker:
        """One more."""
        worker_id._own.clear()  # a process has one name, and these workers share a process
        stack = AsyncExitStack()
        await self.stack.enter_async_context(stack)
        house = await stack.enter_async_context(self.make())
        port = house.server.servers[0].sockets[0].getsockname()[1]
        worker = Worker(house, self.door.add(port), stack)
        self.workers.append(worker)
        return worker

    async def call(self, *steps: Step, listener: Listener | None = None, **changes: Any) -> CallResult:
        async with asyncio.timeout(LIMIT_S):
            return await PhoneCall(call_setup(self.url, *steps, **changes), listener=listener).run()

    async def journal(self, call_sid: str) -> list[dict[str, Any]]:
        """What happened in a call, whoever asks."""
        reading = await self.workers[0].store.journal(call_sid)
        assert reading is not None
        return await reading.read()

    def holder(self) -> Worker:
        """Where the one call streams."""
        (holder,) = [worker for worker in self.workers if worker.calls]
        return holder

    def cut_off(self, worker: Worker) -> None:
        """Its connections break, and it gets no new ones."""
        self.door.remove(worker.upstream)
        worker.house.break_sockets()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not condition():  # noqa: ASYNC110 - others bring it about, and nobody tells
                await asyncio.sleep(0.01)


@asynccontextmanager
async def running_fleet(
    count: int = 2, *, providers: Cascade | None = None, agent: Agent = AGENT, **settings: Any
) -> AsyncGenerator[Fleet, None]:
    """`count` workers; a call comes to whichever has the fewest connections."""
    async with redis_server() as redis, balancer() as door, AsyncExitStack() as stack:

        def make() -> Any:
            return running_gateway(
                providers=providers, agent=agent, PUBLIC_URL=door.url, REDIS_URL=redis.url, **settings
            )

        fleet = Fleet(door, redis, make, stack)
        for _ in range(count):
            await fleet.add()
        yield fleet
