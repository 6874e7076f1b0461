"""The registrar: writes the record of a call that has ended, and puts it into the outbox.

Whoever ends a call asks for its record before it lets go of the call, so that a worker which dies in between
leaves the call to the next sweep. Asked twice, here or by two workers, the outbox keeps one. While there is no
outbox, what it should get is owed: kept in memory, and written once it is back. What was put is remembered until
it was delivered, because a Redis that was restarted may have kept nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from gateway.call_records.outbox import Fate, Outbox, OutboxUnavailable
from gateway.call_records.record import body_of, record_of
from gateway.calls.call import Call
from gateway.calls.journal import JournalEvent
from gateway.calls.store import CallStore
from gateway.errors import StoreUnavailable
from gateway.logs import about
from gateway.redis.errors import RedisUnavailable

log = logging.getLogger(__name__)

MOST_OWED: Final = 1_000
"""Calls whose record waits in memory for the outbox; one more, and the oldest is lost. At 50 KB a call it is 50 MB:
what ends on one worker of 100 calls in half an hour."""

MOST_WATCHED: Final = 1_000
"""Records that this worker has put, and would put again; of more, the oldest are left to Redis alone."""

RETRY_S: Final = 1.0

WATCH_EVERY_S: Final = 10.0
"""How often it is looked whether the outbox still has what was put."""

LEAVE_LIMIT_S: Final = 1.0
"""At the end of the process, for what is owed."""


class Registrar:
    """See the module's docstring."""

    def __init__(
        self,
        store: CallStore,
        outbox: Outbox,
        *,
        remembered: Callable[[str], Sequence[JournalEvent]],
        now: Callable[[], float],
        put: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        """`remembered`: what this worker's memory has of a call's journal, which Redis may not have yet. `put` is
        told when there is something to deliver, `lost` when a record is."""
        self._store = store
        self._outbox = outbox
        self._remembered = remembered
        self._now = now
        self._put = put
        self._lost = lost
        self._watched: OrderedDict[str, bytes] = OrderedDict()
        self._watched_at_s = now()
        self._owed: OrderedDict[str, tuple[Call, Sequence[JournalEvent]]] = OrderedDict()

    @property
    def owed(self) -> int:
        """Records in memory only."""
        return len(self._owed)

    async def record(self, call: Call) -> bool:
        """Of a call that has ended. True once the outbox has its record; False: it is owed."""
        events = self._remembered(call.call_sid)
        with about(call.call_sid):
            if await self._write(call, events):
                self._owed.pop(call.call_sid, None)
                return True
            self._owe(call, events)
            return False

    async def run(self) -> None:
        """Writes what is owed, until cancelled."""
        while True:
            await asyncio.sleep(RETRY_S)
            await self.pay()
            if self._now() - self._watched_at_s >= WATCH_EVERY_S:
                await self.watch()

    async def pay(self) -> None:
        """Writes what is owed, the oldest first, as far as the outbox takes it."""
        for call_sid, (call, events) in tuple(self._owed.items()):
            with about(call_sid):
                if not await self._write(call, events):
                    return
            self._owed.pop(call_sid, None)

    async def watch(self) -> None:
        """Puts again what the outbox has forgotten."""
        watched = dict(self._watched)
        try:
            fates = await self._outbox.fates(tuple(watched))
            for (call_sid, body), fate in zip(watched.items(), fates, strict=True):
                if fate is Fate.OVER:
                    self._watched.pop(call_sid, None)
                elif fate is Fate.UNKNOWN and await self._outbox.put(call_sid, body, self._now()):
                    log.warning("the record of a call was put again", extra={"call_sid": call_sid})
                    self._put()
            self._watched_at_s = self._now()
        except OutboxUnavailable as error:
            log.debug("it is not known what the outbox has: %s", error)

    async def leave(self) -> None:
        """The process ends."""
        try:
            async with asyncio.timeout(LEAVE_LIMIT_S):
                await self.pay()
        except TimeoutError:
            pass
        for call_sid in self._owed:
            log.error("the process ends with a record that no outbox has", extra={"call_sid": call_sid})

    async def _write(self, call: Call, remembered: Sequence[JournalEvent]) -> bool:
        try:
            journal = await self._store.journal(call.call_sid)
            told = [] if journal is None else await journal.read()
        except (StoreUnavailable, RedisUnavailable):
            told = []
        body = body_of(record_of(call, [*told, *remembered]))
        try:
            is_new = await self._outbox.put(call.call_sid, body, self._now())
        except OutboxUnavailable as error:
            log.warning("the record of a call waits in memory: %s", error)
            return False
        if is_new:
            self._watched[call.call_sid] = body
            if len(self._watched) > MOST_WATCHED:
                self._watched.popitem(last=False)
            self._put()
        return True

    def _owe(self, call: Call, events: Sequence[JournalEvent]) -> None:
        self._owed[call.call_sid] = call, events
        if len(self._owed) > MOST_OWED:
            call_sid, _ = self._owed.popitem(last=False)
            log.error("the record of a call is lost: too many wait for the outbox", extra={"call_sid": call_sid})
            self._lost()
