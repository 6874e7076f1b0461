"""The stage on which faults are played: a real Redis behind a bad network, and workers behind a balancer.

    async with stage(folder, seed=1) as here:
        worker, other = await here.add(), await here.add()
        worker.send(signal.SIGKILL)

Everything listens on loopback, on ports that are free; everything is a process of its own except the balancer and
the network, and is ended by its id.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from gateway.cli.loopback import free_port, own_settings
from gateway.cli.prove_gateway import LEDGER, TASKS
from gateway.cli.prove_witness import Told, read_ledger
from gateway.cli.prove_worker import Worker, start_worker
from gateway.setting_declarations import BY_NAME
from simulator.balancer import Balancer, Upstream, balancer
from simulator.redis_server import RedisServer, redis_server
from simulator.toxic_proxy import ToxicProxy

LEDGER_FILE: Final = "ledger.jsonl"
TASKS_FILE: Final = "tasks.txt"

ASK_LIMIT_S: Final = 5.0
TASKS_LIMIT_S: Final = 5.0


@dataclass(eq=False)
class Stage:
    """See the module's docstring."""

    folder: Path
    door: Balancer
    redis: RedisServer
    network: ToxicProxy
    """Between the workers and Redis."""
    settings: Mapping[str, str]
    """Of every worker, beside what each needs of its own."""
    account_sid: str
    auth_token: str
    token: str
    started: list[Worker] = field(default_factory=list)
    """All that ever were, to be ended."""
    entrances: dict[Worker, Upstream] = field(default_factory=dict)
    """Where the door sends those it sends to a worker."""

    @property
    def url(self) -> str:
        return self.door.url

    @property
    def redis_url(self) -> str:
        """For who is to suffer what the workers suffer."""
        return f"redis://127.0.0.1:{self.network.port}"

    async def add(self, kind: str = "single", **settings: str) -> Worker:
        """One more worker, which takes calls."""
        (worker,) = await self.add_several(1, kind, **settings)
        return worker

    async def add_several(self, count: int, kind: str = "single", **settings: str) -> list[Worker]:
        """Started beside each other."""
        started = [await self._start(kind, settings) for _ in range(count)]
        for worker in started:
            await worker.ready()
            self.entrances[worker] = self.door.add(worker.port)
        return started

    def take_out(self, worker: Worker) -> None:
        """No new connections for it: what a balancer does with who is no longer ready, or is told to leave."""
        self.door.remove(self.entrances[worker])

    async def ask(self, path: str, worker: Worker | None = None) -> Any:
        """What the control API says: JSON, or None for whatever is not there. Of `worker`, or of any."""
        base = self.url if worker is None else f"http://127.0.0.1:{worker.port}"
        headers = {"Authorization": f"Bearer {self.token}"}
        limit = aiohttp.ClientTimeout(total=ASK_LIMIT_S)
        async with aiohttp.ClientSession(timeout=limit) as session:
            async with session.get(f"{base}{path}", headers=headers) as response:
                return await response.json() if response.status == 200 else None

    def told(self) -> tuple[Told, ...]:
        """What models were told of the past so far, by all workers."""
        return read_ledger(self.folder / LEDGER_FILE)

    async def tasks(self, worker: Worker) -> int | None:
        """How many it has; None if it does not say."""
        path = self.folder / TASKS_FILE
        before = _lines_of(path, worker.pid)
        worker.send(signal.SIGUSR1)
        for _ in range(round(TASKS_LIMIT_S / 0.05)):
            await asyncio.sleep(0.05)
            if len(lines := _lines_of(path, worker.pid)) > len(before):
                return int(lines[-1].split()[1])
        return None

    async def _start(self, kind: str, settings: Mapping[str, str]) -> Worker:
        port = free_port()
        log = self.folder / f"worker-{len(self.started) + 1}.log"
        worker = await start_worker(kind, port, self.environ(port, settings), log)
        self.started.append(worker)
        return worker

    def environ(self, port: int, settings: Mapping[str, str]) -> dict[str, str]:
        """A worker's: no setting of a real gateway is in it."""
        inherited = {name: value for name, value in os.environ.items() if name not in BY_NAME}
        own = own_settings(port, account_sid=self.account_sid, auth_token=self.auth_token)
        return {
            **inherited,
            **own,
            "PUBLIC_URL": self.url,
            "REDIS_URL": self.redis_url,
            "SWITCHBOARD_TOKEN": self.token,
            "SWITCHBOARD_LOG_FORMAT": "text",
            "SWITCHBOARD_MAX_LAG_MS": "0",  # a busy machine is no reason to turn away who is to be counted
            LEDGER: str(self.folder / LEDGER_FILE),
            TASKS: str(self.folder / TASKS_FILE),
            **self.settings,
            **settings,
        }


@asynccontextmanager
async def stage(folder: Path, *, seed: int, **settings: str) -> AsyncGenerator[Stage, None]:
    """An empty one; its logs are in the folder. `settings`, by their outer names, are all workers'."""
    await asyncio.to_thread(_clear, folder)
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server())
        network = await stack.enter_async_context(ToxicProxy("127.0.0.1", redis.port, seed=seed))
        door = await stack.enter_async_context(balancer(seed=seed))
        here = Stage(
            folder,
            door,
            redis,
            network,
            settings,
            account_sid="AC" + secrets.token_hex(16),
            auth_token=secrets.token_hex(16),
            token=secrets.token_urlsafe(24),
        )
        try:
            yield here
        finally:
            for worker in here.started:
                await worker.end()


def _clear(folder: Path) -> None:
    """Make it, and take away what another run has left there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (LEDGER_FILE, TASKS_FILE):
        (folder / name).unlink(missing_ok=True)


def _lines_of(path: Path, pid: int) -> list[str]:
    if not path.exists():
        return []
    return [line for line in path.read_text().splitlines() if line.startswith(f"{pid} ")]
