"""A process of the stage on which faults are played: started, watched through /proc, and ended by its id.

It is a gateway of one worker, or a supervisor with its workers. Signals go to it or to one of its children, by
their ids and never by a name.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import aiohttp

from gateway.cli.loopback import HOST
from gateway.cli.prove_gateway import MODULE

READY_LIMIT_S: Final = 60.0
"""Loading the model takes seconds on a machine that is busy with other things."""

LEAVE_LIMIT_S: Final = 60.0
"""From SIGTERM to the end: the time to drain, and to move what is left."""

LOOK_EVERY_S: Final = 0.05

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Worker:
    """See the module's docstring."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, log: Path) -> None:
        self._process = process
        self.port = port
        self.log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    @property
    def children(self) -> tuple[int, ...]:
        """Ids of the processes it has started, the oldest first."""
        try:
            text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        except OSError:
            return ()
        return tuple(sorted(int(word) for word in text.split()))

    @property
    def rss_bytes(self) -> int:
        """Memory it has; 0 once it is gone."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE_BYTES
        except OSError:
            return 0

    def descriptors(self, but_to_port: int = 0) -> int:
        """Files it has open; connections to that port of this machine do not count: a pool of them grows as it is
        needed, and stays."""
        folder = Path(f"/proc/{self.pid}/fd")
        found, pooled = 0, _connected_to(self.pid, but_to_port)
        with suppress(OSError):  # it is gone
            for name in os.listdir(folder):
                with suppress(OSError):  # it was closed meanwhile
                    found += os.readlink(folder / name) not in pooled
        return found

    def send(self, number: signal.Signals) -> None:
        """Nothing happens to one that is gone."""
        if self.is_running:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def gone(self, limit_s: float = LEAVE_LIMIT_S) -> int | None:
        """Wait until it has left; its exit code, or None if it has not."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                return await self._process.wait()
        return None

    async def end(self) -> None:
        """Whatever it does, and its children with it."""
        children = self.children
        self.send(signal.SIGKILL)
        await self._process.wait()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    async def ready(self) -> None:
        """Wait until it takes calls. Raises `RuntimeError` with the end of its log."""
        url = f"http://{HOST}:{self.port}/readyz"
        try:
            async with asyncio.timeout(READY_LIMIT_S), aiohttp.ClientSession() as session:
                while self.is_running:
                    if await _answers(session, url):
                        return
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            pass
        said = await asyncio.to_thread(self.log.read_text, "utf-8", "replace")
        raise RuntimeError(f"a worker did not become ready; the end of its log, {self.log}:\n{said[-2000:]}")


def _connected_to(pid: int, port: int) -> frozenset[str]:
    """Its sockets with this port at their other end, as `/proc/PID/fd` names them."""
    try:
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return frozenset()
    fields = [line.split() for line in lines]
    return frozenset(f"socket:[{one[9]}]" for one in fields if int(one[2].rpartition(":")[2], 16) == port)


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def start_worker(kind: str, port: int, environ: Mapping[str, str], log: Path) -> Worker:
    """`kind` is a command of `prove_gateway.py`. It is not ready yet."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", MODULE, kind),
            env=dict(environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for us; they are ended when we are done
        )
    return Worker(process, port, log)
