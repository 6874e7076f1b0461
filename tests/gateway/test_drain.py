"""How a house is emptied: in which order, how long each step may take, what cannot be waited for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from gateway import drain as draining
from gateway.drain import Hurry, drain

pytestmark = pytest.mark.anyio


@dataclass
class House:
    """Calls that end when the test lets them, and moves that take as long as they are told to."""

    calls: int
    has_another: bool = True
    gentle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: whoever is to be moved in a silence has had one."""
    urgent: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: no tool holds up who is moved at once."""
    done: list[str] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def live_calls(self) -> int:
        return self.calls

    def can_move(self) -> bool:
        return self.has_another

    async def move_calls(self, *, at_once: bool) -> None:
        self.done.append("at once" if at_once else "gently")
        self.asked.set()
        await (self.urgent if at_once else self.gentle).wait()
        self.calls = 0
        self.gentle.set()

    def close_door(self) -> None:
        self.done.append("door")


async def test_calls_that_end_by_themselves_are_neither_moved_nor_locked_in() -> None:
    house, hurry = House(calls=2), Hurry()
    emptying = asyncio.create_task(drain(house, hurry, wait_s=60.0, close_door=house.close_door))
    await asyncio.sleep(0)
    house.calls = 0
    await emptying
    assert house.done == []


async def test_what_is_left_when_time_is_over_is_moved_gently_behind_a_closed_door() -> None:
    house = House(calls=2)
    house.gentle.set()
    await drain(house, Hurry(), wait_s=0.01, close_door=house.close_door)
    assert house.done == ["door", "gently"]


async def test_the_second_signal_moves_at_once_and_the_first_does_not() -> None:
    house, hurry = House(calls=2), Hurry()
    house.urgent.set()
    hurry.more()
    emptying = asyncio.create_task(drain(house, hurry, wait_s=60.0, close_door=house.close_door))
    await asyncio.sleep(0)
    assert house.done == []
    hurry.more()
    hurry.more()  # there is nothing more urgent
    await emptying
    assert house.done == ["door", "gently", "at once"]


async def test_a_second_signal_in_the_middle_of_a_gentle_move_hurries_it() -> None:
    house, hurry = House(calls=2), Hurry()
    house.urgent.set()
    emptying = asyncio.create_task(drain(house, hurry, wait_s=0.01, close_door=house.close_door))
    await house.asked.wait()
    hurry.more()
    hurry.more()
    await emptying
    assert house.done == ["door", "gently", "at once"]


async def test_who_finds_no_silence_is_moved_at_once_when_that_took_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(draining, "MOVE_LIMIT_S", 0.01)
    house = House(calls=1)
    house.urgent.set()
    await drain(house, Hurry(), wait_s=0.01, close_door=house.close_door)
    assert house.done == ["door", "gently", "at once"]


async def test_a_tool_that_never_returns_does_not_keep_the_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(draining, "MOVE_LIMIT_S", 0.01)
    monkeypatch.setattr(draining, "PUSH_LIMIT_S", 0.01)
    house = House(calls=1)
    await drain(house, Hurry(), wait_s=0.01, close_door=house.close_door)
    assert "could not be moved" in caplog.text
    assert "1 calls and sessions are cut off" in caplog.text


async def test_without_another_worker_calls_are_cut_off_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    house = House(calls=3, has_another=False)
    await drain(house, Hurry(), wait_s=0.01, close_door=house.close_door)
    assert house.done == []
    assert "3 calls are cut off, as no other worker is there" in caplog.text


async def test_an_empty_house_is_left_at_once() -> None:
    house = House(calls=0)
    await drain(house, Hurry(), wait_s=60.0, close_door=house.close_door)
    assert house.done == []
