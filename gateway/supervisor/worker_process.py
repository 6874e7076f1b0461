"""One worker process as its supervisor sees it: started, listened to, told to go, and killed when it is silent.

The watchdog is here. A worker whose event loop does not run (a stop signal, a blocking call, a hang) cannot carry
calls, so it is killed: SIGTERM would wait for a loop that does not come, and its calls can only go on elsewhere
once its sockets are gone. Whether it is replaced, the supervisor decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from gateway.supervisor.channel import PAGE_LIMIT_S, Word, read_word
from gateway.supervisor.seat import Seat

START_LIMIT_S = 30.0
"""From the start of the process until it accepts connections. Models are loaded meanwhile, which takes a second or
two; a machine that needs longer than this is broken or busy."""

LEAVE_LIMIT_S = 15.0
"""From the last beat to the end of the process: uvicorn waits five seconds for open connections, and what the
application has opened is closed."""

LOOK_EVERY_S = 0.05
"""Half a beat: a silence is noticed this much later at most."""


class Stage(Enum):
    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    """Told to go; its calls end, or are moved."""
    LEAVING = "leaving"
    """It beats no more because its event loop is about to end."""
    GONE = "gone"


STEPS: Mapping[Stage, frozenset[Stage]] = {
    Stage.STARTING: frozenset({Stage.SERVING, Stage.DRAINING, Stage.GONE}),
    Stage.SERVING: frozenset({Stage.DRAINING, Stage.LEAVING, Stage.GONE}),
    Stage.DRAINING: frozenset({Stage.LEAVING, Stage.GONE}),
    Stage.LEAVING: frozenset({Stage.GONE}),
    Stage.GONE: frozenset(),
}
"""A worker may leave unasked: somebody has sent the process itself a signal."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds of silence after which a worker is killed."""

    watchdog_s: float
    """While it serves or drains; 0: never."""
    start_s: float = START_LIMIT_S
    leave_s: float = LEAVE_LIMIT_S

    def of(self, stage: Stage) -> float:
        match stage:
            case Stage.STARTING:
                return self.start_s
            case Stage.LEAVING:
                return self.leave_s
            case _:
                return self.watchdog_s or math.inf


class WorkerProcess:
    """A process that was started. `attend` must run until it returns: it hears the worker and buries it."""

    def __init__(
        self,
        worker_id: str,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        limits: Limits,
        stepped: Callable[[], None],
    ) -> None:
        """`stepped` is called after every change of `stage`."""
        self.worker_id = worker_id
        self.stage = Stage.STARTING
        self.has_served = False
        self._stepped = stepped
        self._process, self._reader, self._writer, self._limits = process, reader, writer, limits
        self._now = asyncio.get_running_loop().time
        self._started_at_s = self._heard_at_s = self._now()
        self._pages: asyncio.Queue[bytes] = asyncio.Queue(1)  # one is asked for at a time
        self._asking = asyncio.Lock()
        self._is_killed_because = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """As the process left it; negative is the signal that killed it."""
        return self._process.returncode

    @property
    def lived_s(self) -> float:
        return self._now() - self._started_at_s

    async def attend(self) -> str:
        """Until the process is gone; says why it went."""
        async with asyncio.TaskGroup() as tasks:
            duties = (tasks.create_task(self._listen()), tasks.create_task(self._watch()))
            await self._process.wait()
            for duty in duties:
                duty.cancel()
        self._writer.close()
        self._step(Stage.GONE)
        return self._is_killed_because or cause_of(self._process.returncode or 0)

    def retire(self) -> None:
        """Others take its connections: it lets its calls end and leaves."""
        self._step(Stage.DRAINING)
        self._writer.write(Word.RETIRE.value)

    def terminate(self) -> None:
        """Send SIGTERM: the first has it drain with its door open, one more has it leave at once."""
        self._step(Stage.DRAINING)
        self._send(signal.SIGTERM)

    def kill(self, why: str) -> None:
        self._is_killed_because = why
        self._send(signal.SIGKILL)

    async def page(self) -> str | None:
        """Its metrics; None if it has none to show or does not answer."""
        if self.stage not in (Stage.SERVING, Stage.DRAINING):
            return None
        async with self._asking:
            with contextlib.suppress(asyncio.QueueEmpty):
                self._pages.get_nowait()  # an answer that came too late
            self._writer.write(Word.ASK_PAGE.value)
            try:
                async with asyncio.timeout(PAGE_LIMIT_S):
                    return (await self._pages.get()).decode()
            except TimeoutError:
                return None

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # it went on its own, just now
            self._process.send_signal(number)

    def _step(self, stage: Stage) -> None:
        """Words arrive late: one that would lead back is not believed."""
        if stage in STEPS[self.stage]:
            self.stage = stage
            self.has_served = self.has_served or stage is Stage.SERVING
            self._stepped()

    async def _listen(self) -> None:
        while message := await self._word():
            self._heard_at_s = self._now()
            match message:
                case Word.READY, _:
                    self._step(Stage.SERVING)
                case Word.LEAVING, _:
                    self._step(Stage.LEAVING)
                case Word.PAGE, text:
                    if not self._pages.full():
                        self._pages.put_nowait(text)

    async def _word(self) -> tuple[Word, bytes] | None:
        try:
            return await read_word(self._reader)
        except ValueError as error:
            self.kill(f"said what is no word: {error}")
            return None

    async def _watch(self) -> None:
        while True:
            due_s = self._now() + LOOK_EVERY_S
            await asyncio.sleep(LOOK_EVERY_S)
            # When it is we who were held up, what the worker said meanwhile is not read yet.
            late_s = self._now() - due_s
            if late_s > LOOK_EVERY_S:
                self._heard_at_s += late_s
            silent_s, limit_s = self._now() - self._heard_at_s, self._limits.of(self.stage)
            if silent_s > limit_s:
                self.kill(silence(self.stage, silent_s))
                return


def cause_of(exit_code: int) -> str:
    """`exit code 3`, or the signal it was killed by."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"killed by signal {-exit_code} ({signal.Signals(-exit_code).name})"
    except ValueError:
        return f"killed by signal {-exit_code}"


def silence(stage: Stage, silent_s: float) -> str:
    """Why a worker in this stage is killed after so long a silence."""
    match stage:
        case Stage.STARTING:
            return f"not ready after {silent_s:.1f} s"
        case Stage.LEAVING:
            return f"still there {silent_s:.1f} s after it had finished"
        case _:
            return f"no beat for {silent_s:.1f} s"


async def start_worker(
    seat: Seat,
    command: Sequence[str],
    environ: Mapping[str, str],
    channel: socket.socket,
    limits: Limits,
    stepped: Callable[[], None],
) -> WorkerProcess:
    """Start the process with this command line, which inherits the seat's files. `channel` is our end.

    Raises `OSError` if there is no process to be had.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(environ),
        pass_fds=seat.descriptors,
        stdin=asyncio.subprocess.DEVNULL,
        # Ctrl-C goes to every process of the terminal's group; a worker is told once, by its supervisor.
        start_new_session=True,
    )
    reader, writer = await asyncio.open_unix_connection(sock=channel)
    return WorkerProcess(seat.worker_id, process, reader, writer, limits, stepped)
