"""The events a WebRTC client has been sent, in order, and how to wait for one.

Knows messages and no connection: whether more can come is asked of whoever made it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, TypeVar

from simulator.errors import SimulatorError

LIMIT_S: Final = 30
"""For any one wait."""

Event: TypeAlias = dict[str, Any]
T = TypeVar("T")


class NothingCame(SimulatorError):
    """What was waited for did not come, or something else did. Tells what has."""


class Inbox:
    """All messages of one channel. `frames` are all events; those `expect` has passed are not waited for again."""

    def __init__(self, is_over: Callable[[], bool], state: Callable[[], str]) -> None:
        """`is_over`: nothing more can come. `state`: of the connection, in words, for what is raised."""
        self.frames: list[Event] = []
        self.unreadable: list[str | bytes] = []
        """Messages that are no event: binary ones, what is no JSON object, what has no type."""
        self._is_over = is_over
        self._state = state
        self._passed = 0
        self._news = asyncio.Event()

    def receive(self, message: str | bytes) -> None:
        """Take one message as it came."""
        try:
            event = json.loads(message) if isinstance(message, str) else None
        except ValueError:
            event = None
        if isinstance(event, dict) and isinstance(event.get("type"), str):
            self.frames.append(event)
        else:
            self.unreadable.append(message)
        self.wake()

    def wake(self) -> None:
        """Something has changed that may be waited for."""
        self._news.set()

    async def comes(self, is_so: Callable[[], bool], within_s: float = LIMIT_S) -> bool:
        """Whether it becomes so in time. What makes it so calls `wake`."""
        try:
            async with asyncio.timeout(within_s):
                while not is_so():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def in_time(self, wish: Awaitable[T], name: str, within_s: float = LIMIT_S) -> T:
        """Its result. Raises `NothingCame` if there is none in time."""
        try:
            async with asyncio.timeout(within_s):
                return await wish
        except TimeoutError:
            raise NothingCame(f"{name} did not come within {within_s:g} s; {self.so_far()}") from None

    async def next(self, within_s: float = LIMIT_S) -> Event:
        """The next event, waited for if need be. Raises `NothingCame`."""
        await self.comes(lambda: self._passed < len(self.frames) or self._is_over(), within_s)
        if self._passed == len(self.frames):
            raise NothingCame(f"no event came; {self.so_far()}")
        self._passed += 1
        return self.frames[self._passed - 1]

    async def until(self, *types: str, within_s: float = LIMIT_S) -> list[Event]:
        """All events up to the first of one of these types. Raises `NothingCame`, also at an unexpected `error`."""
        now_s = asyncio.get_running_loop().time
        begun, last_s = self._passed, now_s() + within_s
        while True:
            try:
                event = await self.next(max(0.0, last_s - now_s()))
            except NothingCame as error:
                raise NothingCame(f"{' or '.join(types)} was waited for: {error}") from None
            if event["type"] in types:
                return self.frames[begun : self._passed]
            if event["type"] == "error":
                raise NothingCame(f"{' or '.join(types)} was waited for, and this came: {event}")

    async def seen(self, type: str, within_s: float = LIMIT_S) -> None:
        """Until there is such an event, or an `error`, passing over none. Raises `NothingCame`."""

        def is_there() -> bool:
            return any(event["type"] in (type, "error") for event in self.frames)

        await self.comes(lambda: is_there() or self._is_over(), within_s)
        if not any(event["type"] == type for event in self.frames):
            raise NothingCame(f"{type} did not come; {self.so_far()}")

    def so_far(self) -> str:
        """For a message: the connection's state and the types of all events."""
        return f"{self._state()}, events so far: {[event['type'] for event in self.frames]}"
