from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from gateway.calls.journal import Journal, JournalEvent

pytestmark = pytest.mark.anyio


def event(number: int) -> JournalEvent:
    return {"event": "e", "n": number}


async def read_all(journal: Journal, since: int = 0) -> list[JournalEvent]:
    async with asyncio.timeout(5), aclosing(journal.follow(since)) as events:
        return [e async for e in events]


async def test_recent_events_come_in_order_from_where_one_stopped() -> None:
    journal = Journal()
    for n in range(4):
        journal.append(event(n))
    assert journal.recent() == [event(0), event(1), event(2), event(3)]
    assert journal.recent(since=3) == [event(3)]
    assert journal.recent(since=9) == []


async def test_a_full_journal_drops_the_oldest_and_says_how_many() -> None:
    journal = Journal(limit_events=2)
    for n in range(5):
        journal.append(event(n))
    assert journal.recent() == [{"event": "journal.gap", "dropped": 3}, event(3), event(4)]
    assert journal.recent(since=2) == [{"event": "journal.gap", "dropped": 1}, event(3), event(4)]
    assert journal.recent(since=3) == [event(3), event(4)]


async def test_a_follower_of_a_closed_journal_reads_it_and_ends() -> None:
    journal = Journal()
    journal.append(event(0))
    journal.close()
    journal.append(event(1))
    assert await read_all(journal) == [event(0), event(1)]
    assert await read_all(journal, since=2) == []


async def test_followers_get_events_as_they_happen_until_the_end() -> None:
    journal = Journal()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        first = group.create_task(read_all(journal))
        second = group.create_task(read_all(journal, since=1))
        for n in range(3):
            await asyncio.sleep(0)
            journal.append(event(n))
        await asyncio.sleep(0)
        journal.close()
    assert first.result() == [event(0), event(1), event(2)]
    assert second.result() == [event(1), event(2)]


async def test_a_slow_follower_is_told_of_its_gap_and_misses_no_wake_up() -> None:
    journal = Journal(limit_events=2)
    journal.append(event(0))
    seen: list[JournalEvent] = []
    async with asyncio.timeout(5), aclosing(journal.follow()) as events:
        seen.append(await anext(events))
        for n in range(1, 6):
            journal.append(event(n))
        journal.close()
        seen.extend([e async for e in events])
    assert seen == [event(0), {"event": "journal.gap", "dropped": 3}, event(4), event(5)]
