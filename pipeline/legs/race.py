"""A race: requests under way side by side, and all they bring through one door, in the order in which it comes.

Knows nothing of what is requested. It promises that every generator is closed before the race is over, that a
loser which hangs in its own clean-up is broken off, and that no failure of a request cancels whoever waits here:
failures come through the door as well.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeAlias, TypeVar

from pipeline.stall import Stall

A = TypeVar("A")
"""A request, as its leg knows it; told apart by identity."""
T = TypeVar("T")
"""What it brings."""

AHEAD: Final = 4
"""Things a request may bring before the first of them is taken; then it waits."""

CLOSE_S: Final = 0.5
"""For a request to clean up once it is stopped: a courteous close of a socket takes one way there and back. Then it
is cancelled in its clean-up as well, again and again."""


class Alarm(enum.Enum):
    """Why a request's alarm rang."""

    SLOW = enum.auto()
    """Time for a second one beside it."""
    STALLED = enum.auto()
    """Too long without a sign of life."""


@dataclass(frozen=True, slots=True)
class Came(Generic[A, T]):
    by: A
    thing: T


@dataclass(frozen=True, slots=True)
class Ended(Generic[A]):
    by: A
    error: Exception | None


@dataclass(frozen=True, slots=True)
class Rang(Generic[A]):
    by: A
    alarm: Alarm


Arrival: TypeAlias = Came[A, T] | Ended[A] | Rang[A]


class BrokeOff(Exception):
    """A request cancelled itself: something inside it was cancelled that was not ours to cancel."""


@dataclass(eq=False, slots=True)
class _Run:
    """The life of one request."""

    task: asyncio.Task[None] | None = None
    alarms: list[Stall] = field(default_factory=list)
    waiting: int = 0
    """Things it brought that nobody has taken."""
    has_room: asyncio.Event = field(default_factory=asyncio.Event)
    is_stopped: bool = False


class Race(Generic[A, T]):
    """`async with Race() as race:`, also within an async generator that yields from inside it.

    A task group alone would wrap the generator's exit in a group of exceptions.
    """

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._runs: dict[A, _Run] = {}
        self._aside: list[asyncio.Task[None]] = []
        self._arrivals: deque[Arrival[A, T]] = deque()
        self._has_arrived = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for by in list(self._runs):
            self.stop(by)
        for task in self._aside:
            task.cancel()
        # The error goes on as it is; none of the tasks can bring another.
        await self._group.__aexit__(None, None, None)

    def start(self, by: A, stream: AsyncGenerator[T, None]) -> None:
        """A request joins. Its `stream` is closed when it ends or is stopped."""
        run = self._runs.setdefault(by, _Run())
        run.task = self._group.create_task(self._pump(by, run, stream))

    def aside(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that goes on beside the requests, until the race is over. It must not fail."""
        self._aside.append(self._group.create_task(work))

    def alarm(self, by: A, alarm: Alarm) -> Stall:
        """An alarm that comes through the door, if its request is not stopped before."""
        run = self._runs.setdefault(by, _Run())
        run.alarms.append(Stall(lambda: self._post(Rang(by, alarm))))
        return run.alarms[-1]

    def stop(self, by: A) -> None:
        """It is out: nothing of it arrives any more. Nobody waits for its clean-up before the race is over."""
        run = self._runs[by]
        if run.is_stopped:
            return
        run.is_stopped = True
        for alarm in run.alarms:
            alarm.end()
        if run.task is not None:
            _cancel(run.task)

    def is_waited_for(self, by: A) -> bool:
        """Whether it has brought something that nobody has taken yet."""
        return self._runs[by].waiting > 0

    async def next(self) -> Arrival[A, T]:
        """What comes next, of those that are still in."""
        while True:
            while self._arrivals:
                arrival = self._arrivals.popleft()
                run = self._runs[arrival.by]
                if isinstance(arrival, Came):
                    run.waiting -= 1
                    run.has_room.set()
                if not run.is_stopped:
                    return arrival
            self._has_arrived.clear()
            await self._has_arrived.wait()

    def _post(self, arrival: Arrival[A, T]) -> None:
        self._arrivals.append(arrival)
        self._has_arrived.set()

    async def _pump(self, by: A, run: _Run, stream: AsyncGenerator[T, None]) -> None:
        error: Exception | None = BrokeOff("its request was cancelled from within")
        try:
            async with aclosing(stream):
                async for thing in stream:
                    run.waiting += 1
                    self._post(Came(by, thing))
                    while run.waiting >= AHEAD:
                        run.has_room.clear()
                        await run.has_room.wait()
            error = None
        except Exception as failure:  # the edge of a task: its leg judges it
            error = failure
        finally:
            run.task = None  # cancelled, it holds this frame
            if not run.is_stopped:
                self._post(Ended(by, error))


def _cancel(task: asyncio.Task[None]) -> None:
    """Now, and again for as long as it hangs in its clean-up."""
    if not task.done():
        task.cancel()
        task.get_loop().call_later(CLOSE_S, _cancel, task)
