"""The gateways under test: one, or several behind a balancer, looked at as one.

Several share the core that one has to itself, so they show what is added by being many, not how much they carry.
The balancer runs in the process of the load.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.bench_server import Server, Used, running
from simulator.balancer import balancer


@dataclass(frozen=True, slots=True)
class Fleet:
    """See the module's docstring."""

    servers: tuple[Server, ...]
    port: int
    """Where calls are sent: the server's, or the balancer's."""
    auth_token: str

    @property
    def voice_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/twilio/voice"

    @property
    def status_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/twilio/status"

    def used(self) -> Used:
        """By all of them."""
        used = [server.used() for server in self.servers]
        return Used(sum(one.cpu_s for one in used), sum(one.rss_bytes for one in used))

    def descriptors(self) -> int:
        """Of all of them."""
        return sum(server.descriptors() for server in self.servers)


@asynccontextmanager
async def fleet(
    module: str,
    *arguments: str,
    workers: int,
    core: int | None,
    lead_ms: int,
    log: Path,
    settings: Mapping[str, str],
    seed: int,
) -> AsyncGenerator[Fleet, None]:
    """So many of `running`, until the block is left; each has a log beside the first one's."""
    async with AsyncExitStack() as stack:
        if workers == 1:
            alone = running(module, *arguments, core=core, lead_ms=lead_ms, log=log, settings=settings)
            server = await stack.enter_async_context(alone)
            yield Fleet((server,), server.port, server.auth_token)
            return
        door = await stack.enter_async_context(balancer(seed=seed))
        # All answer to one name, and believe the same signatures.
        shared = {**settings, "PUBLIC_URL": door.url, "TWILIO_AUTH_TOKEN": secrets.token_hex(16)}
        servers: list[Server] = []
        for number in range(workers):
            own_log = log.with_name(f"{log.stem}-{number}{log.suffix}")
            one = running(module, *arguments, core=core, lead_ms=lead_ms, log=own_log, settings=shared)
            servers.append(await stack.enter_async_context(one))
            door.add(servers[-1].port)
        yield Fleet(tuple(servers), door.port, servers[0].auth_token)
