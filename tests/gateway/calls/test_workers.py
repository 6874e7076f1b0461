from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest

from gateway.calls import workers as module
from gateway.calls.keys import WORKER_TTL_S, Keys
from gateway.calls.standing import NOBODY, Others, Standing
from gateway.calls.workers import FRESH_S, WorkerLoad, Workers
from gateway.redis.link import OPEN_S, RedisLink
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.anyio

LIMIT_S = 20.0
KEYS = Keys("test")


@dataclass
class Clock:
    at_s: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at_s


@dataclass
class Told:
    """A worker that tells of itself, and what it heard last."""

    id: str
    server: RedisServer
    clock: Clock
    standing: Standing = field(default_factory=Standing)
    is_draining: bool = False
    heard: Others = NOBODY
    beats: int = 0

    def load(self) -> WorkerLoad:
        return WorkerLoad(
            id=self.id,
            calls=0,
            sessions=0,
            is_draining=self.is_draining,
            lag_ms=0.0,
            seen_at_s=self.clock(),
            standing=self.standing,
        )

    def hear(self, others: Others) -> None:
        self.heard = others
        self.beats += 1

    async def until(self, **wanted: object) -> None:
        """Until it has heard so of the others."""
        while any(getattr(self.heard, name) != value for name, value in wanted.items()):  # noqa: ASYNC110 - see below
            await asyncio.sleep(0.005)  # it is told, and tells nobody

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Workers]:
        link = RedisLink(self.server.url, now=time.monotonic)
        workers = Workers(link, KEYS, self.load, self.hear)
        task = asyncio.create_task(workers.run())
        try:
            yield workers
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await link.aclose()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TELL_EVERY_S", 0.02)


@asynccontextmanager
async def a_redis() -> AsyncIterator[RedisServer]:
    async with asyncio.timeout(LIMIT_S), redis_server() as server:
        yield server


async def test_each_worker_hears_what_the_others_tell_and_when_they_leave() -> None:
    async with a_redis() as server:
        clock = Clock()
        one, two = Told("one", server, clock), Told("two", server, clock, Standing(room=3, lines={"+1": 2}))
        async with one.running() as workers:
            seen = [workers.has_others]
            async with two.running():
                await one.until(live=1, with_room=1, room=3, lines={"+1": 2})
                seen.append(workers.has_others)
                assert [load.id for load in workers.known] == ["one", "two"]
                two.standing = Standing(room=0, reserved={"a": "+1"}, settled=("b",))
                await one.until(with_room=0, reserved={"a": "+1"}, settled=frozenset("b"))
                two.is_draining = True
                await one.until(live=0)
                seen.append(workers.has_others)
            assert seen == [False, True, False]
            await one.until(lines={}, reserved={}, settled=frozenset())


async def test_a_worker_that_falls_silent_has_no_room_at_once_and_keeps_its_calls_until_it_is_forgotten() -> None:
    async with a_redis() as server:
        silent_clock = Clock()
        one, two = (
            Told("one", server, Clock()),
            Told("two", server, silent_clock, Standing(room=3, lines={"+1": 2})),
        )
        async with one.running(), two.running():
            await one.until(live=1, room=3)
            one.clock.at_s += FRESH_S
            await one.until(live=0, with_room=0, room=0, lines={"+1": 2})
            one.clock.at_s += WORKER_TTL_S
            await one.until(lines={})


async def test_without_redis_the_others_are_remembered_until_they_would_be_forgotten() -> None:
    async with a_redis() as server:
        clock = Clock()
        one, two = Told("one", server, clock), Told("two", server, Clock(), Standing(room=3))
        async with one.running() as workers, two.running():
            await one.until(live=1)
            server.kill()
            before = one.beats
            while one.beats < before + 3:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.005)
            assert one.heard.room == 3 and len(workers.known) == 2
            clock.at_s += WORKER_TTL_S
            await one.until(live=0, room=0)
            assert [load.id for load in workers.known] == ["one"]
            clock.at_s -= WORKER_TTL_S
            await server.restart()
            await asyncio.wait_for(one.until(live=1, room=3), LIMIT_S - OPEN_S)


async def test_a_worker_leaves_also_while_redis_is_away() -> None:
    async with a_redis() as server:
        one = Told("one", server, Clock())
        async with one.running():
            server.kill()
        assert one.heard == NOBODY


async def test_what_another_version_tells_is_left_out_or_counts_as_full() -> None:
    async with a_redis() as server:
        clock = Clock()
        one = Told("one", server, clock)
        older = msgspec.to_builtins(one.load()) | {"id": "older"}
        del older["standing"]
        for name, text in (("older", msgspec.json.encode(older)), ("newer", b'{"id": 7}')):
            await server.ask("SET", KEYS.worker(name), text)
            await server.ask("ZADD", KEYS.workers, str(clock()), name)
        async with one.running() as workers:
            await one.until(live=1, with_room=0)
            assert [load.id for load in workers.known] == ["older", "one"]
