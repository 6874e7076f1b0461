"""When a voice owes sound."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.legs.sound_owed import SoundOwed
from pipeline.stall import Stall
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s

pytestmark = pytest.mark.anyio

LIMIT_S = 1.0


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


class Debt:
    """When it was called in, in seconds from its beginning."""

    def __init__(self) -> None:
        self.rang: list[float] = []
        self._began_s = now_s()
        self.owed = SoundOwed(Stall(lambda: self.rang.append(round(now_s() - self._began_s, 6))), LIMIT_S)


async def test_before_it_is_given_anything_it_owes_nothing() -> None:
    debt = Debt()
    await asyncio.sleep(5)
    assert debt.rang == [] and not debt.owed.is_owing


async def test_a_row_of_clauses_without_sound_is_one_silence() -> None:
    debt = Debt()
    for _ in range(4):
        debt.owed.given()
        debt.owed.asked(is_through=True)
        await asyncio.sleep(0.3)
    assert debt.rang == [LIMIT_S]


async def test_one_that_is_through_owes_nothing_until_the_next_clause() -> None:
    debt = Debt()
    debt.owed.given()
    debt.owed.sounded(is_enough=False)
    debt.owed.asked(is_through=True)
    await asyncio.sleep(5)
    assert debt.rang == []
    debt.owed.given()
    await asyncio.sleep(5)
    assert debt.rang == [5 + LIMIT_S]


@pytest.mark.parametrize(("is_enough", "rang"), [(True, []), (False, [LIMIT_S])])
async def test_one_that_asks_ahead_owes_until_its_sound_may_be_all(is_enough: bool, rang: list[float]) -> None:
    debt = Debt()
    debt.owed.given()
    debt.owed.asked(is_through=False)
    debt.owed.sounded(is_enough=is_enough)
    await asyncio.sleep(5)
    assert debt.rang == rang


async def test_at_the_end_it_owes_to_come_to_its_end() -> None:
    debt = Debt()
    debt.owed.given()
    debt.owed.sounded(is_enough=True)
    debt.owed.asked(is_through=True)
    debt.owed.given(is_last=True)
    assert debt.owed.has_all and not debt.owed.is_owing
    debt.owed.sounded(is_enough=True)
    await asyncio.sleep(5)
    assert debt.rang == [LIMIT_S]


async def test_while_it_is_made_to_wait_it_owes_nothing() -> None:
    debt = Debt()
    debt.owed.given()
    debt.owed.hold()
    await asyncio.sleep(5)
    assert debt.rang == []
    debt.owed.release()
    debt.owed.release()
    await asyncio.sleep(5)
    assert debt.rang == [5 + LIMIT_S]


async def test_it_may_be_given_more_time() -> None:
    debt = Debt()
    debt.owed.given()
    await asyncio.sleep(LIMIT_S)
    debt.owed.extend(1.5)
    await asyncio.sleep(5)
    assert debt.rang == [LIMIT_S, 1.5]
    debt.owed.renew()
    await asyncio.sleep(5)
    assert debt.rang[2:] == [6 + 1.5]
