from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gateway.calls.errand import ErrandEnd
from gateway.calls.keys import Keys
from gateway.calls.letters import Ask, Letters
from gateway.calls.orders import (
    NO_ANSWER,
    NOT_STREAMING,
    OUT_OF_REACH,
    WORKER_GONE,
    AnyOrder,
    Done,
    Errand,
    HangUp,
    Join,
    Listen,
    Outcome,
    Refused,
    Say,
)
from gateway.calls.relay import MOST_AT_ONCE, TOO_MANY, Relay
from gateway.calls.seals import Seals
from gateway.redis.link import RedisLink
from pipeline.dialects import Dialect
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.anyio

SID = f"CA{1:032x}"
LIMIT_S = 20.0
REFUSED = Refused(status_code=403, code="x", message="y")


@dataclass
class Here:
    """What a worker does for others, written down."""

    orders: list[tuple[str, AnyOrder]] = field(default_factory=list)
    outcome: Outcome = field(default_factory=lambda: Done("speaking"))
    waits_for: asyncio.Event | None = None
    refuses: Refused | None = None
    over: list[str] = field(default_factory=list)
    fails: bool = False

    async def carry_out(self, call_sid: str, order: AnyOrder) -> Outcome:
        self.orders.append((call_sid, order))
        if self.waits_for is not None:
            await self.waits_for.wait()
        if self.fails:
            raise RuntimeError("a fault of ours")
        return self.outcome

    def attend(self, call_sid: str, errand: Errand) -> Callable[[ErrandEnd], Awaitable[None]] | Refused:
        return self.refuses or self._echo

    async def _echo(self, end: ErrandEnd) -> None:
        while (data := await end.get()) not in (None, b"bye"):
            end.send(b"echo " + (data or b""))
        self.over.append(end.id)


@dataclass
class Deployment:
    server: RedisServer
    stack: AsyncExitStack
    keys: Keys = field(default_factory=lambda: Keys("test"))
    links: list[RedisLink] = field(default_factory=list)

    async def worker(self, name: str, here: Here | None = None, secret: str = "secret") -> Relay:
        link = RedisLink(self.server.url, cluster=self.server.is_cluster, now=time.monotonic)
        self.links.append(link)
        self.stack.push_async_callback(link.aclose)
        relay = Relay(link, self.keys, Seals([secret]), worker_id=name, now=time.time)
        if here is not None:
            relay.serve(here)
        running = asyncio.create_task(relay.run())

        async def stop() -> None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        self.stack.push_async_callback(stop)
        await until(lambda: relay.is_listening)
        return relay

    async def publish(self, to: str, letter: bytes) -> None:
        assert await self.links[0].publish(self.keys.orders(to), letter) == 1


@asynccontextmanager
async def deployment(*, cluster: bool = False) -> AsyncIterator[Deployment]:
    async with asyncio.timeout(LIMIT_S), redis_server(cluster=cluster) as server, AsyncExitStack() as stack:
        yield Deployment(server, stack)


async def until(condition: Callable[[], object]) -> None:
    """The deployment's limit bounds it."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("cluster", [False, True], ids=["one", "cluster"])
async def test_an_order_is_carried_out_elsewhere_and_its_outcome_comes_back(cluster: bool) -> None:
    async with deployment(cluster=cluster) as all:
        here = Here()
        one = await all.worker("one")
        await all.worker("two", here)
        assert await one.order("two", SID, Say(text="Hello.")) == Done("speaking")
        here.outcome = REFUSED
        assert await one.order("two", SID, HangUp()) == REFUSED
        assert here.orders == [(SID, Say(text="Hello.")), (SID, HangUp())]


async def test_a_worker_that_is_gone_one_not_ready_and_one_that_fails_or_hangs_are_told_apart() -> None:
    async with deployment() as all:
        here = Here(fails=True)
        one = await all.worker("one")
        await all.worker("failing", here)
        await all.worker("starting")
        hung = asyncio.Event()
        await all.worker("hanging", Here(waits_for=hung))
        assert await one.order("gone", SID, HangUp()) == WORKER_GONE
        assert await one.order("starting", SID, HangUp()) == NOT_STREAMING
        assert await one.order("failing", SID, HangUp()) == NO_ANSWER
        assert await one.order("hanging", SID, HangUp()) == NO_ANSWER
        hung.set()  # what it answers now, nobody waits for
        assert await one.order("hanging", SID, HangUp()) == Done("speaking")


async def test_without_redis_nobody_is_reached_and_later_everybody_is() -> None:
    async with deployment() as all:
        one = await all.worker("one")
        two = await all.worker("two", Here())
        all.server.kill()
        assert await one.order("two", SID, HangUp()) == OUT_OF_REACH
        await until(lambda: not one.is_listening)
        assert await one.order("two", SID, HangUp()) == OUT_OF_REACH
        await all.server.restart()
        await until(lambda: one.is_listening and two.is_listening)
        while (outcome := await one.order("two", SID, HangUp())) == OUT_OF_REACH:  # noqa: ASYNC110 - the breaker's time
            await asyncio.sleep(0.05)
        assert outcome == Done("speaking")


async def test_a_letter_that_comes_twice_is_carried_out_once_and_forged_ones_never() -> None:
    async with deployment() as all:
        here = Here()
        one = await all.worker("one")
        await all.worker("two", here)
        ask = Ask("an id", "one", SID, HangUp())
        letter = Letters(Seals(["secret"]), "one").written("two", ask, time.time())
        forged = Letters(Seals(["guessed"]), "one").written("two", ask, time.time())
        late = Letters(Seals(["secret"]), "one").written("two", ask, time.time() - 60)
        misled = Letters(Seals(["secret"]), "one").written("three", ask, time.time())
        for one_letter in (forged, late, misled, b"junk", letter, letter, letter):
            await all.publish("two", one_letter)
        await one.order("two", SID, Say(text="Done?"))
        assert here.orders == [(SID, HangUp()), (SID, Say(text="Done?"))]


async def test_an_errand_goes_both_ways_until_one_side_leaves() -> None:
    async with deployment() as all:
        here = Here()
        one = await all.worker("one")
        await all.worker("two", here)
        for goodbye in (b"bye", None):
            async with one.errand("two", SID, Join(Dialect.GA)) as end:
                assert isinstance(end, ErrandEnd)
                for word in (b"a", b"b"):
                    end.send(word)
                    assert await end.get() == b"echo " + word
                if goodbye is not None:
                    end.send(goodbye)
                    assert await end.get() is None
                    assert end.was_left
        await until(lambda: len(here.over) == 2)


async def test_an_errand_that_is_refused_says_why() -> None:
    async with deployment() as all:
        here = Here(refuses=REFUSED)
        one = await all.worker("one")
        await all.worker("two", here)
        await all.worker("starting")
        for worker_id, why in (("two", REFUSED), ("gone", WORKER_GONE), ("starting", NOT_STREAMING)):
            async with one.errand(worker_id, SID, Listen()) as end:
                assert end == why


async def test_more_orders_than_a_worker_takes_at_a_time_are_refused() -> None:
    async with deployment() as all:
        go_on = asyncio.Event()
        here = Here(waits_for=go_on)
        one = await all.worker("one")
        await all.worker("two", here)
        asking = [asyncio.ensure_future(one.order("two", SID, HangUp())) for _ in range(MOST_AT_ONCE)]
        await until(lambda: len(here.orders) == MOST_AT_ONCE or any(task.done() for task in asking))
        assert await one.order("two", SID, HangUp()) == TOO_MANY
        go_on.set()
        await asyncio.gather(*asking)
