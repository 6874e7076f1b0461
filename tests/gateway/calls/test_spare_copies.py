"""Spare copies when another Redis takes over, which lacks the last moments, and when one refuses to write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gateway.calls.call import Call
from gateway.calls.keys import Keys
from gateway.calls.media_tokens import MediaTokens
from gateway.calls.redis_store import RedisStore
from gateway.calls.witness import WITNESS
from gateway.errors import StoreUnavailable
from gateway.redis.link import RedisLink, RedisUnavailable
from pipeline.events.config import SessionConfig
from pipeline.events.items import AnyItem, InputText, Message
from pipeline.limits import USUAL
from pipeline.snapshot import Snapshot
from simulator.toxic_proxy import ToxicProxy
from simulator.toxics import Toxics
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.anyio

LIMIT_S = 30.0
SID = f"CA{1:032x}"
KEYS = Keys("test")


@dataclass
class Talk:
    """What a stream would have to tell."""

    items: list[AnyItem] = field(default_factory=list)
    config: SessionConfig = field(default_factory=SessionConfig)

    def say(self, words: str) -> None:
        content = (InputText(text=words),)
        self.items.append(Message(id=f"item_{len(self.items)}", role="user", content=content))

    def snapshot(self) -> Snapshot:
        return Snapshot(items=tuple(self.items), config=self.config)


@dataclass
class Pair:
    """A primary and its replica, each behind a network, and workers that see only the first network."""

    primary: RedisServer
    replica: RedisServer
    network: ToxicProxy
    """Between the workers and whoever is the primary."""
    behind: ToxicProxy
    """Between the replica and the primary."""
    stack: AsyncExitStack

    async def worker(self, name: str) -> RedisStore:
        link = RedisLink(f"redis://127.0.0.1:{self.network.port}", now=time.monotonic)
        self.stack.push_async_callback(link.aclose)
        store = RedisStore(link, KEYS, MediaTokens(["secret"], unix=time.time), worker_id=name, now=time.time)
        writing = asyncio.create_task(store.copies.run())

        async def stop() -> None:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

        self.stack.push_async_callback(stop)
        return store

    async def replicated(self) -> None:
        """Until the replica has what the primary has."""
        await until(lambda: _same(self.primary, self.replica))

    async def fail_over(self) -> None:
        """The primary dies, and its replica takes its place."""
        self.primary.kill()
        await self.replica.ask("REPLICAOF", "NO", "ONE")
        self.network.point_at("127.0.0.1", self.replica.port)


async def _same(one: RedisServer, other: RedisServer) -> bool:
    fields = await one.ask("HGETALL", KEYS.call(SID)), await other.ask("HGETALL", KEYS.call(SID))
    return bool(fields[0]) and fields[0] == fields[1]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():  # noqa: ASYNC110 - what Redis tells nobody of, it must be asked for
        await asyncio.sleep(0.02)


@asynccontextmanager
async def pair() -> AsyncIterator[Pair]:
    async with asyncio.timeout(LIMIT_S), AsyncExitStack() as stack:
        primary = await stack.enter_async_context(redis_server())
        replica = await stack.enter_async_context(redis_server())
        network = await stack.enter_async_context(ToxicProxy("127.0.0.1", primary.port))
        behind = await stack.enter_async_context(ToxicProxy("127.0.0.1", primary.port))
        await replica.ask("REPLICAOF", "127.0.0.1", behind.port)
        yield Pair(primary, replica, network, behind, stack)


async def streaming(store: RedisStore) -> Call:
    call = Call(call_sid=SID, from_="+14155550134", to="+1", agent="reception", started_at_s=time.time())
    await store.open(call)
    call = await store.claim(await store.issue_token(call, time.time()), time.time())
    call.begin_stream(1)
    return call


async def told_to(store: RedisStore) -> list[str]:
    """What another worker would go on from."""
    call = await store.find(SID)
    if call is None or call.talk is None:
        return []
    items = call.talk.snapshot(SessionConfig(), USUAL).items
    said = [part for item in items if isinstance(item, Message) for part in item.content]
    return [part.text for part in said if isinstance(part, InputText)]


async def events_of(store: RedisStore) -> list[str]:
    reading = await store.journal(SID)
    assert reading is not None
    return [event["event"] for event in await reading.read()]


@pytest.mark.parametrize("is_idle", [True, False], ids=["nothing changes any more", "the talk goes on"])
async def test_a_replica_that_lacks_the_last_moments_is_told_them_again_and_each_event_once(is_idle: bool) -> None:
    async with pair() as here:
        one, two = await here.worker("one"), await here.worker("two")
        call, talk = await streaming(one), Talk()
        talk.say("My number is 4711.")
        async with one.attend(call, talk.snapshot, lambda: None) as attended:
            attended.journal.append({"event": "first", "at_s": 1.0})
            assert await one.copies.settle(SID)
            await here.replicated()
            here.behind.poison(down=Toxics(latency_ms=60_000))
            talk.say("And my name is Ada.")
            attended.journal.append({"event": "second", "at_s": 2.0})
            assert await one.copies.settle(SID), "the primary has confirmed it"
            assert not await _same(here.primary, here.replica)
            await here.fail_over()
            expected = ["My number is 4711.", "And my name is Ada."]
            if not is_idle:
                talk.say("Hello?")
                attended.touch()
                expected.append("Hello?")
            await until(lambda: _is(told_to(two), expected))
            await until(lambda: _is(events_of(two), ["first", "second"]))


async def _is(asked: Awaitable[list[str]], wanted: list[str]) -> bool:
    try:
        return await asked == wanted
    except StoreUnavailable:
        return False


async def _full(server: RedisServer) -> None:
    await server.ask("CONFIG", "SET", "maxmemory", "1")


async def _roomy(server: RedisServer) -> None:
    await server.ask("CONFIG", "SET", "maxmemory", "0")


async def _unsaved(server: RedisServer) -> None:
    """Its disk cannot be written, and it refuses to lose what it is told."""
    await server.ask("CONFIG", "SET", "save", "3600 1")
    await server.ask("CONFIG", "SET", "dir", "/proc")
    await server.ask("BGSAVE")

    async def failed() -> bool:
        told = await server.ask("INFO", "persistence")
        assert isinstance(told, dict)
        return bool(told["rdb_last_bgsave_status"] == "err")

    await until(failed)


async def _saved(server: RedisServer) -> None:
    await server.ask("CONFIG", "SET", "save", "")


async def _demoted(server: RedisServer) -> None:
    await server.ask("REPLICAOF", "127.0.0.1", 1)


async def _severed(server: RedisServer) -> None:
    await server.ask("CONFIG", "SET", "replica-serve-stale-data", "no")
    await _demoted(server)


async def _promoted(server: RedisServer) -> None:
    await server.ask("REPLICAOF", "NO", "ONE")


async def _unscripted(server: RedisServer) -> None:
    await server.ask("SCRIPT", "FLUSH")


async def _nothing(_server: RedisServer) -> None:
    pass


@pytest.mark.parametrize(
    ("refuse", "relent", "words"),
    [
        pytest.param(_full, _roomy, "maxmemory", id="OOM"),
        pytest.param(_unsaved, _saved, "MISCONF", id="MISCONF"),
        pytest.param(_demoted, _promoted, "read only", id="READONLY"),
        pytest.param(_severed, _promoted, "MASTER", id="MASTERDOWN"),
        pytest.param(_unscripted, _nothing, "", id="NOSCRIPT"),
    ],
)
async def test_what_a_redis_refuses_to_write_is_kept_here_and_written_when_it_relents(
    refuse: Callable[[RedisServer], Awaitable[None]], relent: Callable[[RedisServer], Awaitable[None]], words: str
) -> None:
    async with asyncio.timeout(LIMIT_S), AsyncExitStack() as stack:
        server = await stack.enter_async_context(redis_server(config={"enable-protected-configs": "yes"}))
        network = await stack.enter_async_context(ToxicProxy("127.0.0.1", server.port))
        here = Pair(server, server, network, network, stack)
        one, two = await here.worker("one"), await here.worker("two")
        call, talk = await streaming(one), Talk()
        talk.say("My number is 4711.")
        async with one.attend(call, talk.snapshot, lambda: None):
            assert await one.copies.settle(SID)
            await refuse(server)
            if words:
                with pytest.raises(RedisUnavailable, match=words):
                    await one._link.script(WITNESS, ["test"], [1, 60_000])
            talk.say("And my name is Ada.")
            assert await one.copies.settle(SID) is (not words)
            await relent(server)
            await until(lambda: _is(told_to(two), ["My number is 4711.", "And my name is Ada."]))
