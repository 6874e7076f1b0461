"""This worker among its siblings: the store of calls they share through Redis, and the list of who is there.

Without Redis there are no siblings, and the store is this process's memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from gateway.calls.feed import LocalFeed
from gateway.calls.keys import Keys
from gateway.calls.media_tokens import MediaTokens
from gateway.calls.redis_store import RedisStore
from gateway.calls.relay import Relay
from gateway.calls.seals import Seals
from gateway.calls.standing import Others
from gateway.calls.store import CallStore, MemoryStore
from gateway.calls.workers import WorkerLoad, Workers
from gateway.metrics import Metrics
from gateway.redis.link import RedisLink, RedisUnavailable
from gateway.settings import Settings
from gateway.worker_id import worker_id

INSECURE_KEY = "insecure-dev"
"""Signs media tokens where nobody checks signatures, which is on loopback only."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """See the module's docstring."""

    id: str
    """This worker's."""
    store: CallStore
    link: RedisLink | None = None
    keys: Keys | None = None
    relay: Relay | None = None
    """The way to calls on other workers."""

    @property
    def is_shared(self) -> bool:
        return self.link is not None

    @asynccontextmanager
    async def opened(
        self, load: Callable[[], WorkerLoad], hear: Callable[[Others], None]
    ) -> AsyncGenerator[Workers | None, None]:
        """While inside, what runs here is told to the others. `load`: what this worker carries; `hear`: told what
        the others do."""
        relay = self.relay
        if self.link is None or self.keys is None or relay is None or not isinstance(self.store, RedisStore):
            yield None
            return
        workers, feed = Workers(self.link, self.keys, load, hear), self.store.feed
        try:
            async with asyncio.TaskGroup() as tasks:
                errands = (self.store.copies.run(), feed.run(), workers.run(), relay.run())
                running = [tasks.create_task(errand) for errand in errands]
                yield workers
                with suppress(RedisUnavailable):
                    await feed.write()  # how the last call ended
                for task in running:
                    task.cancel()
        finally:
            await self.link.aclose()


def fleet_of(settings: Settings, metrics: Metrics, now: Callable[[], float]) -> Fleet:
    """As the settings say. Raises `SettingsError` for certificates that cannot be read."""
    id = worker_id()
    if not settings.redis_url:
        return Fleet(id, MemoryStore(LocalFeed(id, now)))

    def observe(op: str, seconds: float, ok: bool) -> None:
        metrics.redis_s.labels(op).observe(seconds)
        if not ok:
            metrics.redis_errors.labels(op).inc()

    link = RedisLink(
        settings.redis_url,
        cluster=settings.redis_cluster,
        ca=settings.redis_ca,
        now=now,
        observe=observe,
    )
    keys = Keys(settings.redis_prefix)
    secrets = settings.auth_tokens or (INSECURE_KEY,)
    store = RedisStore(link, keys, MediaTokens(secrets, unix=now), worker_id=id, now=now)
    return Fleet(id, store, link, keys, Relay(link, keys, Seals(secrets), worker_id=id, now=now))
