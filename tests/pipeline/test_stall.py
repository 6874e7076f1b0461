"""An alarm that rings when somebody has brought nothing for too long."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.stall import Stall
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


class Bell:
    """Notes when it rang, in seconds from its making."""

    def __init__(self) -> None:
        self.rang: list[float] = []
        self._began_s = now_s()
        self.stall = Stall(lambda: self.rang.append(round(now_s() - self._began_s, 6)))


async def test_it_rings_once_when_the_time_is_up() -> None:
    bell = Bell()
    bell.stall.owes(1.0)
    await asyncio.sleep(10)
    assert bell.rang == [1.0]


async def test_every_sign_of_life_moves_it() -> None:
    bell = Bell()
    for _ in range(5):
        bell.stall.owes(1.0)
        await asyncio.sleep(0.9)
    assert bell.rang == []
    await asyncio.sleep(10)
    assert bell.rang == [4.6]


async def test_whoever_rests_owes_nothing_and_may_owe_again() -> None:
    bell = Bell()
    bell.stall.owes(1.0)
    bell.stall.rests()
    await asyncio.sleep(5)
    assert bell.rang == []
    bell.stall.owes(1.0)
    await asyncio.sleep(5)
    assert bell.rang == [6.0]


async def test_a_shorter_limit_counts_at_once() -> None:
    bell = Bell()
    bell.stall.owes(10.0)
    bell.stall.owes(1.0)
    await asyncio.sleep(20)
    assert bell.rang == [1.0]


async def test_after_its_end_it_rings_no_more() -> None:
    bell = Bell()
    bell.stall.owes(1.0)
    bell.stall.end()
    bell.stall.end()
    bell.stall.owes(1.0)
    await asyncio.sleep(5)
    assert bell.rang == []
