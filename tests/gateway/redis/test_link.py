from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import SettingsError
from gateway.redis.connections import MOST_CONNECTIONS
from gateway.redis.link import OPEN_S, OPERATION_LIMIT_S, RedisLink, RedisRefused, RedisUnavailable
from gateway.redis.script import Call, Command, Script, ScriptCall
from pipeline.legs.breaker import FAILURES_IN_A_ROW
from simulator.toxic_proxy import ToxicProxy
from simulator.toxics import Ending, Toxics
from tests.certificates import Authority
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.anyio

LIMIT_S = 60.0
AGAIN_S = 0.02

ADD = Script("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])")
FAIL = Script("fail", "return redis.error_reply('ERR not like this')")


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Seen:
    """What the link told of its operations."""

    told: list[tuple[str, float, bool]] = field(default_factory=list)

    def __call__(self, op: str, seconds: float, ok: bool) -> None:
        self.told.append((op, seconds, ok))


def always_trying() -> Callable[[], float]:
    """A clock by which a second passes whenever it is read: the circuit never keeps anybody out."""
    seconds = itertools.count(0.0, OPEN_S)
    return lambda: next(seconds)


@asynccontextmanager
async def linked(url: str, **options: Any) -> AsyncIterator[RedisLink]:
    link = RedisLink(url, **({"now": asyncio.get_running_loop().time} | options))
    try:
        async with asyncio.timeout(LIMIT_S):
            yield link
    finally:
        await link.aclose()


@asynccontextmanager
async def poisoned(
    server: RedisServer, seed: int = 1, **options: Any
) -> AsyncIterator[tuple[ToxicProxy, RedisLink]]:
    """A link through a bad network."""
    async with ToxicProxy("127.0.0.1", server.port, seed=seed) as proxy:
        async with linked(server.url.replace(str(server.port), str(proxy.port)), **options) as link:
            yield proxy, link


async def answered(link: RedisLink) -> None:
    """Wait until Redis answers the link again."""
    while True:
        try:
            await link.run("PING", op="ping")
            return
        except RedisUnavailable:
            await asyncio.sleep(AGAIN_S)


async def _until(asked: Callable[[], Awaitable[object]], wanted: object) -> None:
    """What Redis tells nobody of, it must be asked for."""
    while True:
        if await asked() == wanted:
            return
        await asyncio.sleep(AGAIN_S)


async def opened(link: RedisLink) -> None:
    for _ in range(FAILURES_IN_A_ROW):
        assert not link.is_open
        with pytest.raises(RedisUnavailable):
            await link.run("PING", op="ping")
    assert link.is_open


@pytest.mark.parametrize("kind", ["plain", "unix", "tls", "cluster", "cluster, tls"])
async def test_bytes_go_in_and_come_out_wherever_redis_stands(kind: str) -> None:
    async with redis_server(unix=kind == "unix", tls="tls" in kind, cluster="cluster" in kind) as server:
        seen = Seen()
        ca = server.ca if server.is_tls else ""
        async with linked(server.url, cluster=server.is_cluster, ca=ca, observe=seen) as link:
            # What connects for the first time has the same limit as the rest; a busy machine may not make it.
            await answered(link)
            seen.told.clear()
            await link.run("SET", "{k}", b"\xff\x00", op="keep")
            assert await link.run("GET", "{k}", op="look") == b"\xff\x00"
            assert await link.script(ADD, ["{k}n"], [2]) == 2
            results = await link.batch(
                [
                    ScriptCall(ADD, ["{k}n"], [3]),
                    Command("LPUSH", ("{k}n", "x")),
                    Command("GET", ("{other}",)),
                    ScriptCall(FAIL, ["{k}"]),
                ],
                op="many",
            )
            assert results[0] == 5 and results[2] is None
            assert isinstance(results[1], RedisRefused) and "WRONGTYPE" in str(results[1])
            assert isinstance(results[3], RedisRefused) and "not like this" in str(results[3])
            assert [(op, ok) for op, _, ok in seen.told] == [
                ("keep", True),
                ("look", True),
                ("add", True),
                ("many", True),
            ]
            assert not link.is_open


async def test_an_empty_batch_asks_nobody() -> None:
    async with linked("redis://127.0.0.1:1") as link:
        assert await link.batch([]) == []


async def test_a_script_redis_does_not_know_is_given_to_it_also_in_a_batch() -> None:
    async with redis_server() as server, linked(server.url) as link:
        assert await link.script(ADD, ["k"], [1]) == 1
        await server.ask("SCRIPT", "FLUSH")
        assert await link.script(ADD, ["k"], [1]) == 2
        await server.ask("SCRIPT", "FLUSH")
        calls: list[Call] = [ScriptCall(ADD, ["k"], [1]), Command("GET", ("other",)), ScriptCall(ADD, ["k"], [1])]
        assert sorted(result or 0 for result in await link.batch(calls)) == [0, 3, 4]


async def test_an_error_of_one_command_is_refused_and_the_circuit_stays_closed() -> None:
    async with redis_server() as server:
        seen = Seen()
        async with linked(server.url, observe=seen) as link:
            for _ in range(2 * FAILURES_IN_A_ROW):
                with pytest.raises(RedisRefused, match="foo: Redis at .* refused it .*unknown command"):
                    await link.run("NOSUCH", "sesame", op="foo")
                with pytest.raises(RedisRefused, match="NOSCRIPT|No matching script"):
                    await link.run("EVALSHA", "0" * 40, 0, op="foo")
            assert not link.is_open
            assert all(ok for _, _, ok in seen.told)


async def test_a_redis_that_is_stopped_costs_its_limit_and_then_nothing() -> None:
    async with redis_server() as server:
        seen, clock = Seen(), Clock()
        loop = asyncio.get_running_loop()
        async with linked(server.url, now=lambda: clock.now_s + loop.time(), observe=seen) as link:
            await link.run("PING", op="ping")
            server.stop_signal()
            seen.told.clear()
            await opened(link)
            assert len(seen.told) == FAILURES_IN_A_ROW
            # Above: a loop that is late. That there is an end is shown by redis-py's own limit, 5 s.
            assert all(OPERATION_LIMIT_S * 0.99 <= seconds < 2.0 and not ok for _, seconds, ok in seen.told)
            for _ in range(100):
                with pytest.raises(RedisUnavailable, match="did not answer of late"):
                    await link.run("PING", op="ping")
            assert len(seen.told) == FAILURES_IN_A_ROW, "nobody was asked"
            clock.now_s += OPEN_S
            tries = await asyncio.gather(*(link.run("PING", op="ping") for _ in range(50)), return_exceptions=True)
            assert all(isinstance(one, RedisUnavailable) for one in tries)
            assert len(seen.told) == FAILURES_IN_A_ROW + 1, "one was let through"
            server.cont()
            clock.now_s += OPEN_S
            await answered(link)
            assert not link.is_open


async def test_a_slow_command_is_given_up_and_redis_used_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with redis_server() as server, linked(server.url) as link:
        for _ in range(FAILURES_IN_A_ROW):
            with pytest.raises(RedisUnavailable, match="within 200 ms"):
                await link.run("DEBUG", "SLEEP", "0.4", op="sleep")
        await answered(link)
        words = [record.getMessage() for record in caplog.records if record.name == "gateway.redis.link"]
        assert [word.partition(" ")[2].partition(" at")[0] for word in words] == ["Redis", "Redis"]
        assert "does not answer" in words[0] and "answers again" in words[1]


async def test_a_redis_that_was_killed_and_comes_back_empty_is_used_again() -> None:
    async with redis_server() as server, linked(server.url) as link:
        assert await link.script(ADD, ["k"], [7]) == 7
        server.kill()
        await opened(link)
        await server.restart()
        await answered(link)
        assert await link.script(ADD, ["k"], [1]) == 1


def refused(proxy: ToxicProxy) -> None:
    proxy.refuse()
    proxy.cut()


FAULTS: Mapping[str, Callable[[ToxicProxy], None]] = {
    "blackhole": lambda proxy: proxy.poison(up=Toxics(is_blackhole=True)),
    "no answers": lambda proxy: proxy.poison(down=Toxics(is_blackhole=True)),
    "latency": lambda proxy: proxy.poison(down=Toxics(latency_ms=5_000)),
    "bandwidth": lambda proxy: proxy.poison(down=Toxics(bandwidth_kbps=0.01)),
    "reset": lambda proxy: proxy.poison(up=Toxics(ending=Ending.RESET)),
    "reset mid-reply": lambda proxy: proxy.poison(down=Toxics(ending=Ending.RESET, after_bytes=3)),
    "cut mid-reply": lambda proxy: proxy.poison(down=Toxics(ending=Ending.CUT, after_bytes=3)),
    "half-close": lambda proxy: proxy.poison(down=Toxics(ending=Ending.HALF_CLOSE)),
    "refused": refused,
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_bad_network_is_told_in_time_opens_the_circuit_and_is_got_over(fault: str) -> None:
    async with redis_server() as server, poisoned(server) as (proxy, link):
        await link.run("PING", op="ping")
        FAULTS[fault](proxy)
        await opened(link)
        with pytest.raises(RedisUnavailable):
            await link.batch([Command("PING"), Command("PING")])
        proxy.heal()
        proxy.accept()
        await answered(link)
        assert await link.batch([Command("ECHO", (b"x",)), Command("ECHO", (b"y",))]) == [b"x", b"y"]


async def test_replies_in_small_pieces_are_put_together() -> None:
    async with redis_server() as server, poisoned(server) as (proxy, link):
        proxy.poison(up=Toxics(slice_bytes=5), down=Toxics(slice_bytes=1))
        assert await link.run("ECHO", b"one two three", op="echo") == b"one two three"


async def test_a_reply_that_comes_late_is_never_taken_for_another() -> None:
    """1,000 commands of 25 callers at a time; each answer must be that caller's, or none."""
    rng = random.Random(7)
    came = {"right": 0, "none": 0}

    async def caller(link: RedisLink, name: int) -> None:
        for place in range(40):
            word = f"{name}/{place}".encode()
            await asyncio.sleep(rng.random() / 100)
            try:
                if place % 3:
                    replies = [await link.run("ECHO", word, op="echo")]
                else:
                    replies = await link.batch([Command("ECHO", (word,)), Command("ECHO", (word,))])
            except RedisUnavailable:
                came["none"] += 1
            else:
                assert set(replies) == {word}
                came["right"] += 1

    async with redis_server() as server, poisoned(server, now=always_trying()) as (proxy, link):
        proxy.poison(up=Toxics(slice_bytes=20), down=Toxics(latency_ms=120, jitter_ms=120))
        async with asyncio.TaskGroup() as callers:
            for name in range(25):
                callers.create_task(caller(link, name))
        assert sum(came.values()) == 1_000
        assert min(came.values()) > 20, f"both must have happened: {came}"
        proxy.heal()
        assert await link.run("ECHO", b"end", op="echo") == b"end"


async def test_however_many_ask_the_connections_are_bounded() -> None:
    async with redis_server() as server, poisoned(server) as (proxy, link):
        replies = await asyncio.gather(
            *(link.run("ECHO", str(n), op="echo") for n in range(100)), return_exceptions=True
        )
        assert [int(reply) for reply in replies if isinstance(reply, bytes)] == [
            n for n, reply in enumerate(replies) if isinstance(reply, bytes)
        ]
        server.stop_signal()
        tries = await asyncio.gather(*(link.run("PING", op="ping") for _ in range(300)), return_exceptions=True)
        server.cont()
        assert all(isinstance(one, RedisUnavailable) for one in tries)
        # Each that timed out was closed, and who waited for it may have had time to open another.
        assert proxy.accepted <= 2 * MOST_CONNECTIONS


async def test_a_caller_who_hangs_up_says_nothing_about_redis() -> None:
    async with redis_server() as server:
        seen = Seen()
        async with linked(server.url, observe=seen) as link:
            server.stop_signal()
            for _ in range(2 * FAILURES_IN_A_ROW):
                asking = asyncio.ensure_future(link.run("PING", op="ping"))
                await asyncio.wait([asking], timeout=AGAIN_S)
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
            server.cont()
            assert not link.is_open and seen.told == []
            assert await link.run("ECHO", b"me", op="echo") == b"me"


@pytest.mark.parametrize("cluster", [False, True])
async def test_a_wrong_password_is_told_without_it(cluster: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    config = {"requirepass": "sesame", "user": "worker on >barley ~ours:* &* +@all -flushall"}
    async with redis_server(config=config, cluster=cluster) as server:
        for url in (server.url_as("", "open-wheat"), server.url_as("worker", "open-rye")):
            async with linked(url, cluster=cluster) as link:
                with pytest.raises(RedisUnavailable, match="refused the user or the password.*REDIS_URL") as error:
                    await _first_word(link)
                assert not isinstance(error.value, RedisRefused)
                assert error.value.__cause__ is None
                assert "open" not in str(error.value) and "open-" not in caplog.text
        async with linked(f"redis://127.0.0.1:{server.port}", cluster=cluster) as link:
            with pytest.raises(RedisUnavailable, match="Authentication required"):
                await _first_word(link)
        async with linked(server.url_as("worker", "barley"), cluster=cluster) as link:
            await answered(link)
            await link.run("SET", "ours:k", 1, op="keep")
            with pytest.raises(RedisRefused, match="does not permit it"):
                await link.run("SET", "theirs:k", 1, op="keep")
        assert "sesame" not in caplog.text and "barley" not in caplog.text


async def _first_word(link: RedisLink) -> None:
    """Raises what Redis said, not that it took long: the first look at a cluster may, on a busy machine."""
    for _ in range(FAILURES_IN_A_ROW - 1):
        try:
            await link.run("GET", "ours:k", op="look")
        except RedisUnavailable as error:
            if "did not answer" not in str(error):
                raise
    await link.run("GET", "ours:k", op="look")


async def test_only_a_certificate_of_the_own_authority_is_believed(tmp_path: Path) -> None:
    async with redis_server(tls=True) as server:
        async with linked(server.url, ca=server.ca) as link:
            await answered(link)
        other = tmp_path / "ca.pem"
        other.write_bytes(Authority("somebody else").pem)
        for ca in (str(other), ""):
            async with linked(server.url, ca=ca) as link:
                with pytest.raises(RedisUnavailable, match="certificate verify failed"):
                    await link.run("PING", op="ping")
        async with linked(server.url.replace("rediss", "redis")) as link:
            with pytest.raises(RedisUnavailable):
                await link.run("PING", op="ping")


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_file_of_authorities_that_cannot_be_read_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match="SWITCHBOARD_REDIS_CA: .*ca.pem cannot be read"):
        RedisLink("rediss://r", ca=str(path), now=Clock())


@pytest.mark.parametrize("url", ["unix:///run/r.sock", "redis://r/1"])
def test_a_cluster_has_no_socket_and_no_databases(url: str) -> None:
    with pytest.raises(ValueError, match="Cluster"):
        RedisLink(url, cluster=True, now=Clock())


async def test_a_replica_that_takes_over_is_found_behind_the_same_address() -> None:
    async with redis_server() as old, redis_server() as new, poisoned(old) as (proxy, link):
        assert await link.script(ADD, ["k"], [5]) == 5
        await new.ask("REPLICAOF", "127.0.0.1", old.port)
        await _until(lambda: new.ask("GET", "k"), b"5")
        old.kill()
        proxy.cut()
        await new.ask("REPLICAOF", "NO", "ONE")
        proxy.point_at("127.0.0.1", new.port)
        await answered(link)
        assert await link.script(ADD, ["k"], [1]) == 6


async def test_a_primary_that_became_a_replica_is_left_for_the_new_one() -> None:
    """Its connections live on, and answer READONLY for ever; the name leads elsewhere by now."""
    async with redis_server() as old, redis_server() as new, poisoned(old) as (proxy, link):
        await link.run("SET", "k", 1, op="keep")
        await old.ask("REPLICAOF", "127.0.0.1", new.port)
        proxy.point_at("127.0.0.1", new.port)
        with pytest.raises(RedisUnavailable, match="read only") as error:
            await link.run("SET", "k", 2, op="keep")
        assert not isinstance(error.value, RedisRefused)
        assert await link.run("SET", "k", 3, op="keep")
        assert await new.ask("GET", "k") == b"3"


async def test_a_redis_that_reads_its_disk_counts_as_down_until_it_has_read_it() -> None:
    """LOADING: it accepts and answers, with that word to everything."""
    slow = {"key-load-delay": "1500", "loading-process-events-interval-bytes": "1024"}
    async with redis_server(config=slow) as server, linked(server.url, now=always_trying()) as link:
        await link.run("DEBUG", "POPULATE", 1_000, op="keep")
        await server.ask("SAVE")
        restarting = asyncio.create_task(server.restart(empty=False))
        words = ""
        while "loading" not in words:
            try:
                await link.run("SET", "k", 1, op="keep")
            except RedisUnavailable as error:
                assert not isinstance(error, RedisRefused)
                words = str(error)
            await asyncio.sleep(AGAIN_S)
        await restarting
        await answered(link)
        assert await link.run("DBSIZE", op="look") >= 1_000


@pytest.mark.parametrize("is_script", [False, True])
async def test_a_full_redis_refuses_what_is_written_and_is_still_read(is_script: bool) -> None:
    async with redis_server() as server, linked(server.url) as link:
        await link.run("SET", "k", 1, op="keep")
        await server.ask("CONFIG", "SET", "maxmemory", "1")
        for _ in range(FAILURES_IN_A_ROW):
            with pytest.raises(RedisRefused, match="maxmemory"):
                await (link.script(ADD, ["k"], [1]) if is_script else link.run("SET", "k", 2, op="keep"))
        assert not link.is_open
        assert await link.run("GET", "k", op="look") == b"1"


@pytest.mark.parametrize("is_script", [False, True])
async def test_a_replica_without_its_primary_and_one_that_may_not_write_are_down_for_scripts_too(
    is_script: bool,
) -> None:
    async with redis_server() as server, linked(server.url, now=always_trying()) as link:
        assert await link.script(ADD, ["k"], [1]) == 1

        async def write() -> object:
            return await (link.script(ADD, ["k"], [1]) if is_script else link.run("INCR", "k", op="keep"))

        await server.ask("REPLICAOF", "127.0.0.1", 1)
        for stale, words in (("yes", "read only"), ("no", "MASTER")):
            await server.ask("CONFIG", "SET", "replica-serve-stale-data", stale)
            with pytest.raises(RedisUnavailable, match=words if is_script else "read only") as error:
                await write()
            assert not isinstance(error.value, RedisRefused)
            with pytest.raises(RedisUnavailable, match=words):
                await link.batch([ScriptCall(ADD, ["k"], [1])])
        with pytest.raises(RedisUnavailable, match="MASTER"):
            await link.run("GET", "k", op="look")
        await server.ask("REPLICAOF", "NO", "ONE")
        assert await write() == 2


async def test_a_batch_of_which_every_part_is_refused_by_a_replica_counts_as_down() -> None:
    async with redis_server() as old, redis_server() as new, linked(old.url) as link:
        await old.ask("REPLICAOF", "127.0.0.1", new.port)
        with pytest.raises(RedisUnavailable, match="read only"):
            await link.batch([Command("SET", ("k", 1)), Command("SET", ("k", 2))])
        results = await link.batch([Command("SET", ("k", 1)), Command("ECHO", (b"x",))])
        assert isinstance(results[0], RedisUnavailable) and results[1] == b"x"


async def test_in_a_cluster_what_needs_two_nodes_or_no_key_is_refused_by_name() -> None:
    async with redis_server(cluster=True) as server, linked(server.url, cluster=True) as link:
        await answered(link)
        for words in (("MGET", "{a}", "{b}"), ("TOUCH",)):
            with pytest.raises(RedisRefused, match="one hash tag|refused"):
                await link.run(*words, op="look")
        assert not link.is_open


async def test_a_cluster_that_is_none_says_so() -> None:
    async with redis_server() as server, linked(server.url, cluster=True) as link:
        with pytest.raises(RedisUnavailable, match="Cluster mode is not enabled"):
            await _first_word(link)


async def test_a_cluster_survives_being_stopped_and_being_killed() -> None:
    async with redis_server(cluster=True) as server, linked(server.url, cluster=True) as link:
        await answered(link)
        assert await link.script(ADD, ["{k}"], [1]) == 1
        server.stop_signal()
        await opened(link)
        server.cont()
        await answered(link)
        assert await link.script(ADD, ["{k}"], [1]) == 2
        server.kill()
        await opened(link)
        await server.restart()
        await answered(link)
        assert await link.script(ADD, ["{k}"], [1]) == 1
        server.kill()
        with pytest.raises(RedisUnavailable):
            await link.batch([Command("GET", ("a",)), Command("GET", ("b",))])


@pytest.mark.parametrize("cluster", [False, True])
async def test_what_is_published_reaches_who_listens_and_is_counted(cluster: bool) -> None:
    async with redis_server(cluster=cluster) as server, linked(server.url, cluster=cluster) as link:
        await answered(link)
        assert await link.publish("orders", b"nobody") == 0
        joined = asyncio.Event()
        async with aclosing(link.subscribe("orders", told=lambda is_on: joined.set())) as heard:
            first = asyncio.ensure_future(anext(heard))
            await joined.wait()
            assert await link.publish("orders", b"\xffone") == 1
            assert await first == b"\xffone"
        await _until(lambda: link.publish("orders", b"nobody"), 0)


async def test_a_slot_that_moves_takes_its_listeners_along() -> None:
    async with redis_server(cluster=True) as server, linked(server.url, cluster=True) as link:
        await answered(link)
        told: asyncio.Queue[bool] = asyncio.Queue()
        async with aclosing(link.subscribe("orders", told=told.put_nowait)) as heard:
            first = asyncio.ensure_future(anext(heard))
            assert await told.get() is True
            slot = await server.ask("CLUSTER", "KEYSLOT", "orders")
            assert isinstance(slot, int)
            await server.ask("CLUSTER", "DELSLOTS", slot)
            assert await told.get() is False
            await server.ask("CLUSTER", "ADDSLOTS", slot)
            assert await told.get() is True
            await _until(lambda: _published(link), 1)
            assert await first == b"moved"


async def _published(link: RedisLink) -> int:
    try:
        return await link.publish("orders", b"moved")
    except RedisUnavailable:
        return 0


async def test_a_redis_that_hangs_does_not_hold_the_closing_under_tls() -> None:
    async with redis_server(tls=True) as server:
        link = RedisLink(server.url, ca=server.ca, now=asyncio.get_running_loop().time)
        await answered(link)
        server.stop_signal()
        async with asyncio.timeout(LIMIT_S / 4):
            await link.aclose()
        server.cont()


async def test_closing_needs_no_connection_and_can_be_done_twice() -> None:
    async with redis_server(cluster=True) as server:
        link = RedisLink(server.url, cluster=True, now=Clock())
        await link.aclose()
        await answered(link)
        await link.aclose()
        await link.aclose()
        # Closed while it is still learning where its nodes are.
        asking = asyncio.ensure_future(link.run("GET", "k", op="look"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await link.aclose()
        with pytest.raises((asyncio.CancelledError, RedisUnavailable)):
            await asking
    assert link.where == f"127.0.0.1:{server.port}"
