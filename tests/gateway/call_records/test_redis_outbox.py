from __future__ import annotations

import asyncio
import time

import pytest

from gateway.call_records.outbox import OutboxUnavailable
from gateway.call_records.redis_outbox import RedisOutbox
from gateway.redis.link import RedisLink
from tests.gateway.call_records.support import BEGAN_S, LIMIT_S, sid
from tests.redis_server import redis_server

pytestmark = pytest.mark.anyio


async def test_every_key_expires_and_none_of_another_deployment_is_seen() -> None:
    async with asyncio.timeout(LIMIT_S), redis_server() as server:
        link = RedisLink(server.url, now=time.monotonic)
        box, other = RedisOutbox(link, "test"), RedisOutbox(link, "staging")
        for number in range(3):
            await box.put(sid(number), b"{}", BEGAN_S)
        taken, refused, _ = await box.claim(BEGAN_S, most=3, lease_s=10)
        await box.deliver(taken, BEGAN_S)
        await box.bury(refused, "HTTP 410", BEGAN_S)
        assert (await other.fill()).waiting == 0
        names = await server.ask("KEYS", "*")
        assert isinstance(names, list)
        assert len(names) == 5
        for name in names:
            assert int(str(await server.ask("TTL", name))) > 0
        await link.aclose()


async def test_of_what_is_delivered_nothing_is_kept_but_that_it_was() -> None:
    async with asyncio.timeout(LIMIT_S), redis_server() as server:
        link = RedisLink(server.url, now=time.monotonic)
        box = RedisOutbox(link, "test")
        await box.put(sid(1), b"{}", BEGAN_S)
        for letter in await box.claim(BEGAN_S, most=1, lease_s=10):
            await box.deliver(letter, BEGAN_S)
        assert await server.ask("KEYS", "*") == [box.done.encode()]
        await link.aclose()


async def test_a_letter_without_its_words_is_forgotten() -> None:
    async with asyncio.timeout(LIMIT_S), redis_server() as server:
        link = RedisLink(server.url, now=time.monotonic)
        box = RedisOutbox(link, "test")
        await box.put(sid(1), b"{}", BEGAN_S)
        await server.ask("DEL", box.letters)
        assert await box.claim(BEGAN_S, most=1, lease_s=10) == []
        assert (await box.fill()).waiting == 0
        await link.aclose()


async def test_without_redis_everything_says_so_and_a_strange_key_too() -> None:
    async with asyncio.timeout(LIMIT_S), redis_server() as server:
        link = RedisLink(server.url, now=time.monotonic)
        box = RedisOutbox(link, "test")
        await server.ask("SET", box.due, "no sorted set")
        for act in (box.put(sid(1), b"{}", BEGAN_S), box.fill()):
            with pytest.raises(OutboxUnavailable):
                await act
        server.kill()
        with pytest.raises(OutboxUnavailable):
            await box.put(sid(1), b"{}", BEGAN_S)
        with pytest.raises(OutboxUnavailable):
            await box.dead()
        await link.aclose()
