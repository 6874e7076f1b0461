from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from redis.asyncio.connection import AbstractConnection

from gateway.redis import subscription
from gateway.redis.address import read_address
from gateway.redis.connections import Connections
from gateway.redis.subscription import messages
from simulator.toxic_proxy import ToxicProxy
from simulator.toxics import Toxics
from tests.redis_server import redis_server

pytestmark = pytest.mark.anyio

LIMIT_S = 60.0


@dataclass
class Listener:
    """Somebody on the channel `orders`."""

    heard: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    told: asyncio.Queue[bool] = field(default_factory=asyncio.Queue)

    async def listen(self, url: str, is_sharded: bool = False) -> None:
        connections = Connections(read_address(url))

        async def connect() -> AbstractConnection:
            return connections.single()

        stream = messages(
            connect,
            "orders",
            is_sharded=is_sharded,
            told=self.told.put_nowait,
            where="r",
        )
        async with aclosing(stream):
            async for message in stream:
                self.heard.put_nowait(message)


@asynccontextmanager
async def listening(url: str, is_sharded: bool = False) -> AsyncIterator[Listener]:
    listener = Listener()
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
        task = group.create_task(listener.listen(url, is_sharded))
        yield listener
        task.cancel()


async def test_messages_come_in_their_order_as_bytes() -> None:
    async with redis_server() as server, listening(server.url) as listener:
        assert await listener.told.get()
        for number in range(100):
            await server.ask("PUBLISH", "orders", b"\xff%d" % number)
        assert [await listener.heard.get() for _ in range(100)] == [b"\xff%d" % n for n in range(100)]


async def test_it_is_mended_after_redis_was_killed_and_says_so() -> None:
    async with redis_server() as server, listening(server.url) as listener:
        assert await listener.told.get() is True
        for round_ in range(2):
            server.kill()
            assert await listener.told.get() is False
            await server.restart()
            assert await listener.told.get() is True
            await server.ask("PUBLISH", "orders", str(round_))
            assert await listener.heard.get() == str(round_).encode()


async def test_it_waits_for_a_redis_that_is_not_there_yet() -> None:
    async with redis_server() as server:
        server.kill()
        async with listening(server.url) as listener:
            await asyncio.wait_for(asyncio.shield(server.restart()), LIMIT_S)
            assert await listener.told.get() is True


async def test_a_quiet_channel_is_kept_and_a_silent_redis_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription, "QUIET_S", 0.05)
    monkeypatch.setattr(subscription, "JOIN_LIMIT_S", 0.2)
    async with redis_server() as server, ToxicProxy("127.0.0.1", server.port) as proxy:
        async with listening(f"redis://127.0.0.1:{proxy.port}") as listener:
            assert await listener.told.get() is True
            # Some quiet times long: its questions are answered.
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.4):
                    await listener.told.get()
            await server.ask("PUBLISH", "orders", "still here")
            assert await listener.heard.get() == b"still here"
            proxy.poison(down=Toxics(is_blackhole=True))
            assert await listener.told.get() is False
            proxy.cut()
            proxy.heal()
            assert await listener.told.get() is True
            await server.ask("PUBLISH", "orders", "again")
            assert await listener.heard.get() == b"again"


async def test_a_stopped_redis_is_left_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription, "QUIET_S", 0.05)
    monkeypatch.setattr(subscription, "JOIN_LIMIT_S", 0.2)
    async with redis_server() as server, listening(server.url) as listener:
        assert await listener.told.get() is True
        server.stop_signal()
        assert await listener.told.get() is False
        server.cont()
        assert await listener.told.get() is True


async def test_who_leaves_is_no_subscriber_any_longer() -> None:
    async with redis_server() as server:
        async with listening(server.url) as listener:
            assert await listener.told.get() is True
            assert await server.ask("PUBLISH", "orders", "x") == 1
        async with asyncio.timeout(LIMIT_S):
            while True:
                if await server.ask("PUBLISH", "orders", "x") == 0:
                    break
                await asyncio.sleep(0.01)


async def test_a_slot_that_moves_away_is_followed() -> None:
    async with redis_server(cluster=True) as server, listening(server.url, is_sharded=True) as listener:
        assert await listener.told.get() is True
        assert await server.ask("SPUBLISH", "orders", b"one") == 1
        assert await listener.heard.get() == b"one"
        slot = await server.ask("CLUSTER", "KEYSLOT", "orders")
        assert isinstance(slot, int)
        await server.ask("CLUSTER", "DELSLOTS", slot)
        assert await listener.told.get() is False
        await server.ask("CLUSTER", "ADDSLOTS", slot)
        assert await listener.told.get() is True


async def test_a_wrong_password_is_logged_without_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logged = asyncio.Event()
    watch = logging.Handler()
    watch.emit = lambda record: logged.set()  # type: ignore[method-assign]
    subscription.log.addHandler(watch)
    try:
        async with redis_server(config={"requirepass": "sesame"}) as server:
            async with listening(server.url_as("", "open-wheat")) as listener:
                await logged.wait()
                assert listener.told.empty()
    finally:
        subscription.log.removeHandler(watch)
    assert "check REDIS_URL" in caplog.text
    assert "wheat" not in caplog.text and "sesame" not in caplog.text
