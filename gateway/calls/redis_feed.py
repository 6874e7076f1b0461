"""The feed of many workers, in one stream of Redis: each writes what happens in its calls, each reads all of it.

One entry holds what a worker had to tell in a quarter of a second, so a busy one writes hardly more often than a
quiet one. Events have numbers, by worker. So what comes twice, because Redis was too late with its answer, is shown
once, and what is missing is told: dropped here while Redis was away, trimmed before it was read, or lost by a Redis
that took over.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Final

import msgspec

from gateway.calls.feed import FEED_LIMIT_EVENTS, GAP, MOST_READ, Place
from gateway.calls.journal import JournalEvent
from gateway.calls.keys import FEED_TTL_S, Keys
from gateway.errors import StoreUnavailable
from gateway.redis.link import RedisLink, RedisUnavailable
from gateway.redis.script import Script, Word

log = logging.getLogger(__name__)

KEEP_S: Final = 60.0
"""What is older may go: reloading a page or changing the worker takes seconds, and each call has its journal."""

FEED: Final = Script(
    "feed",
    """
-- KEYS: feed. ARGV: worker, number of its first event, events as a JSON array, ms to keep, ttl_ms.
-- By Redis' own clock, which the entries have their ids from.
local time = redis.call('TIME')
local oldest = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[4])
redis.call('XADD', KEYS[1], 'MINID', '~', oldest, '*', 'worker', ARGV[1], 'first', ARGV[2], 'events', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
""",
)

WRITE_EVERY_S: Final = 0.25
LOOK_EVERY_S: Final = 0.25
"""How often who follows looks for more. A blocking read would take a connection for each of them."""

MOST_AT_ONCE: Final = 200
"""Events in one entry: some 80 kB, a few milliseconds of encoding."""

MOST_ENTRIES: Final = 20
"""Of one reading: 1.6 MB, if all are full."""


class RedisFeed:
    """See the module's docstring."""

    def __init__(
        self, link: RedisLink, keys: Keys, worker_id: str, *, limit_events: int = FEED_LIMIT_EVENTS
    ) -> None:
        self._link = link
        self._keys = keys
        self._worker_id = worker_id
        self._unwritten: deque[tuple[int, str, JournalEvent]] = deque(maxlen=limit_events)
        self._count = 0
        self._wake = asyncio.Event()

    def append(self, call_sid: str, event: JournalEvent) -> None:
        self._count += 1
        self._unwritten.append((self._count, call_sid, event))
        self._wake.set()

    async def run(self) -> None:
        """Write, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            with suppress(RedisUnavailable):
                await self.write()
            if self._unwritten:
                self._wake.set()
            await asyncio.sleep(WRITE_EVERY_S)

    async def write(self) -> None:
        """All there is. Raises `RedisUnavailable` with the rest kept."""
        while self._unwritten:
            told = list(islice(self._unwritten, MOST_AT_ONCE))
            events = b"[" + b",".join(_encoded(call_sid, event) for _, call_sid, event in told) + b"]"
            (first, _, _), (last, _, _) = told[0], told[-1]
            args: list[Word] = [self._worker_id, first, events, round(KEEP_S * 1000), FEED_TTL_S * 1000]
            await self._link.script(FEED, [self._keys.feed], args)
            while self._unwritten and self._unwritten[0][0] <= last:  # some may have been dropped meanwhile
                self._unwritten.popleft()

    async def read(self, since: Place | None = None) -> list[JournalEvent]:
        reader = _Reader(since)
        events: list[JournalEvent] = []
        try:
            while len(events) < MOST_READ and (entries := await self._after(reader)):
                events += [event for entry in entries for event in reader.take(entry)]
        except RedisUnavailable as error:
            raise StoreUnavailable(str(error)) from error
        return events[:MOST_READ]

    async def follow(self, since: Place | None = None) -> AsyncGenerator[JournalEvent, None]:
        reader = _Reader(since)
        while True:
            try:
                entries = await self._after(reader)
            except RedisUnavailable:
                entries = []  # whoever watches goes on watching
            for entry in entries:
                for event in reader.take(entry):
                    yield event
            if len(entries) < MOST_ENTRIES:
                await asyncio.sleep(LOOK_EVERY_S)

    async def _after(self, reader: _Reader) -> list[Any]:
        key = self._keys.feed
        entries: list[Any] = await self._link.run(
            "XRANGE", key, reader.begin, "+", "COUNT", MOST_ENTRIES, op="feed"
        )
        return entries


class _Reader:
    """How far one who watches has come."""

    def __init__(self, since: Place | None) -> None:
        self._since = since
        self._last: bytes | None = None
        self._seen: dict[str, int] = {}
        """The number of the last event, by worker."""

    @property
    def begin(self) -> bytes | str:
        """Where the next reading begins."""
        if self._last is not None:
            return b"(" + self._last
        return "-" if self._since is None else self._since.entry_id

    def take(self, entry: Any) -> Iterator[JournalEvent]:
        """What an entry tells that is new."""
        entry_id, fields = entry
        since, self._since = self._since, None
        self._last = entry_id
        place = entry_id.decode()
        if since is not None and since.entry_id != place:
            yield {"event": GAP}
        try:
            worker, first = fields[b"worker"].decode(), int(fields[b"first"])
            events = _decode(fields[b"events"])
        except (KeyError, ValueError, msgspec.MsgspecError):
            log.debug("an entry of the feed that another version has written: %s", place)
            return
        seen = self._seen.get(worker)
        self._seen[worker] = max(seen or 0, first + len(events) - 1)
        if seen is not None and first > seen + 1:
            yield {"event": GAP, "worker": worker, "dropped": first - seen - 1}
        for index, event in enumerate(events):
            is_known = since is not None and since.entry_id == place and index <= since.index
            if not is_known and (seen is None or first + index > seen):
                yield {"id": f"{place}.{index}", "worker": worker, **event}


def _encoded(call_sid: str, event: JournalEvent) -> bytes:
    """Of an event that is no JSON, that there was one: it must not keep all others from being told."""
    try:
        return _encode({"call_sid": call_sid, **event})
    except Exception:
        log.exception("an event cannot be told: %s", event.get("event"), extra={"call_sid": call_sid})
        return _encode({"call_sid": call_sid, "event": event.get("event")})


_encode = msgspec.json.Encoder(enc_hook=str).encode
_decode = msgspec.json.Decoder(list[dict[str, Any]]).decode
