"""The workers of a deployment: which there are, and what each carries, told by each of itself every second.

Knows nothing of calls. Redis being away is no news here: the list is then what was last known, and soon this worker
alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from gateway.calls.keys import WORKER_TTL_S, Keys
from gateway.calls.standing import Others, Standing, put_together
from gateway.redis.link import RedisLink, RedisUnavailable
from gateway.redis.script import Command

TELL_EVERY_S: Final = 1.0
"""A fifth of the time after which a silent worker counts as gone."""

FRESH_S: Final = 2.5 * TELL_EVERY_S
"""A worker that was silent for longer may be dead, and nobody is sent to it, though it is still in the list."""

MOST_WORKERS: Final = 1_000


class WorkerLoad(msgspec.Struct, frozen=True, kw_only=True):
    """One worker, as it tells of itself."""

    id: str
    calls: int
    """That stream there."""
    sessions: int
    """Realtime sessions open there."""
    is_draining: bool
    lag_ms: float
    """How late its event loop is, at the worst of late."""
    seen_at_s: float
    """Unix seconds."""
    version: str = ""
    standing: Standing = Standing()


def _unheard(_others: Others) -> None:
    """The hook's default."""


class Workers:
    """See the module's docstring. `load`: this worker's, now. `hear`: told every second what the others tell."""

    def __init__(
        self,
        link: RedisLink,
        keys: Keys,
        load: Callable[[], WorkerLoad],
        hear: Callable[[Others], None] = _unheard,
    ) -> None:
        self._link = link
        self._keys = keys
        self._load = load
        self._hear = hear
        self.known: tuple[WorkerLoad, ...] = ()
        """All workers when they were last looked for, this one among them."""

    @property
    def has_others(self) -> bool:
        """Whether somebody else is there who takes calls."""
        mine = self._load().id
        return any(load.id != mine and not load.is_draining for load in self.known)

    async def run(self) -> None:
        """Tell of this one and look for the others, until cancelled; then tell that it is gone."""
        try:
            while True:
                try:
                    await self._tell()
                    self.known = await self.all()
                except RedisUnavailable:
                    self.known = self._remembered()
                self._hear(self._others())
                await asyncio.sleep(TELL_EVERY_S)
        finally:
            await asyncio.shield(self._leave())

    async def all(self) -> tuple[WorkerLoad, ...]:
        """Those that told of themselves within the last seconds, by id. Raises `RedisUnavailable`."""
        now_s = self._load().seen_at_s
        names = await self._link.run(
            "ZRANGE", self._keys.workers, now_s - WORKER_TTL_S, "+inf", "BYSCORE", "LIMIT", 0, MOST_WORKERS,
            op="workers",
        )  # fmt: skip
        texts = await self._link.batch([Command("GET", (self._keys.worker(name.decode()),)) for name in names])
        loads = [load for text in texts if isinstance(text, bytes) and (load := _read(text)) is not None]
        return tuple(sorted(loads, key=lambda load: load.id))

    def _remembered(self) -> tuple[WorkerLoad, ...]:
        """Who was known, until each would have been forgotten."""
        mine = self._load()
        others = (load for load in self.known if load.id != mine.id)
        return mine, *(load for load in others if mine.seen_at_s - load.seen_at_s < WORKER_TTL_S)

    def _others(self) -> Others:
        mine = self._load()
        others = [load for load in self.known if load.id != mine.id]
        fresh = [load for load in others if mine.seen_at_s - load.seen_at_s < FRESH_S and not load.is_draining]
        silent = [msgspec.structs.replace(load.standing, room=0) for load in others if load not in fresh]
        return put_together([*(load.standing for load in fresh), *silent], live=len(fresh))

    async def _tell(self) -> None:
        load = self._load()
        await self._link.batch(
            [
                Command("SET", (self._keys.worker(load.id), _encode(load), "EX", WORKER_TTL_S)),
                Command("ZADD", (self._keys.workers, load.seen_at_s, load.id)),
                Command("ZREMRANGEBYSCORE", (self._keys.workers, "-inf", load.seen_at_s - WORKER_TTL_S)),
                Command("EXPIRE", (self._keys.workers, 10 * WORKER_TTL_S)),
            ],
            op="tell",
        )

    async def _leave(self) -> None:
        load = self._load()
        try:
            await self._link.batch(
                [
                    Command("DEL", (self._keys.worker(load.id),)),
                    Command("ZREM", (self._keys.workers, load.id)),
                ],
                op="leave",
            )
        except RedisUnavailable:
            pass  # it is forgotten in a few seconds


def _read(text: bytes) -> WorkerLoad | None:
    try:
        return _decode(text)
    except msgspec.MsgspecError:
        return None  # of another version


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(WorkerLoad).decode
