"""Requests side by side: what they bring, and that nothing of them is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from pipeline.legs.race import AHEAD, CLOSE_S, Alarm, BrokeOff, Came, Ended, Race, Rang
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s, settle

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


class Log:
    """What a request did."""

    def __init__(self) -> None:
        self.made: list[int] = []
        self.is_closed = False

    async def count(self, to: int, every_s: float = 0.0) -> AsyncGenerator[int, None]:
        try:
            for number in range(to):
                await asyncio.sleep(every_s)
                self.made.append(number)
                yield number
        finally:
            self.is_closed = True


async def test_what_they_bring_comes_in_the_order_in_which_it_comes() -> None:
    a, b = Log(), Log()
    async with Race[str, int]() as race:
        race.start("a", a.count(2, 0.2))
        race.start("b", b.count(1, 0.3))
        came = [await race.next() for _ in range(5)]
    assert came == [
        Came("a", 0),
        Came("b", 0),
        Ended("b", None),
        Came("a", 1),
        Ended("a", None),
    ]


async def test_a_failure_comes_through_the_door() -> None:
    async def fail() -> AsyncGenerator[int, None]:
        for number in range(1):
            yield 1 // number

    async with Race[str, int]() as race:
        race.start("a", fail())
        arrival = await race.next()
    assert isinstance(arrival, Ended) and isinstance(arrival.error, ZeroDivisionError)


async def test_one_that_cancels_itself_has_broken_off() -> None:
    async def give_up() -> AsyncGenerator[int, None]:
        waited_for = asyncio.get_running_loop().create_future()
        waited_for.cancel()
        yield await waited_for

    async with Race[str, int]() as race:
        race.start("a", give_up())
        arrival = await race.next()
    assert isinstance(arrival, Ended) and isinstance(arrival.error, BrokeOff)


async def test_nobody_runs_far_ahead_of_whoever_takes_it() -> None:
    log = Log()
    async with Race[str, int]() as race:
        race.start("a", log.count(100))
        await asyncio.sleep(1)
        assert len(log.made) == AHEAD and race.is_waited_for("a")
        assert [await race.next() for _ in range(50)] == [Came("a", number) for number in range(50)]
        await asyncio.sleep(1)
        assert len(log.made) == 50 + AHEAD
    assert log.is_closed


async def test_of_one_that_is_stopped_nothing_arrives_any_more() -> None:
    a, b = Log(), Log()
    async with Race[str, int]() as race:
        race.start("a", a.count(5))
        race.start("b", b.count(1, 1.0))
        race.alarm("a", Alarm.STALLED).owes(0.5)
        await settle()
        race.stop("a")
        race.stop("a")
        assert await race.next() == Came("b", 0)
        assert a.is_closed


async def test_an_alarm_comes_through_the_door() -> None:
    began_s = now_s()
    async with Race[str, int]() as race:
        race.alarm("a", Alarm.SLOW).owes(0.5)
        assert await race.next() == Rang("a", Alarm.SLOW)
    assert now_s() - began_s == pytest.approx(0.5)


async def test_what_goes_on_beside_ends_with_the_race() -> None:
    has_ended = False

    async def wait() -> None:
        nonlocal has_ended
        try:
            await asyncio.sleep(1_000)
        finally:
            has_ended = True

    async with Race[str, int]() as race:
        race.aside(wait())
        await settle()
    assert has_ended


async def test_one_that_hangs_in_its_clean_up_is_broken_off_again_and_again() -> None:
    hung = 0

    async def hang() -> AsyncGenerator[int, None]:
        nonlocal hung
        try:
            await asyncio.sleep(1_000)
            yield 0
        finally:
            try:
                await asyncio.sleep(1_000)
            except asyncio.CancelledError:
                hung += 1
                await asyncio.sleep(1_000)

    began_s = now_s()
    async with Race[str, int]() as race:
        race.start("a", hang())
        await settle()
    assert hung == 1
    assert now_s() - began_s == pytest.approx(2 * CLOSE_S, abs=1e-3)


async def test_a_generator_may_yield_from_inside_a_race_and_be_closed_there() -> None:
    log = Log()

    async def leg() -> AsyncGenerator[int, None]:
        async with Race[str, int]() as race:
            race.start("a", log.count(5))
            while True:
                arrival = await race.next()
                assert isinstance(arrival, Came)
                yield arrival.thing

    async with aclosing(leg()) as numbers:
        assert await anext(numbers) == 0
    assert log.is_closed


async def test_an_error_leaves_the_race_as_it_is() -> None:
    log = Log()
    with pytest.raises(ZeroDivisionError):
        async with Race[str, int]() as race:
            race.start("a", log.count(5))
            await settle()
            raise ZeroDivisionError
    assert log.is_closed
