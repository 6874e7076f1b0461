"""One timer for everybody: in order, on time, and nobody's fault stops the others."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media_stream.pacer import TICK_S, Pacer
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s, virtual_loop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


class Woken:
    """Callbacks that write down when they were called."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.at_s: list[float] = []

    def __call__(self, name: str) -> None:
        self.names.append(name)
        self.at_s.append(now_s())


def timers() -> int:
    """Timers the running loop still holds."""
    scheduled: list[asyncio.TimerHandle] = getattr(asyncio.get_running_loop(), "_scheduled")  # noqa: B009
    return sum(not timer.cancelled() for timer in scheduled)


async def test_calls_are_woken_in_the_order_they_are_due_whatever_order_they_asked_in() -> None:
    pacer, woken = Pacer(), Woken()
    for name, when in (("last", 0.9), ("first", 0.1), ("second", 0.5)):
        pacer.wake_at(when, lambda name=name: woken(name))  # type: ignore[misc]
    await asyncio.sleep(1)
    assert woken.names == ["first", "second", "last"]
    assert woken.at_s == pytest.approx([0.1, 0.5, 0.9], abs=TICK_S)


async def test_those_of_one_tick_are_woken_in_the_order_they_asked() -> None:
    pacer, woken = Pacer(), Woken()
    for name in "abc":
        pacer.wake_at(0.1001, lambda name=name: woken(name))  # type: ignore[misc]
    await asyncio.sleep(0.2)
    assert woken.names == ["a", "b", "c"]


async def test_a_wake_asked_for_later_does_not_hide_an_earlier_one() -> None:
    pacer, woken = Pacer(), Woken()
    pacer.wake_at(0.05, lambda: woken("early"))
    pacer.wake_at(5.0, lambda: woken("late"))
    await asyncio.sleep(0.06)
    assert woken.names == ["early"]
    await asyncio.sleep(5)
    assert woken.names == ["early", "late"]


async def test_an_earlier_wake_goes_before_one_the_timer_is_set_for() -> None:
    pacer, woken = Pacer(), Woken()
    pacer.wake_at(5.0, lambda: woken("late"))
    pacer.wake_at(0.05, lambda: woken("early"))
    assert timers() == 1
    await asyncio.sleep(6)
    assert woken.names == ["early", "late"]


async def test_a_wake_for_the_past_comes_within_a_tick() -> None:
    pacer, woken = Pacer(), Woken()
    await asyncio.sleep(3)
    pacer.wake_at(1.0, lambda: woken("overdue"))
    assert woken.names == []
    await asyncio.sleep(2 * TICK_S)
    assert woken.at_s == pytest.approx([3.0], abs=2 * TICK_S)


async def test_a_call_that_fails_when_woken_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    pacer, woken = Pacer(), Woken()

    def fail() -> None:
        raise RuntimeError("out of order")

    pacer.wake_at(0.1, fail)
    pacer.wake_at(0.1, lambda: woken("same tick"))
    pacer.wake_at(0.2, lambda: woken("later"))
    with caplog.at_level(logging.ERROR):
        await asyncio.sleep(0.3)
    assert woken.names == ["same tick", "later"]
    (record,) = caplog.records
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "out of order"


async def test_who_is_woken_may_ask_again_even_for_now() -> None:
    pacer, woken = Pacer(), Woken()

    def again() -> None:
        woken("again")
        if len(woken.names) < 200:
            pacer.wake_at(now_s(), again)

    pacer.wake_at(0.1, again)
    await asyncio.sleep(3)
    steps = [after - before for before, after in zip(woken.at_s, woken.at_s[1:], strict=False)]
    assert steps == pytest.approx([TICK_S] * 199, abs=1e-6)


async def test_who_is_woken_may_ask_for_a_time_before_one_that_is_pending() -> None:
    pacer, woken = Pacer(), Woken()

    def first() -> None:
        woken("first")
        pacer.wake_at(0.5, lambda: woken("asked for when woken"))
        pacer.wake_at(0.7, lambda: woken("last"))

    pacer.wake_at(0.6, lambda: woken("pending"))
    pacer.wake_at(0.1, first)
    await asyncio.sleep(1)
    assert woken.names == ["first", "asked for when woken", "pending", "last"]


async def test_one_timer_serves_all_and_none_is_left_when_nobody_waits() -> None:
    pacer = Pacer()
    assert timers() == 0
    for number in range(100):
        pacer.wake_at(0.1 + number / 100, lambda: None)
        assert timers() == 1
    await asyncio.sleep(2)
    assert timers() == 0


async def test_what_a_blocked_loop_held_up_comes_in_order_as_soon_as_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pacer, woken = Pacer(), Woken()
    loop, late_s = asyncio.get_running_loop(), 0.0
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + late_s)
    for name, when in (("b", 0.3), ("a", 0.2), ("c", 0.4)):
        pacer.wake_at(when, lambda name=name: woken(name))  # type: ignore[misc]
    late_s = 0.5
    await asyncio.sleep(TICK_S)
    assert woken.names == ["a", "b", "c"]


async def test_the_pacers_clock_is_the_loops() -> None:
    pacer = Pacer()
    await asyncio.sleep(12.5)
    assert pacer.now() == now_s() == pytest.approx(12.5)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=40))
def test_everybody_is_woken_once_at_most_a_tick_early_and_a_tick_late(wishes: list[float]) -> None:
    woken: list[tuple[int, float]] = []

    async def main() -> None:
        pacer = Pacer()
        for number, when in enumerate(wishes):
            pacer.wake_at(when, lambda number=number: woken.append((number, now_s())))  # type: ignore[misc]
        await asyncio.sleep(101)
        assert timers() == 0

    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        runner.run(main())
    assert sorted(number for number, _ in woken) == list(range(len(wishes)))
    for number, at_s in woken:
        # Nobody is woken in the tick that is running: the first one is the next.
        assert wishes[number] - TICK_S - 1e-6 <= at_s <= max(wishes[number], TICK_S) + 1e-6
