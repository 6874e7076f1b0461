"""Supervisors with real worker processes, in the test's own event loop, and what they logged."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from gateway.supervisor.seat import Seat
from gateway.supervisor.supervisor import Plan, Supervisor, bound
from gateway.supervisor.worker_process import Limits

LIMIT_S = 30.0
"""No wait of these tests lasts longer, however busy the machine."""

WATCHDOG_S = 5.0
"""For tests that want nobody killed but by themselves, on a machine that may be busy."""

ROOT = Path(__file__).parents[3]


def program(behaviour: str) -> Callable[[Seat], Sequence[str]]:
    """The command line of a worker of the tests."""
    if behaviour == "is-missing":
        return lambda _seat: ("/nowhere/python",)
    return lambda seat: (sys.executable, "-m", "tests.gateway.supervisor.worker", behaviour, *seat.options())


@dataclass
class Team:
    """A running supervisor and its workers."""

    supervisor: Supervisor
    port: int
    records: asyncio.Queue[str]
    behaviour: list[str] = field(default_factory=lambda: ["serves"])
    """Of the workers started from now on."""
    running: asyncio.Task[int] = field(init=False)

    async def who(self) -> tuple[str, int]:
        """The worker that answers, by its name and process id; each time on a new connection."""
        async with aiohttp.ClientSession() as session:
            return await self.asked(session, "/")

    async def asked(self, session: aiohttp.ClientSession, path: str) -> tuple[str, int]:
        async with asyncio.timeout(LIMIT_S), session.get(f"http://127.0.0.1:{self.port}{path}") as response:
            name, pid = (await response.text()).split()
            return name, int(pid)

    async def both(self) -> dict[str, int]:
        """Two workers that answer, by name: they take turns when connections stay open."""
        found: dict[str, int] = {}
        async with asyncio.timeout(LIMIT_S):
            while len(found) < 2:
                async with aiohttp.ClientSession() as one, aiohttp.ClientSession() as other:
                    found = dict([await self.asked(one, "/"), await self.asked(other, "/")])
        return found

    async def logged(self, words: str) -> str:
        """The next record with these words."""
        async with asyncio.timeout(LIMIT_S):
            while words not in (record := await self.records.get()):
                pass
            return record

    async def until_serving(self, count: int) -> None:
        async with asyncio.timeout(LIMIT_S):
            while self.supervisor.serving != count:  # noqa: ASYNC110 - a count, and no event
                await asyncio.sleep(0.01)

    async def left(self) -> int:
        """Until the supervisor has; its exit code."""
        return await asyncio.wait_for(asyncio.shield(self.running), LIMIT_S)


@asynccontextmanager
async def team(
    behaviour: str = "serves", *, workers: int = 2, limits: Limits | None = None, is_ready: bool = True
) -> AsyncGenerator[Team, None]:
    """With `is_ready`, once all workers serve. At the end all are killed that are still there."""
    records: asyncio.Queue[str] = asyncio.Queue()
    ears = logging.Handler()
    setattr(ears, "emit", lambda record: records.put_nowait(record.getMessage()))  # noqa: B010
    logger = logging.getLogger("gateway.supervisor.supervisor")
    logger.addHandler(ears)
    before, logger.level = logger.level, logging.INFO
    listener: socket.socket = bound("127.0.0.1", 0)
    behaviours = [behaviour]
    plan = Plan(
        workers=workers,
        command=lambda seat: program(behaviours[0])(seat),
        environ={**os.environ, "PYTHONPATH": str(ROOT)},
        limits=limits or Limits(watchdog_s=WATCHDOG_S),
    )
    ready = asyncio.Event()
    here = Team(Supervisor(plan, listener), listener.getsockname()[1], records, behaviours)
    here.running = asyncio.create_task(here.supervisor.run(ready.set))
    try:
        if is_ready:
            await asyncio.wait_for(ready.wait(), LIMIT_S)
        yield here
    finally:
        here.supervisor.stop()
        here.supervisor.stop()
        await asyncio.wait_for(here.running, LIMIT_S)
        listener.close()
        logger.removeHandler(ears)
        logger.setLevel(before)
