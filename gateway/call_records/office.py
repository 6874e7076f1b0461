"""The records' office: all that sees to it that the operator gets the record of every call, to be opened as one."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.call_records.deliveries import Deliveries, Outcome
from gateway.call_records.file_outbox import FileOutbox
from gateway.call_records.outbox import Fill, Outbox, OutboxUnavailable
from gateway.call_records.receiver import Receiver
from gateway.call_records.redis_outbox import RedisOutbox
from gateway.call_records.registrar import Registrar
from gateway.call_records.schedule import Schedule
from gateway.calls.journal import JournalEvent
from gateway.calls.redis_store import RedisStore
from gateway.calls.store import CallStore
from gateway.errors import SettingsError
from gateway.redis.link import RedisLink


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where records go, as the settings say."""

    url: str
    secret: str
    limit_s: float
    """Of one try."""
    give_up_after_s: float


def outbox_of(link: RedisLink | None, prefix: str, folder: str) -> Outbox:
    """In Redis where there is one, and otherwise in the folder."""
    return FileOutbox(Path(folder)) if link is None else RedisOutbox(link, prefix)


class RecordsOffice:
    """See the module's docstring. `registrar.record` is for whoever ends calls."""

    def __init__(
        self,
        store: CallStore,
        outbox: Outbox,
        destination: Destination,
        *,
        now: Callable[[], float],
        count: Callable[[Outcome], None],
        show: Callable[[Fill, float], None],
        unix: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Raises `SettingsError` for a secret that is none."""
        try:
            self._receiver = Receiver(destination.url, destination.secret, limit_s=destination.limit_s, unix=unix)
        except ValueError as error:
            raise SettingsError([f"SWITCHBOARD_WEBHOOK_SECRET: {error}"]) from error
        self.outbox = outbox
        self.deliveries = Deliveries(
            outbox,
            self._receiver,
            Schedule(destination.give_up_after_s),
            limit_s=destination.limit_s,
            now=now,
            draw=draw,
            count=count,
            show=show,
        )
        self.registrar = Registrar(
            store,
            outbox,
            remembered=remembered_by(store),
            now=now,
            put=self.deliveries.look,
            lost=lambda: count(Outcome.LOST),
        )

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None, None]:
        """While inside, records are delivered. Open it inside of what closes Redis.

        Raises `SettingsError` if the folder cannot be used.
        """
        if isinstance(self.outbox, FileOutbox):
            try:
                await self.outbox.prepare()
            except OutboxUnavailable as error:
                raise SettingsError([f"SWITCHBOARD_OUTBOX: {error}"]) from error
        async with self._receiver, asyncio.TaskGroup() as tasks:
            delivering = tasks.create_task(self.deliveries.run())
            paying = tasks.create_task(self.registrar.run())
            try:
                yield
            finally:
                paying.cancel()
                await self.registrar.leave()
                delivering.cancel()


def remembered_by(store: CallStore) -> Callable[[str], Sequence[JournalEvent]]:
    """What this worker's memory has of a call's journal, beside what the store gives."""

    def remembered(call_sid: str) -> Sequence[JournalEvent]:
        held = store.copies.held(call_sid) if isinstance(store, RedisStore) else None
        return [] if held is None else [event for event in held.journal.recent() if event["event"] != "journal.gap"]

    return remembered
