"""A Redis of one's own for a while: a real redis-server on a free port of loopback, with its own folder.

    async with redis_server() as server:
        client(server.url); server.kill(); await server.restart(); server.stop_signal(); server.cont()

Never the machine's Redis, never a fixed port, nothing kept. `kill` and `restart` keep the port, so that who was
connected finds the next one where the last one stood.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

READY_LIMIT_S = 20.0
"""redis-server is ready in 20 ms; a machine that runs other suites may need longer."""
ASK_AGAIN_S = 0.01

EMPTY = '""'
SLOTS = ("CLUSTER", "ADDSLOTSRANGE", "0", "16383")


@dataclass(slots=True)
class RedisServer:
    """One redis-server. `url` holds `password`, if the configuration has `requirepass`."""

    folder: Path
    port: int
    """0: it listens on a unix socket."""
    config: Mapping[str, str]
    is_tls: bool
    is_cluster: bool
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.url_as()

    def url_as(self, username: str = "", password: str | None = None) -> str:
        """For another user than the default one."""
        word = self.config.get("requirepass", "") if password is None else password
        login = f"{username}:{word}@" if word else ""
        if not self.port:
            return f"unix://{login}{self.socket_path}"
        return f"{'rediss' if self.is_tls else 'redis'}://{login}127.0.0.1:{self.port}"

    @property
    def ca(self) -> str:
        """Path of the authority that signed its certificate."""
        return str(self.folder / "ca.pem")

    @property
    def socket_path(self) -> Path:
        return self.folder / "redis.sock"

    @property
    def pid(self) -> int:
        assert self.process is not None, "the server was killed"
        return self.process.pid

    def client(self) -> Redis:
        """To look at it and command it, past everything that is tested. The caller closes it."""
        extra: dict[str, Any] = {"ssl_ca_certs": self.ca} if self.is_tls else {}
        return Redis.from_url(self.url, socket_timeout=READY_LIMIT_S, retry=Retry(NoBackoff(), 0), **extra)

    async def ask(self, *words: str | bytes | int) -> object:
        """One command on a connection of its own."""
        client = self.client()
        try:
            told: object = await client.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py gives none
            return told
        finally:
            await client.aclose()

    async def start(self) -> None:
        self.process = await asyncio.to_thread(self._spawn)
        try:
            async with asyncio.timeout(READY_LIMIT_S):
                while not await self._answers():
                    if self.process.poll() is not None:
                        raise RuntimeError(f"redis-server did not start:\n{self.log_text()}")
                    await asyncio.sleep(ASK_AGAIN_S)
        except TimeoutError:
            raise RuntimeError(f"redis-server is not ready after {READY_LIMIT_S:g} s:\n{self.log_text()}") from None

    def kill(self) -> None:
        """As `kill -9`; all connections end, and nothing is kept."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait(READY_LIMIT_S)

    async def restart(self, *, empty: bool = True) -> None:
        """On the same port. With `empty=False` what it holds is saved first and read again."""
        if not empty:
            await self.ask("SAVE")
        self.kill()
        if empty:
            (self.folder / "dump.rdb").unlink(missing_ok=True)
            (self.folder / "nodes.conf").unlink(missing_ok=True)
        await self.start()

    def stop_signal(self) -> None:
        """SIGSTOP: its port accepts, and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def cont(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def log_text(self) -> str:
        log = self.folder / "redis.log"
        return log.read_text() if log.exists() else ""

    def _spawn(self) -> subprocess.Popen[bytes]:
        binary = shutil.which("redis-server")
        if binary is None:
            raise RuntimeError("redis-server is not on PATH; install redis-server: make redis")
        return subprocess.Popen(
            [binary, str(self._written_config())],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _written_config(self) -> Path:
        options = {
            "bind": "127.0.0.1",
            "port": "0" if self.is_tls else str(self.port),
            "dir": str(self.folder),
            "logfile": str(self.folder / "redis.log"),
            "save": "",
            "appendonly": "no",
            "enable-debug-command": "yes",
            "repl-diskless-sync-delay": "0",
        }
        if not self.port:
            options |= {"unixsocket": str(self.socket_path)}
        if self.is_tls:
            options |= {
                "tls-port": str(self.port),
                "tls-cert-file": str(self.folder / "server.pem"),
                "tls-key-file": str(self.folder / "server.key"),
                "tls-ca-cert-file": self.ca,
                "tls-auth-clients": "no",
            }
        if self.is_cluster:
            options |= {
                "cluster-enabled": "yes",
                "cluster-config-file": "nodes.conf",
                "cluster-port": str(_free_port()),
            }
            if self.is_tls:
                options |= {"tls-cluster": "yes"}
        options |= self.config
        path = self.folder / "redis.conf"
        path.write_text("".join(f"{name} {value or EMPTY}\n" for name, value in options.items()))
        return path

    async def _answers(self) -> bool:
        try:
            await self.ask("PING")
            if self.is_cluster:
                return await self._serves_all_slots()
        except (RedisError, OSError):
            return False
        return True

    async def _serves_all_slots(self) -> bool:
        told = await self.ask("CLUSTER", "INFO")
        text = told.decode() if isinstance(told, bytes) else str(told)
        if "cluster_slots_assigned:0" in text or "'cluster_slots_assigned': '0'" in text:
            await self.ask(*SLOTS)
            return False
        return "cluster_state:ok" in text or "'cluster_state': 'ok'" in text


@asynccontextmanager
async def redis_server(
    *,
    config: Mapping[str, str] | None = None,
    cluster: bool = False,
    unix: bool = False,
    certify: Callable[[Path], None] | None = None,
) -> AsyncIterator[RedisServer]:
    """A redis-server that answers PING; gone with all it held at the end. `config`: as in redis.conf.

    With `certify` it speaks TLS: that writes `server.pem`, `server.key` and `ca.pem` into the folder.
    """
    # The path of a unix socket may have 107 bytes, fewer than many a temporary folder's.
    folder = Path(tempfile.mkdtemp(prefix="redis-", dir="/tmp"))
    server = RedisServer(folder, 0 if unix else _free_port(), dict(config or {}), certify is not None, cluster)
    try:
        if certify is not None:
            certify(folder)
        await server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    """One that nobody has at the moment. Below 55,536: a replica of a cluster may look 10,000 above."""
    while True:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
        if port < 55_536:
            return port
