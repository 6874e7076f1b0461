"""Leaving without hanging up on anybody: first calls end by themselves, then they are moved to other workers.

Moving a call is closing its media stream at a moment when nobody speaks; Twilio then asks the way back, any other
worker answers it, and the conversation goes on there from the spare copy. Knows no signal and no server: it is told
when to hurry, and says when all is done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.2
"""How soon after the last call has ended the process may leave."""

MOVE_LIMIT_S: Final = 30.0
"""For all moves together: an answer is seldom longer, and who speaks longer than that is moved in the middle."""


PUSH_LIMIT_S: Final = 6.0
"""For moves in the middle of things: a tool that runs has five seconds of its own, by default, to end. Whatever
takes longer loses its stream with the process, and goes on elsewhere like after a crash."""


class Drained(Protocol):
    """What is to be emptied."""

    async def live_calls(self) -> int:
        """Calls and sessions that go on here."""
        ...

    def can_move(self) -> bool:
        """Whether another worker is there to go on with a call."""
        ...

    async def move_calls(self, *, at_once: bool) -> None:
        """Until all calls here have been given to others: each when nobody speaks, or at once."""
        ...


class Hurry:
    """How urgent it is: each further signal is one step."""

    def __init__(self) -> None:
        self.first, self.second = asyncio.Event(), asyncio.Event()

    def more(self) -> None:
        for step in (self.first, self.second):
            if not step.is_set():
                step.set()
                return


async def drain(house: Drained, hurry: Hurry, *, wait_s: float, close_door: Callable[[], None]) -> None:
    """Empty the house. `wait_s`: how long calls may go on by themselves. `close_door`: no connection comes in any
    more, those there are stay."""
    live = await house.live_calls()
    if live:
        log.info("draining: %d calls live, no new ones, up to %.0f s", live, wait_s)
    await _emptied(house, hurry.second, wait_s)
    left = await house.live_calls()
    if not left:
        return
    if not house.can_move():
        log.warning("drain time is over: %d calls are cut off, as no other worker is there to take them", left)
        return
    log.info("moving %d calls to other workers", left)
    close_door()
    await _move(house, hurry)
    if left := await house.live_calls():
        log.warning("%d calls and sessions are cut off", left)


async def _emptied(house: Drained, hurry: asyncio.Event, limit_s: float) -> None:
    """Until nobody is left, time is up, or it is urgent."""
    try:
        async with asyncio.timeout(limit_s):
            # Calls end in many ways, and none of them is an event for "nobody left".
            while await house.live_calls() and not hurry.is_set():  # noqa: ASYNC110
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        pass


async def _move(house: Drained, hurry: Hurry) -> None:
    gently = asyncio.ensure_future(house.move_calls(at_once=False))
    urgent = asyncio.ensure_future(hurry.second.wait())
    try:
        await asyncio.wait((gently, urgent), timeout=MOVE_LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        if not gently.done():
            async with asyncio.timeout(PUSH_LIMIT_S):
                await house.move_calls(at_once=True)
                await gently
    except TimeoutError:
        log.warning("some calls could not be moved within %.0f s", PUSH_LIMIT_S)
    finally:
        urgent.cancel()
        gently.cancel()
