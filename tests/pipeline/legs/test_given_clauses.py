"""The clauses of an answer, read from any place by several."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.legs.given_clauses import GivenClauses
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, settle

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


class Source:
    def __init__(self) -> None:
        self.queue: asyncio.Queue[str | None] = asyncio.Queue()
        self.first_clauses = 0
        self.given = GivenClauses(self.queue, self._first_clause)

    def _first_clause(self) -> None:
        self.first_clauses += 1

    def put(self, *clauses: str | None) -> None:
        for clause in clauses:
            self.queue.put_nowait(clause)


async def test_each_reads_from_its_own_place_to_the_end_of_the_clause() -> None:
    source = Source()
    source.put("one two three", "four five", None)
    given = source.given
    assert [await given.next(place) for place in (0, 3, 5)] == ["one two three", "four five", None]
    assert [await given.next(place) for place in (2, 4, 5)] == ["three", "five", None]
    assert [given.end_of(place) for place in (0, 2, 3)] == [3, 3, 5]
    assert (source.first_clauses, given.is_whole, given.begins) == (1, True, [0, 3])


async def test_no_clause_is_taken_before_it_is_asked_for() -> None:
    source = Source()
    source.put("one", "two", None)
    await source.given.next(0)
    assert source.queue.qsize() == 2


async def test_several_who_wait_get_the_same_clause_and_none_is_lost_when_one_is_cancelled() -> None:
    source = Source()
    waiting = [asyncio.create_task(source.given.next(0)) for _ in range(3)]
    await settle()
    waiting[0].cancel()
    await settle()
    source.put("one", "two", None)
    assert [await task for task in waiting[1:]] == ["one", "one"]
    assert await source.given.next(1) == "two"


async def test_where_nothing_is_to_be_said_all_are_told_so() -> None:
    source = Source()
    waiting = [asyncio.create_task(source.given.next(0)) for _ in range(2)]
    source.put(None)
    assert [await task for task in waiting] == [None, None]
    assert source.first_clauses == 0
