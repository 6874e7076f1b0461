"""`switchboard serve --workers N`: the port, the workers' command line and environment, and their supervisor."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from pathlib import Path

import click

from gateway.settings import Settings
from gateway.supervisor.metrics_page import merged
from gateway.supervisor.metrics_port import metrics_served
from gateway.supervisor.seat import Seat
from gateway.supervisor.supervisor import Plan, Supervisor, bound
from gateway.supervisor.worker_process import Limits

CANNOT_LISTEN = 3
"""The exit code, as uvicorn's for a port that is taken."""


def worker_environ(settings: Settings, flags: Mapping[str, str]) -> dict[str, str]:
    """A worker's environment: ours, and above it what the flags said, by the settings' names.

    What is made up when it is not set has to be the same for all workers: a JWT that one has signed must open the
    door of another.
    """
    environ = {**os.environ, **flags}
    if not settings.jwt_keys:
        environ["SWITCHBOARD_JWT_KEYS"] = f"drawn:{secrets.token_hex(32)}"
    return environ


def supervise(
    settings: Settings,
    environ: Mapping[str, str],
    env_file: Path | None,
    ready: Callable[[Settings], None],
) -> int:
    """Keep the workers running until told to stop; the exit code.

    `ready` is called once, when all serve, with the settings as they turned out: a port 0 is the real one then.
    """
    with ExitStack() as listeners:
        try:
            listener = listeners.enter_context(bound(settings.host, settings.port))
            metrics = settings.metrics_port and listeners.enter_context(bound(settings.host, settings.metrics_port))
        except OSError as error:
            click.echo(f"switchboard: cannot listen on {settings.host}: {error}", err=True)
            return CANNOT_LISTEN
        settings = _with_port(settings, listener.getsockname()[1])
        plan = Plan(
            workers=settings.workers,
            command=_command(env_file),
            environ={**environ, "PORT": str(settings.port)},
            limits=Limits(watchdog_s=settings.watchdog_s),
        )
        return asyncio.run(_keep(plan, listener, metrics or None, lambda: ready(settings)))


def _with_port(settings: Settings, port: int) -> Settings:
    """With a port 0 and no PUBLIC_URL, the workers find the URL from the port that they are given."""
    public_url = settings.public_url
    if settings.port == 0 and "PUBLIC_URL" not in settings.sources:
        public_url = f"{public_url.removesuffix(':0')}:{port}"
    return replace(settings, port=port, public_url=public_url)


def _command(env_file: Path | None) -> Callable[[Seat], tuple[str, ...]]:
    from_file = ("--env-file", str(env_file)) if env_file else ()
    return lambda seat: (sys.executable, "-m", "gateway.cli.serve_worker", *seat.options(), *from_file)


async def _keep(
    plan: Plan, listener: socket.socket, metrics: socket.socket | None, ready: Callable[[], None]
) -> int:
    supervisor = Supervisor(plan, listener)

    async def page() -> str:
        return merged(await supervisor.pages(), serving=supervisor.serving, deaths=supervisor.deaths)

    async with AsyncExitStack() as served:
        if metrics is not None:
            await served.enter_async_context(metrics_served(metrics, page))
        return await supervisor.run(ready)
