from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.call_records import registrar as module
from gateway.call_records.file_outbox import FileOutbox
from gateway.call_records.outbox import Fate, OutboxUnavailable
from gateway.call_records.registrar import Registrar
from gateway.calls.call import Call, EndReason
from gateway.calls.journal import JournalEvent, Reading
from gateway.calls.store import MemoryStore
from gateway.errors import StoreUnavailable
from tests.gateway.call_records.support import BEGAN_S, LIMIT_S, Clock, ended_call, happened, new_call, sid, until

pytestmark = pytest.mark.anyio


@dataclass
class AwayStore:
    """A store in memory, whose journals cannot be read while it `is_away`."""

    inner: MemoryStore = field(default_factory=MemoryStore)
    is_away: bool = False

    async def journal(self, call_sid: str) -> Reading | None:
        if self.is_away:
            raise StoreUnavailable("away")
        return await self.inner.journal(call_sid)


@dataclass
class Desk:
    """A registrar and what it has to do with."""

    registrar: Registrar
    store: AwayStore
    folder: Path
    puts: list[None]
    losses: list[None]
    remembered: dict[str, Sequence[JournalEvent]]

    async def ended(self, number: int = 1) -> Call:
        call = new_call(number)
        await self.store.inner.open(call)
        await self.store.inner.note(call.call_sid, happened("call.started"))
        await self.store.inner.end(call, EndReason.COMPLETED, BEGAN_S + 60)
        return call

    def block(self) -> None:
        """From now on nothing can be put, as on a disk that is read-only."""
        self.folder.rename(self.folder.with_name("away"))

    def unblock(self) -> None:
        self.folder.with_name("away").rename(self.folder)

    def written(self, number: int = 1) -> dict[str, Any]:
        page = json.loads((self.folder / f"{sid(number)}.json").read_text())
        data: dict[str, Any] = json.loads(page["body"])["data"]
        return data

    def count(self) -> int:
        return len(list(self.folder.glob("*.json")))


@asynccontextmanager
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    folder, store, puts, losses = tmp_path / "box", AwayStore(), list[None](), list[None]()
    outbox = FileOutbox(folder)
    await outbox.prepare()
    remembered: dict[str, Sequence[JournalEvent]] = {}
    registrar = Registrar(
        store,  # type: ignore[arg-type]  # of a store it needs nothing else
        outbox,
        remembered=lambda call_sid: remembered.get(call_sid, []),
        now=Clock(),
        put=lambda: puts.append(None),
        lost=lambda: losses.append(None),
    )
    async with asyncio.timeout(LIMIT_S):
        yield Desk(registrar, store, folder, puts, losses, remembered)


async def test_the_record_of_a_call_is_in_the_outbox_once_it_is_asked_for(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        call = await here.ended()
        assert await here.registrar.record(call)
        assert await here.registrar.record(call)
        assert (here.written()["call_sid"], here.written()["is_complete"]) == (sid(1), True)
        assert (len(here.puts), here.registrar.owed) == (1, 0)


async def test_what_only_memory_has_of_a_journal_is_in_the_record_and_what_both_have_is_there_once(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as here:
        call = await here.ended()
        here.remembered[call.call_sid] = [happened("call.started"), happened("interrupted", 2)]
        assert await here.registrar.record(call)
        assert here.written()["interruptions"] == 1


async def test_a_call_nobody_knows_any_more_has_a_record_that_says_so(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        assert await here.registrar.record(ended_call())
        assert not here.written()["is_complete"]


async def test_without_the_store_the_record_is_made_of_memory(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        call = await here.ended()
        here.store.is_away = True
        here.remembered[call.call_sid] = [happened("interrupted", 2)]
        assert await here.registrar.record(call)
        assert (here.written()["interruptions"], here.written()["is_complete"]) == (1, False)


async def test_without_an_outbox_it_is_owed_and_written_whole_once_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    async with desk(tmp_path) as here:
        here.block()
        here.store.is_away = True
        calls = [await here.ended(number) for number in (1, 2)]
        assert [await here.registrar.record(call) for call in calls] == [False, False]
        await here.registrar.pay()
        assert (here.registrar.owed, len(here.puts)) == (2, 0)
        paying = asyncio.create_task(here.registrar.run())
        here.store.is_away = False
        here.unblock()
        await until(lambda: here.registrar.owed == 0)
        paying.cancel()
        await asyncio.gather(paying, return_exceptions=True)
        assert [here.written(number)["is_complete"] for number in (1, 2)] == [True, True]
        assert len(here.puts) == 2


async def test_what_was_owed_and_is_asked_for_again_is_owed_no_more(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        call = await here.ended()
        here.block()
        assert not await here.registrar.record(call)
        here.unblock()
        assert await here.registrar.record(call)
        assert here.registrar.owed == 0


async def test_of_what_was_put_only_so_much_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WATCHED", 2)
    async with desk(tmp_path) as here:
        for number in (1, 2, 3):
            await here.registrar.record(await here.ended(number))
        assert list(here.registrar._watched) == [sid(2), sid(3)]
        await here.registrar.watch()
        assert len(here.registrar._watched) == 2


async def test_while_the_outbox_is_away_nothing_is_forgotten_of_what_was_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(call_sids: Sequence[str]) -> Sequence[Fate]:
        raise OutboxUnavailable("away")

    async with desk(tmp_path) as here:
        await here.registrar.record(await here.ended())
        monkeypatch.setattr(here.registrar._outbox, "fates", away)
        await here.registrar.watch()
        assert list(here.registrar._watched) == [sid(1)]


async def test_one_more_than_memory_has_room_for_costs_the_oldest_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MOST_OWED", 2)
    async with desk(tmp_path) as here:
        here.block()
        for number in (1, 2, 3):
            assert not await here.registrar.record(await here.ended(number))
        assert (here.registrar.owed, len(here.losses)) == (2, 1)
        assert "lost" in caplog.text
        here.unblock()
        await here.registrar.pay()
        assert (here.written(2)["call_sid"], here.count()) == (sid(2), 2)


async def test_at_the_end_what_is_owed_is_written_or_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk(tmp_path) as here:
        here.block()
        await here.registrar.record(await here.ended())
        await here.registrar.leave()
        assert "that no outbox has" in caplog.text
        here.unblock()
        await here.registrar.leave()
        assert (here.registrar.owed, here.count()) == (0, 1)


async def test_the_end_does_not_wait_for_an_outbox_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAVE_LIMIT_S", 0.01)
    async with desk(tmp_path) as here:
        call = await here.ended()
        here.block()
        await here.registrar.record(call)

        async def hang(call_sid: str) -> Reading | None:
            return await asyncio.Event().wait() and None

        monkeypatch.setattr(here.store, "journal", hang)
        await here.registrar.leave()
        assert here.registrar.owed == 1
