"""What happened in one call, in order, for those who watch it.

Bounded: when it is full the oldest event is dropped, and a follower that had not seen it is told how many it
missed by `{"event": "journal.gap", "dropped": n}`. Nobody who watches can slow the call down.
Knows nothing of what the events mean.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from itertools import islice
from typing import Any, Final, Protocol, TypeAlias

JOURNAL_LIMIT_EVENTS = 2_000
"""Some ten minutes of a lively conversation; at about 300 bytes an event, 0.6 MB a call at the most."""

JournalEvent: TypeAlias = dict[str, Any]
"""A JSON object whose `event` says what happened. Not to be changed once appended."""


LAST_EVENT: Final = "call.ended"
"""Nothing that matters comes after it."""


def _nobody(_event: JournalEvent) -> None:
    """Who is told by default."""


class Reading(Protocol):
    """A journal for those who read."""

    async def read(self, since: int = 0) -> list[JournalEvent]:
        """The events after the first `since`, as far as they are kept."""
        ...

    def follow(self, since: int = 0) -> AsyncGenerator[JournalEvent, None]:
        """The same, and then those that come; ends when the call has ended."""
        ...


class Journal:
    """Appended to by whoever serves the call; followed by any number of readers."""

    def __init__(
        self, told: Callable[[JournalEvent], None] = _nobody, *, limit_events: int = JOURNAL_LIMIT_EVENTS
    ) -> None:
        """`told` is given every event as it comes; it must not block."""
        self._told = told
        self._events: deque[JournalEvent] = deque(maxlen=limit_events)
        self._appended = 0
        self._is_closed = False
        self._changed = asyncio.Event()

    def append(self, event: JournalEvent) -> None:
        """Records an event. One that comes after `close` is kept for later readers."""
        self._events.append(event)
        self._appended += 1
        self._wake()
        self._told(event)

    def close(self) -> None:
        """The call has ended: followers that have read all there is stop waiting."""
        self._is_closed = True
        self._wake()

    @property
    def count(self) -> int:
        """How many events there were."""
        return self._appended

    async def read(self, since: int = 0) -> list[JournalEvent]:
        return self.recent(since)

    def recent(self, since: int = 0) -> list[JournalEvent]:
        """The events after the first `since`, as far as they are kept, led by a gap if some are not."""
        first_kept = self._appended - len(self._events)
        events = list(islice(self._events, max(0, since - first_kept), None))
        if since < first_kept:
            events.insert(0, {"event": "journal.gap", "dropped": first_kept - since})
        return events

    async def follow(self, since: int = 0) -> AsyncGenerator[JournalEvent, None]:
        """The events after the first `since`, as they happen; ends when the call has ended."""
        seen = since
        while True:
            changed = self._changed
            fresh, seen = self.recent(seen), max(seen, self._appended)
            for event in fresh:
                yield event
            if seen < self._appended:
                continue
            if self._is_closed:
                return
            await changed.wait()

    def _wake(self) -> None:
        """Each change has its own event, so that a follower busy with the last one misses none."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
