"""The one way to Redis: each operation has 0.2 s and no second try, and none while Redis is known to be down.

Above it stands the store of calls, which knows keys and scripts; below it redis-py. The link knows neither what is
kept nor what a caller does without it: it answers, or raises `RedisUnavailable` at once or within the limit.

An operation that timed out may have been done all the same, now or when a stopped Redis goes on. So whatever is
asked must bear being done twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError

from gateway.redis.address import read_address
from gateway.redis.cluster_map import ClusterMap
from gateway.redis.connections import MOST_CONNECTIONS, Connections
from gateway.redis.errors import FAILURES, IS_DEMOTED, explained, is_down, laid_bare
from gateway.redis.errors import RedisRefused as RedisRefused
from gateway.redis.errors import RedisUnavailable as RedisUnavailable
from gateway.redis.script import Call, Command, Script, ScriptCall, Word
from gateway.redis.subscription import messages
from pipeline.legs.breaker import Breaker, State

log = logging.getLogger(__name__)

OPERATION_LIMIT_S: Final = 0.2
"""For one operation with all its waiting: connecting, a free connection, the answer. A caller in silence notices
half a second, and Twilio waits 15 s for a webhook that may need several."""

CLOSE_LIMIT_S: Final = 1.0
"""For saying goodbye under TLS, which a server that hangs never answers."""

OPEN_S: Final = 1.0
"""Redis that failed is left alone so long, then one operation tries: one caller in a second pays a limit of 0.2 s,
and Redis is used within a second of its return."""

T = TypeVar("T")


class RedisLink:
    """One process's way to one Redis, or to a cluster. Bytes come back as bytes."""

    def __init__(
        self,
        url: str,
        *,
        cluster: bool = False,
        ca: str = "",
        now: Callable[[], float],
        observe: Callable[[str, float, bool], None] = lambda op, seconds, ok: None,
    ) -> None:
        """Connects to nothing yet. Raises `ValueError` for a URL and `SettingsError` for a `ca` that will not do.

        `ca`: path of a PEM file with the authorities that a `rediss://` server is believed by; empty: the system's.
        `now`: seconds of a monotonic clock. `observe(op, seconds, ok)`: told of every operation that was tried,
        `ok` if Redis answered, be it with an error.
        """
        address = read_address(url)
        if cluster and (address.path or address.database):
            raise ValueError("a Redis Cluster has neither a socket of this machine nor databases other than 0")
        self._where = address.where
        self._is_cluster = cluster
        self._connections = Connections(address, ca)
        self._client: Redis | RedisCluster | None = None
        self._map: ClusterMap | None = None
        self._free = asyncio.Semaphore(MOST_CONNECTIONS)
        """redis-py raises when its connections are all in use; here one waits, within the limit."""
        self._breaker = Breaker(OPEN_S)
        self._now = now
        self._observe = observe

    @property
    def is_open(self) -> bool:
        """Whether the circuit is open: an operation would fail at once."""
        return self._breaker.is_open(self._now())

    @property
    def where(self) -> str:
        """Where Redis is, fit for a log."""
        return self._where

    async def run(self, command: str, *args: Word, op: str) -> Any:
        """One command; the reply in redis-py's shape (`HGETALL` is a dict). `op` is its name in metrics and errors.

        Raises `RedisUnavailable`, of which `RedisRefused` says that Redis did answer.
        """
        return await self._attempt(op, lambda: self._ask(Command(command, args)))

    async def script(self, script: Script, keys: Sequence[str | bytes], args: Sequence[Word] = ()) -> Any:
        """What the script returns. A Redis that does not know it, is given it."""
        return await self._attempt(script.name, lambda: self._ask(ScriptCall(script, keys, args)))

    async def batch(self, calls: Sequence[Call], *, op: str = "batch") -> list[Any]:
        """Many in one round trip, not as one transaction; of each its result, or a `RedisRefused` in its place.

        They must not need each other's order: a script Redis does not know is run after the rest. In a cluster each
        call goes to its own node, and where a node does not answer, its calls have `RedisUnavailable` in their
        places. Raises `RedisUnavailable` when nothing came back at all.
        """
        if not calls:
            return []
        results = await self._attempt(op, lambda: self._ask_all(calls))
        return [explained(one, op, self._where) if isinstance(one, Exception) else one for one in results]

    async def publish(self, channel: str, message: bytes | str) -> int:
        """How many subscribers got it; a worker that should listen and does not, is away."""
        command = "SPUBLISH" if self._is_cluster else "PUBLISH"
        return int(await self.run(command, channel, message, op="publish"))

    def subscribe(
        self, channel: str, *, told: Callable[[bool], None] = lambda is_subscribed: None
    ) -> AsyncGenerator[bytes, None]:
        """What is published on the channel from now on; see `subscription.messages`. To be closed by `aclosing`."""
        return messages(
            self._connection_for(channel), channel, is_sharded=self._is_cluster, told=told, where=self._where
        )

    async def aclose(self) -> None:
        """Close what is connected. Subscriptions are closed by who opened them."""
        client, self._client = self._client, None
        cluster_map, self._map = self._map, None
        if cluster_map is not None:
            await cluster_map.aclose()
        if client is not None:
            try:
                async with asyncio.timeout(CLOSE_LIMIT_S):
                    await client.aclose()
            except FAILURES as error:
                log.debug("closing the connections to Redis: %s", type(error).__name__)

    async def _attempt(self, op: str, ask: Callable[[], Awaitable[T]]) -> T:
        began_s = self._now()
        if not self._breaker.admits(began_s):
            raise RedisUnavailable(
                f"{op}: Redis at {self._where} did not answer of late; it is tried again within {OPEN_S:g} s"
            )
        try:
            async with asyncio.timeout(OPERATION_LIMIT_S):
                async with self._free:
                    answer = await self._asked(ask)
        except TimeoutError:
            self._failed(op, began_s)
            limit_ms = round(OPERATION_LIMIT_S * 1000)
            raise RedisUnavailable(f"{op}: Redis at {self._where} did not answer within {limit_ms} ms") from None
        except FAILURES as error:
            bare = laid_bare(error)
            if is_down(bare):
                self._failed(op, began_s)
            else:
                self._answered(op, began_s)
            # Without its cause: redis-py's words may repeat what was asked.
            raise explained(bare, op, self._where) from None
        self._answered(op, began_s)
        return answer

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            return await ask()
        except IS_DEMOTED:
            if isinstance(self._client, Redis):
                await self._client.connection_pool.disconnect(inuse_connections=False)
            raise

    async def _ask(self, call: Call) -> Any:
        client = await self._ready()
        try:
            return await client.execute_command(*call.words)
        except NoScriptError:
            if not isinstance(call, ScriptCall):
                raise
            return await client.execute_command(*call.words_in_full)

    async def _ask_all(self, calls: Sequence[Call]) -> list[Any]:
        results = await self._pipelined([call.words for call in calls])
        unknown = {
            place: call.words_in_full
            for place, (call, result) in enumerate(zip(calls, results, strict=True))
            if isinstance(call, ScriptCall) and isinstance(result, NoScriptError)
        }
        if unknown:
            again = await self._pipelined(list(unknown.values()))
            for place, result in zip(unknown, again, strict=True):
                results[place] = result
        return results

    async def _pipelined(self, asked: Sequence[Sequence[Word]]) -> list[Any]:
        client = await self._ready()
        if isinstance(client, RedisCluster):
            pipeline: Any = client.pipeline()
        else:
            pipeline = client.pipeline(transaction=False)
        for words in asked:
            pipeline.execute_command(*words)
        results: list[Any] = await pipeline.execute(raise_on_error=False)
        faults = [result for result in results if isinstance(result, Exception) and is_down(result)]
        if faults and self._map is not None:
            self._map.doubt()
        if faults and len(faults) == len(results):
            raise faults[0]
        return results

    async def _ready(self) -> Redis | RedisCluster:
        if self._client is None:
            if self._is_cluster:
                self._client = self._connections.cluster_client()
                self._map = ClusterMap(self._client)
            else:
                self._client = self._connections.client()
        client = self._client
        if self._map is not None:
            await self._map.known()
        return client

    def _connection_for(self, channel: str) -> Callable[[], Awaitable[AbstractConnection]]:
        is_first = True

        async def connection() -> AbstractConnection:
            nonlocal is_first
            if self._map is not None and not is_first:
                self._map.doubt()
            is_first = False
            client = await self._ready()
            if not isinstance(client, RedisCluster):
                return self._connections.single()
            node = client.get_node_from_key(channel)
            assert node is not None, "every slot of the map has a primary"
            return self._connections.single(node.host, int(node.port))

        return connection

    def _answered(self, op: str, began_s: float) -> None:
        now_s = self._now()
        self._observe(op, now_s - began_s, True)
        if self._breaker.state is not State.CLOSED:
            log.info("= Redis at %s answers again", self._where)
        self._breaker.worked(now_s)

    def _failed(self, op: str, began_s: float) -> None:
        now_s = self._now()
        self._observe(op, now_s - began_s, False)
        if self._map is not None:
            self._map.doubt()
        was_closed = self._breaker.state is State.CLOSED
        self._breaker.failed(now_s)
        if was_closed and self._breaker.state is State.OPEN:
            log.warning("= Redis at %s does not answer; it is tried once in %g s", self._where, OPEN_S)
