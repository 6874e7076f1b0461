"""A server under test: started on a core of its own, watched from outside through /proc, ended by its pid."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from gateway.cli.loopback import HOST, free_port, own_settings

READY_LIMIT_S = 30.0
"""Loading the model on a busy machine takes a few seconds."""

STOP_LIMIT_S = 10.0

ACCOUNT_SID = "AC" + "0" * 32
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Used:
    """What a process has used up to a moment."""

    cpu_s: float
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Server:
    port: int
    pid: int
    auth_token: str

    @property
    def voice_url(self) -> str:
        return f"http://{HOST}:{self.port}/twilio/voice"

    def used(self) -> Used:
        """By all its threads."""
        stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(stat[11]) + int(stat[12])
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return Used(ticks / TICKS_PER_S, pages * PAGE_BYTES)

    def descriptors(self) -> int:
        """Files and sockets it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))


@asynccontextmanager
async def running(
    module: str,
    *arguments: str,
    core: int | None,
    lead_ms: int,
    log: Path,
    settings: Mapping[str, str] | None = None,
) -> AsyncGenerator[Server, None]:
    """`python -m module arguments` until the block is left. Its providers are the stubs: they cost nothing.

    Its settings are given to it, so that those of a real gateway, in the environment or `.env`, change nothing;
    `settings`, by their outer names, come before them.
    """
    port, auth_token = free_port(), secrets.token_hex(16)
    given = {
        **own_settings(port, account_sid=ACCOUNT_SID, auth_token=auth_token),
        "SWITCHBOARD_AGENT": "reception",
        "SWITCHBOARD_PLAYBACK_LEAD_MS": str(lead_ms),
        "SWITCHBOARD_STT": "stub",
        "SWITCHBOARD_LLM": "stub",
        "SWITCHBOARD_TTS": "stub",
        "SWITCHBOARD_MAX_LAG_MS": "0",  # whoever is to be measured is let in, however late everything is
        "LOG_LEVEL": "warning",
        **(settings or {}),
    }
    pin = f"import os; os.sched_setaffinity(0, {{{core}}}); " if core is not None else ""
    run = (
        f"import runpy, sys; sys.argv = {[module, *arguments]!r}; runpy.run_module({module!r}, run_name='__main__')"
    )
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", pin + run, env={**os.environ, **given}, stdout=output, stderr=output
        )
    try:
        await _ready(port, process, log)
        yield Server(port, process.pid, given["TWILIO_AUTH_TOKEN"])
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    # It may go at any moment, also between the two signals.
    with suppress(ProcessLookupError):
        process.terminate()
        await asyncio.sleep(0.1)
        process.terminate()  # the second one does not wait for calls
    try:
        async with asyncio.timeout(STOP_LIMIT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _ready(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(READY_LIMIT_S):
        while True:
            if process.returncode is not None:
                said = await asyncio.to_thread(log.read_text)
                raise RuntimeError(f"the server under test did not start:\n{said[-2000:]}")
            try:
                async with session.get(f"http://{HOST}:{port}/readyz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)
