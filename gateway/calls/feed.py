"""The feed: what happens in all calls, one event after the other, for those who watch the whole house.

Whatever is written into a call's journal comes by here too, with the call's SID. Bounded: the oldest events go
first, and who had not seen them is told `{"event": "feed.gap"}`. The journals stay the truth; the feed says where
to look. `LocalFeed` is one process's, `RedisFeed` that of many workers.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from functools import partial
from itertools import dropwhile
from typing import Any, Final, Protocol

from gateway.calls.journal import JournalEvent

FEED_LIMIT_EVENTS: Final = 10_000
"""Kept in a process: at some 400 bytes an event, 4 MB; several minutes of a hundred lively calls."""

MOST_READ: Final = 2_000
"""Events in one answer; whoever wants more goes on from the last."""

GAP: Final = "feed.gap"
"""Events are missing here; `dropped` says how many, where that is known."""

_PLACE = re.compile(r"([0-9]{1,19})-([0-9]{1,19})\.([0-9]{1,6})")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an event stands. As text, it is the event's `id`: opaque to whoever watches, and good to go on from."""

    entry: tuple[int, int]
    """Of the Redis stream: Unix milliseconds, and a count within them."""
    index: int
    """Within the entry, from 0."""

    def __str__(self) -> str:
        return f"{self.entry_id}.{self.index}"

    @property
    def entry_id(self) -> str:
        return f"{self.entry[0]}-{self.entry[1]}"


def place_of(text: str) -> Place:
    """Raises `ValueError` for what is no event's `id`."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise ValueError("no place in the feed")
    milliseconds, count, index = map(int, found.groups())
    return Place((milliseconds, count), index)


class Feed(Protocol):
    """See the module's docstring. What is read has an `id`, a `call_sid` and a `worker`; a gap has no `id`."""

    def append(self, call_sid: str, event: JournalEvent) -> None:
        """Must not block; the event is not to be changed any more."""
        ...

    async def read(self, since: Place | None = None) -> list[JournalEvent]:
        """The events after that place, or the oldest that are kept; `MOST_READ` at most.

        Raises `StoreUnavailable`.
        """
        ...

    def follow(self, since: Place | None = None) -> AsyncGenerator[JournalEvent, None]:
        """The same, and then those that come, without end; to be closed by `aclosing`."""
        ...


def listener(feed: Feed, call_sid: str) -> Callable[[JournalEvent], None]:
    """For a call's journal, which tells it every event."""
    return partial(feed.append, call_sid)


class LocalFeed:
    """Of a process that shares its calls with nobody. `now` is Unix seconds."""

    def __init__(self, worker_id: str, now: Callable[[], float], *, limit_events: int = FEED_LIMIT_EVENTS) -> None:
        self._worker_id = worker_id
        self._events: deque[tuple[Place, str, JournalEvent]] = deque(maxlen=limit_events)
        # Milliseconds, so that the places of an earlier process are all before these.
        self._last = self._first = Place((round(now() * 1000), 0), 0)
        self._changed = asyncio.Event()

    def append(self, call_sid: str, event: JournalEvent) -> None:
        milliseconds, _ = self._last.entry
        self._last = Place((milliseconds + 1, 0), 0)
        self._events.append((self._last, call_sid, event))
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def read(self, since: Place | None = None) -> list[JournalEvent]:
        return self._after(since)[:MOST_READ]

    async def follow(self, since: Place | None = None) -> AsyncGenerator[JournalEvent, None]:
        seen = since
        while True:
            changed, last = self._changed, self._last
            for event in self._after(seen):
                yield event
            seen = last
            if self._last == last:
                await changed.wait()

    def _after(self, since: Place | None) -> list[JournalEvent]:
        if since is None:
            return [self._shown(*kept) for kept in self._events]
        if not self._first <= since <= self._last:  # it is an earlier process's
            return [{"event": GAP}, *self._after(None)]
        oldest = self._events[0][0] if self._events else self._last
        dropped = oldest.entry[0] - since.entry[0] - 1
        gap: list[JournalEvent] = [{"event": GAP, "dropped": dropped}] if dropped > 0 else []
        return gap + [self._shown(*kept) for kept in dropwhile(lambda kept: kept[0] <= since, self._events)]

    def _shown(self, place: Place, call_sid: str, event: JournalEvent) -> dict[str, Any]:
        return {"id": str(place), "call_sid": call_sid, "worker": self._worker_id, **event}
