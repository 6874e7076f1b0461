"""The server: uvicorn with our defaults, and signals that let calls end before it does.

uvicorn's own shutdown closes every WebSocket with 1012 as its first step, which hangs up on every caller. So the
signals are ours: the first SIGTERM or SIGINT stops admitting calls and waits for those there are, at most
`SWITCHBOARD_DRAIN_TIMEOUT` seconds, then gives them to other workers; the second does so at once. Only then is
uvicorn told to leave.

A worker of several takes its connections from a listener that all share, and may be told to stop by its supervisor
as well; what is between these two, `supervisor/membership.py` knows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from gateway.app import Gateway
from gateway.drain import Hurry, drain
from gateway.fast_lane import FastLane
from gateway.operations import metrics_app
from gateway.settings import Settings
from gateway.supervisor.membership import Membership

log = logging.getLogger(__name__)

WS_MAX_BYTES = 65_536
"""A media message has about 400 bytes. uvicorn's default, 16 MiB, is a gift to whoever wants our memory."""

KEEP_ALIVE_S = 5
"""Between two requests on one connection: Twilio opens a new one for nearly every webhook."""

LEAVE_LIMIT_S = 5
"""For what is still open once uvicorn was told to leave."""


def uvicorn_config(settings: Settings, gateway: Gateway) -> uvicorn.Config:
    """Every default here is a choice; see the constants, and docs/operations.md for what each one costs."""
    return uvicorn.Config(
        gateway.app,
        host=settings.host,
        port=settings.port,
        ws=FastLane,  # websockets-sansio, the only one with real back-pressure, and a short way for frames
        ws_per_message_deflate=False,  # 44 % more CPU a message, and a decompression bomb's door
        ws_max_size=WS_MAX_BYTES,
        limit_concurrency=None,  # it would answer webhooks with 503 because calls are live; calls are counted by us
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=LEAVE_LIMIT_S,
        access_log=False,  # it would write the media tokens
        log_config=None,
        server_header=False,
        proxy_headers=False,  # nothing of ours believes a forwarded header
        lifespan="on",
    )


async def serve(
    settings: Settings,
    gateway: Gateway,
    started: Callable[[int], None],
    membership: Membership | None = None,
) -> None:
    """Run until told to stop. `started` is called once with the port it listens on.

    With a `membership` it is one worker of several, and listens on nothing of its own. Raises `SystemExit` from
    uvicorn if it cannot start: the port is taken, or the application's start failed.
    """
    server = uvicorn.Server(uvicorn_config(settings, gateway))
    hurry = Hurry()
    signals = _Signals(hurry)
    # uvicorn asks this attribute when it takes over the signals; its own would leave at once.
    setattr(server, "handle_exit", signals.arrived)  # noqa: B010 - a method cannot be assigned to by name
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve(sockets=None if membership is None else []))
        if settings.metrics_port and membership is None:
            tasks.create_task(_serve_metrics(settings, gateway, serving, signals))
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has a flag, and no event
            await asyncio.sleep(0.01)
        if serving.done():
            return
        async with _listening(server, membership, hurry) as port:
            started(port)
            waiting = tasks.create_task(hurry.first.wait())
            await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if not serving.done():
                gateway.drain()
                close_door = partial(_close_door, server, membership)
                wait_s = max(0.0, settings.drain_timeout_s - gateway.drained_for_s)
                await drain(gateway, hurry, wait_s=wait_s, close_door=close_door)
                await gateway.stop_sessions()
        server.should_exit = True


@asynccontextmanager
async def _listening(
    server: uvicorn.Server, membership: Membership | None, hurry: Hurry
) -> AsyncGenerator[int, None]:
    """Inside, connections come in; on this port."""
    if membership is None:
        yield server.servers[0].sockets[0].getsockname()[1]
    else:
        async with membership.taking_part(_Connections(server), hurry.first.set):
            yield membership.port


def _close_door(server: uvicorn.Server, membership: Membership | None) -> None:
    """No connection comes in any more; those there are stay."""
    if membership is not None:
        membership.close_door()
    for listening in server.servers:
        listening.close()


class _Connections:
    """uvicorn's connections, for who brings them from a listener of its own."""

    def __init__(self, server: uvicorn.Server) -> None:
        self._server = server

    def make_protocol(self) -> asyncio.Protocol:
        """As uvicorn does for its own listeners."""
        config, state = self._server.config, self._server.server_state
        return config.http_protocol_class(  # type: ignore[call-arg]  # the class is only known as a Protocol
            config=config, server_state=state, app_state=self._server.lifespan.state
        )

    def connections(self) -> int:
        return len(self._server.server_state.connections)

    def let_requests_finish(self) -> bool:
        """WebSockets are left alone: uvicorn's shutdown of one is a close with 1012, which hangs up."""
        waits = False
        for connection in tuple(self._server.server_state.connections):
            if isinstance(connection, self._server.config.http_protocol_class):
                http: Any = connection  # uvicorn has several such classes, all with this attribute
                # No cycle: the connection has come in and its request has not, so it is worth waiting for.
                if http.cycle is not None:
                    http.shutdown()
                waits = True
        return not waits


class _Signals:
    """What the system tells us. Its part only sets flags: it may interrupt any line of code."""

    def __init__(self, hurry: Hurry) -> None:
        self._loop = asyncio.get_running_loop()
        self._hurry = hurry

    def arrived(self, _signal: int, _frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._hurry.more)


async def _serve_metrics(
    settings: Settings, gateway: Gateway, serving: asyncio.Task[None], signals: _Signals
) -> None:
    config = uvicorn.Config(
        metrics_app(gateway.desk.metrics),
        host=settings.host,
        port=settings.metrics_port,
        access_log=False,
        log_config=None,
        server_header=False,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    # Each server takes over the process's signals when it starts; whichever is last, they reach the same ears.
    setattr(server, "handle_exit", signals.arrived)  # noqa: B010 - as above
    running = asyncio.ensure_future(server.serve())
    await asyncio.wait((serving, running), return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await running
