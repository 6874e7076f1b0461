"""The feed of many workers, in a real Redis: what each tells, all see, once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.calls import redis_feed
from gateway.calls.feed import GAP, Place, place_of
from gateway.calls.keys import Keys
from gateway.calls.redis_feed import FEED, MOST_AT_ONCE, RedisFeed
from gateway.errors import StoreUnavailable
from gateway.redis.link import OPEN_S, RedisLink, RedisUnavailable
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.anyio

KEYS = Keys("test")
LIMIT_S = 20.0


@dataclass
class Deployment:
    server: RedisServer
    stack: AsyncExitStack

    def link(self) -> RedisLink:
        link = RedisLink(self.server.url, cluster=self.server.is_cluster, now=time.monotonic)
        self.stack.push_async_callback(link.aclose)
        return link

    def worker(self, name: str, **options: Any) -> RedisFeed:
        return RedisFeed(self.link(), KEYS, name, **options)


@asynccontextmanager
async def deployment(*, cluster: bool = False) -> AsyncIterator[Deployment]:
    async with asyncio.timeout(LIMIT_S), redis_server(cluster=cluster) as server, AsyncExitStack() as stack:
        yield Deployment(server, stack)


async def tell(feed: RedisFeed, *numbers: int) -> None:
    """In one entry, if there are not too many."""
    for number in numbers:
        feed.append("CA1", {"event": "e", "n": number})
    await feed.write()


def shown(events: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(event["worker"], event.get("n", -event.get("dropped", 1000))) for event in events]


def last_place(events: list[dict[str, Any]]) -> Place:
    return place_of(events[-1]["id"])


@pytest.mark.parametrize("cluster", [False, True], ids=["one", "cluster"])
async def test_what_each_worker_tells_all_read(cluster: bool) -> None:
    async with deployment(cluster=cluster) as here:
        one, two = here.worker("one"), here.worker("two")
        await tell(one, 1, 2)
        await tell(two, 3)
        await tell(one, 4)
        events = await two.read()
        assert shown(events) == [("one", 1), ("one", 2), ("two", 3), ("one", 4)]
        assert await one.read() == events
        assert {event["call_sid"] for event in events} == {"CA1"}


async def test_from_every_place_it_goes_on_with_the_next_whoever_is_asked() -> None:
    async with deployment() as here:
        one, two = here.worker("one"), here.worker("two")
        await tell(one, 1, 2, 3)
        await tell(two, 4, 5)
        await tell(one, 6)
        events = await one.read()
        for at, event in enumerate(events):
            assert await two.read(place_of(event["id"])) == events[at + 1 :]


async def test_a_follower_sees_what_comes_and_goes_on_where_redis_was_away() -> None:
    async with deployment() as here, asyncio.TaskGroup() as tasks:
        one, two = here.worker("one"), here.worker("two")
        writing = tasks.create_task(one.run())
        async with aclosing(two.follow()) as events:
            one.append("CA1", {"event": "e", "n": 1})
            assert (await anext(events))["n"] == 1
            here.server.kill()
            one.append("CA1", {"event": "e", "n": 2})
            coming = asyncio.ensure_future(anext(events))
            with pytest.raises(StoreUnavailable):
                await two.read()
            await here.server.restart()
            assert (await coming)["n"] == 2
        writing.cancel()


async def test_what_comes_twice_is_shown_once() -> None:
    async with deployment() as here:
        one, link = here.worker("one"), here.link()
        await tell(one, 1, 2)
        again = b'[{"call_sid":"CA1","event":"e","n":1},{"call_sid":"CA1","event":"e","n":2}]'
        await link.script(FEED, [KEYS.feed], ["one", 1, again, 60_000, 60_000])
        await tell(one, 3)
        events = await one.read()
        assert shown(events) == [("one", 1), ("one", 2), ("one", 3)]
        assert shown(await one.read(place_of(events[1]["id"]))) == [("one", 3)]


async def test_what_was_dropped_here_while_redis_was_away_is_told() -> None:
    async with deployment() as here:
        one = here.worker("one", limit_events=3)
        await tell(one, 1)
        here.server.stop_signal()
        with pytest.raises(RedisUnavailable):
            await tell(one, *range(2, 8))
        here.server.cont()
        await asyncio.sleep(OPEN_S)
        await one.write()
        # The first attempt may have been done all the same, once Redis went on.
        assert shown(await one.read())[-3:] == [("one", 5), ("one", 6), ("one", 7)]
        assert ("one", -3) in shown(await one.read())


async def test_where_the_last_seen_is_gone_there_is_a_gap() -> None:
    async with deployment() as here:
        one, link = here.worker("one"), here.link()
        for number in (1, 2, 3):
            await tell(one, number)
        seen = place_of((await one.read())[0]["id"])
        await link.run("XTRIM", KEYS.feed, "MAXLEN", 1, op="test")
        gap, rest = await one.read(seen)
        assert (gap, rest["n"]) == ({"event": GAP}, 3)


async def test_what_redis_lost_between_two_entries_is_told() -> None:
    async with deployment() as here:
        one, link = here.worker("one"), here.link()
        for number in (1, 2, 3):
            await tell(one, number)
        middle = place_of((await one.read())[1]["id"])
        await link.run("XDEL", KEYS.feed, middle.entry_id, op="test")
        assert shown(await one.read()) == [("one", 1), ("one", -1), ("one", 3)]


async def test_an_entry_of_another_version_is_passed_over() -> None:
    async with deployment() as here:
        one, link = here.worker("one"), here.link()
        for fields in (("odd", "1"), ("worker", "one", "first", "x", "events", "[]"), ("worker", "w", "first", 1)):
            await link.run("XADD", KEYS.feed, "*", *fields, op="test")
        await tell(one, 1)
        assert shown(await one.read()) == [("one", 1)]


async def test_many_events_make_several_entries_that_are_read_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_feed, "MOST_ENTRIES", 2)
    async with deployment() as here:
        one = here.worker("one")
        await tell(one, *range(5 * MOST_AT_ONCE))
        assert [event["n"] for event in await one.read()] == list(range(5 * MOST_AT_ONCE))
        async with aclosing(one.follow()) as events:
            assert [(await anext(events))["n"] for _ in range(5 * MOST_AT_ONCE)] == list(range(5 * MOST_AT_ONCE))


async def test_what_is_old_goes_and_all_of_it_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    async with deployment() as here:
        one, link = here.worker("one"), here.link()
        for _ in range(300):
            await tell(one, 1)
        assert await link.run("XLEN", KEYS.feed, op="test") == 300
        assert 3590 < await link.run("TTL", KEYS.feed, op="test") <= 3600
        monkeypatch.setattr(redis_feed, "KEEP_S", 0.0)
        await tell(one, 1)
        # Redis lets go of whole nodes, of a hundred entries at most.
        assert await link.run("XLEN", KEYS.feed, op="test") <= 101


async def test_an_event_that_is_no_json_does_not_keep_others_from_being_told() -> None:
    async with deployment() as here:
        one = here.worker("one")
        one.append("CA1", {"event": "odd", "text": "\ud800"})
        await tell(one, 1)
        odd, rest = await one.read()
        assert (odd["event"], "text" in odd, rest["n"]) == ("odd", False, 1)
