"""A Redis of the test's own, as `simulator/redis_server.py` starts it; with TLS if asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from simulator import redis_server as own
from simulator.redis_server import RedisServer
from tests.certificates import Authority

__all__ = ["RedisServer", "redis_server"]


@asynccontextmanager
async def redis_server(
    *, config: Mapping[str, str] | None = None, tls: bool = False, cluster: bool = False, unix: bool = False
) -> AsyncIterator[RedisServer]:
    """As the simulator's; `tls` with certificates of an authority of the test's."""

    def certify(folder: Path) -> None:
        Authority("the test's authority").write(folder, "127.0.0.1", "localhost")

    async with own.redis_server(
        config=config, cluster=cluster, unix=unix, certify=certify if tls else None
    ) as server:
        yield server
