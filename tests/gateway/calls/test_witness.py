from __future__ import annotations

import pytest

from gateway.calls.keys import WITNESS_TTL_S
from gateway.calls.witness import MOST_MARKS, WITNESS, Marks, Witness
from gateway.redis.script import ScriptCall
from tests.redis_server import redis_server


def test_only_what_was_confirmed_can_be_missed() -> None:
    witness = Witness("w", first=100)
    assert witness.next() == ScriptCall(WITNESS, ("w",), (101, 1000 * WITNESS_TTL_S))
    assert witness.heard(0) is None, "it was never told anything"
    witness.next()  # not answered: given up, done or not
    witness.next()
    assert witness.heard(101) is None
    witness.next()
    assert witness.heard(102) == 102
    witness.next()
    assert witness.heard(104) is None
    witness.next()
    assert witness.heard(0) == 0


def test_a_call_knows_how_many_events_stand_in_a_redis_that_lags_behind() -> None:
    marks = Marks()
    marks.note(10, 1)
    marks.note(12, 5)
    assert [marks.told_by(number) for number in (0, 9, 10, 11, 12, 13)] == [0, 0, 1, 1, 5, 5]
    for number in range(MOST_MARKS):
        marks.note(20 + number, 6 + number)
    assert marks.told_by(11) == 6


async def _asked(*numbers: int) -> list[object]:
    async with redis_server() as server:
        return [await server.ask("EVAL", WITNESS.text, 1, "w", number, 60_000) for number in numbers]


@pytest.mark.anyio
async def test_a_number_that_comes_late_takes_nothing_back() -> None:
    assert await _asked(5, 7, 6, 8) == [0, 5, 7, 7]
