"""The supervisor: holds the port, keeps so many workers alive, and passes on what it is told by signals.

SIGTERM and SIGINT: all workers drain, and it leaves with the last; again: they leave at once. SIGHUP: one worker
after another is replaced by a new one, which has to be ready before the old one retires, so that capacity never
falls. A worker that dies is replaced at once, unless it does so again and again (`restarts.py`).

It serves nobody and knows no call. If it dies itself, its workers notice, let go of the port and finish their
calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from gateway.supervisor.entrance import BACKLOG
from gateway.supervisor.restarts import Restarts
from gateway.supervisor.seat import Seat
from gateway.supervisor.tally import Tally, shared_memory
from gateway.supervisor.worker_process import Limits, Stage, WorkerProcess, start_worker
from gateway.worker_id import new_worker_id

log = logging.getLogger(__name__)

WRONG_USE = 2
"""A worker's exit code for settings it cannot start with; another start would end the same."""

GIVEN_UP = 1
"""Our own, when workers die as fast as they are started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be kept running."""

    workers: int
    command: Callable[[Seat], Sequence[str]]
    """The command line of a worker in this seat."""
    environ: Mapping[str, str]
    limits: Limits


def bound(host: str, port: int) -> socket.socket:
    """The listener all workers share; port 0 takes a free one. Raises `OSError`, for a port that is taken too."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    # `create_server` sets SO_REUSEADDR, and listens: nobody is refused while a worker is being replaced.
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


@dataclass(eq=False)
class _Slot:
    """The place of one worker among those that are to be there."""

    number: int
    worker: WorkerProcess | None = None
    restarts: Restarts = field(default_factory=Restarts)


class Supervisor:
    """Of the workers of one listener. `run` once."""

    def __init__(self, plan: Plan, listener: socket.socket) -> None:
        self._plan, self._listener = plan, listener
        self._slots = [_Slot(number) for number in range(1, plan.workers + 1)]
        self._living: dict[WorkerProcess, int] = {}
        """Each with its place in the tally."""
        # In a roll there is one more than wanted; and each may be replaced by two, a roll and its death at once.
        self._places = 2 * plan.workers + 1
        self._changed = asyncio.Event()
        self._is_stopping = self._is_roll_wanted = self._has_served = False
        self._exit_code = 0
        self.deaths = 0
        """Workers that went without being told to."""

    async def run(self, ready: Callable[[], None]) -> int:
        """Until the last worker has left; the exit code. `ready` is called once, when all workers serve."""
        loop = asyncio.get_running_loop()
        answers = {signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self.roll}
        with ExitStack() as cleanup:
            self._memory = cleanup.enter_context(shared_memory(self._places))
            for number, answer in answers.items():
                loop.add_signal_handler(number, answer)
                cleanup.callback(loop.remove_signal_handler, number)
            async with asyncio.TaskGroup() as self._tasks:  # waits for whoever attends a worker
                await self._begin(ready)
                while not self._is_stopping:
                    if self._is_roll_wanted:
                        await self._roll_all()
                    else:
                        await self._change()
        return self._exit_code

    def stop(self) -> None:
        """All workers drain, those too that are just starting. Called again, they do not wait."""
        if self._is_stopping:
            log.info("told to stop again: %d workers leave at once", len(self._living))
            told = list(self._living)
        else:
            log.info("told to stop: %d workers drain", len(self._living))
            told = [worker for worker in self._living if worker.stage is not Stage.DRAINING]
        self._is_stopping = True
        self._changed.set()
        for worker in told:
            worker.terminate()

    def roll(self) -> None:
        """Replace all workers, one after another; what they read at their start is read anew."""
        self._is_roll_wanted = True
        self._changed.set()

    @property
    def serving(self) -> int:
        """Workers that take connections."""
        return sum(worker.stage is Stage.SERVING for worker in self._living)

    @property
    def living(self) -> int:
        """Worker processes, those that start, drain and leave among them."""
        return len(self._living)

    async def pages(self) -> dict[str, str]:
        """The metrics of all workers that answer, by their names."""
        workers = list(self._living)
        pages = await asyncio.gather(*(worker.page() for worker in workers))
        return {worker.worker_id: page for worker, page in zip(workers, pages, strict=True) if page is not None}

    async def _begin(self, ready: Callable[[], None]) -> None:
        """The first worker alone: what stops its start is said once, and the others find its files in memory."""
        await self._fill(self._slots[0], None)
        await self._until_serving(1)
        for slot in self._slots[1:]:
            if not self._is_stopping:
                await self._fill(slot, None)
        await self._until_serving(self._plan.workers)
        if not self._is_stopping:
            ready()

    async def _until_serving(self, count: int) -> None:
        while self.serving < count and not self._is_stopping:
            await self._change()

    async def _change(self) -> None:
        """Until a worker's stage changes, or a signal comes. Ask what is waited for before and after."""
        self._changed.clear()
        await self._changed.wait()

    async def _fill(self, slot: _Slot, former: WorkerProcess | None) -> None:
        """A new worker in the slot. If the slot is not the former one's any more, a roll was quicker."""
        worker = await self._started(slot)
        if worker is None:
            return
        if slot.worker is former:
            slot.worker = worker
        else:
            worker.retire()

    async def _started(self, slot: _Slot) -> WorkerProcess | None:
        """A new worker, however often the system has no process for it; None if it is not wanted any more."""
        while True:
            try:
                return await self._start(slot)
            except OSError as error:
                delay_s = slot.restarts.died(0)
                log.error("a worker cannot be started: %s; tried again in %g s", error, delay_s)
                if slot.restarts.is_hopeless and not self.serving:
                    self._give_up(GIVEN_UP, "no worker can be started")
            await self._pause(delay_s)
            if self._is_stopping:
                return None

    async def _start(self, slot: _Slot) -> WorkerProcess:
        place = min(set(range(len(self._living) + 1)) - set(self._living.values()))
        ours, theirs = socket.socketpair()
        with theirs:
            seat = Seat(
                worker_id=new_worker_id(slot.number),
                place=place,
                listener=self._listener.fileno(),
                channel=theirs.fileno(),
                tally=self._memory,
            )
            command, plan = self._plan.command(seat), self._plan
            try:
                worker = await start_worker(seat, command, plan.environ, ours, plan.limits, self._changed.set)
            except OSError:
                ours.close()
                raise
        self._living[worker] = place
        self._tasks.create_task(self._attend(slot, worker))
        log.info("worker %s started, pid %d", worker.worker_id, worker.pid)
        if self._is_stopping:
            worker.terminate()
        return worker

    async def _attend(self, slot: _Slot, worker: WorkerProcess) -> None:
        why = await worker.attend()
        self._has_served = self._has_served or worker.has_served
        self._changed.set()
        with Tally.at(self._memory, self._living.pop(worker)) as tally:
            tally.leave()  # nobody waits for it to take a connection
        if self._is_stopping or slot.worker is not worker:
            log.info("worker %s has left: %s", worker.worker_id, why)
        else:
            await self._replace(slot, worker, why)

    async def _replace(self, slot: _Slot, worker: WorkerProcess, why: str) -> None:
        self.deaths += 1
        delay_s = slot.restarts.died(worker.lived_s)
        if worker.exit_code == WRONG_USE and not self._has_served:
            self._give_up(WRONG_USE, f"worker {worker.worker_id} cannot start; it has said why")
        elif slot.restarts.is_hopeless and not self.serving:
            self._give_up(GIVEN_UP, f"worker {worker.worker_id} died too: {why}; no worker serves")
        else:
            when = f"in {delay_s:g} s" if delay_s else "at once"
            log.error("worker %s died: %s; it is replaced %s", worker.worker_id, why, when)
            await self._pause(delay_s)
            # A roll may have filled the slot meanwhile.
            if slot.worker is worker and not self._is_stopping:
                await self._fill(slot, worker)

    async def _pause(self, duration_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(duration_s):
                while not self._is_stopping:
                    await self._change()

    def _give_up(self, exit_code: int, why: str) -> None:
        log.critical("giving up: %s", why)
        self._exit_code = exit_code
        self.stop()

    async def _roll_all(self) -> None:
        self._is_roll_wanted = False
        log.info("rolling restart of %d workers", len(self._slots))
        for slot in self._slots:
            if not await self._roll_one(slot):
                break
        else:
            log.info("rolling restart done")

    async def _roll_one(self, slot: _Slot) -> bool:
        """Whether the next may follow: not when stopping, and not when the new worker was never ready."""
        try:
            successor = await self._start(slot)
        except OSError as error:
            log.error("rolling restart stopped: no worker can be started: %s", error)
            return False
        while successor.stage is Stage.STARTING and not self._is_stopping:
            await self._change()
        if self._is_stopping:
            return False
        if successor.stage is not Stage.SERVING:
            log.error("rolling restart stopped: worker %s was never ready; the others stay", successor.worker_id)
            return False
        former, slot.worker = slot.worker, successor
        if former not in self._living:
            return True  # it has died meanwhile
        former.retire()
        while former in self._living and not self._is_stopping:
            await self._change()
        return not self._is_stopping
