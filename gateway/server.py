"""The server: uvicorn with our defaults, and signals that let calls end before it does.

uvicorn's own shutdown closes every WebSocket with 1012 as its first step, which hangs up on every caller. So the
signals are ours: the first SIGTERM or SIGINT stops admitting calls and waits for those there are, at most
`SWITCHBOARD_DRAIN_TIMEOUT` seconds; the second does not wait. Only then is uvicorn told to leave.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import FrameType

import uvicorn

from gateway.app import Gateway, metrics_app
from gateway.fast_lane import FastLane
from gateway.settings import Settings

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.2
"""How soon after the last call has ended the process may leave."""

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


async def serve(settings: Settings, gateway: Gateway, started: Callable[[int], None]) -> None:
    """Run until told to stop. `started` is called once with the port it listens on.

    Raises `SystemExit` from uvicorn if it cannot start: the port is taken, or the application's start failed.
    """
    server = uvicorn.Server(uvicorn_config(settings, gateway))
    signals = _Signals()
    # uvicorn asks this attribute when it takes over the signals; its own would leave at once.
    setattr(server, "handle_exit", signals.arrived)  # noqa: B010 - a method cannot be assigned to by name
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve())
        if settings.metrics_port:
            tasks.create_task(_serve_metrics(settings, gateway, serving, signals))
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has a flag, and no event
            await asyncio.sleep(0.01)
        if serving.done():
            return
        started(server.servers[0].sockets[0].getsockname()[1])
        waiting = tasks.create_task(signals.first.wait())
        await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not serving.done():
            await _drain(settings, gateway, signals)
            await gateway.stop_sessions()
            server.should_exit = True


class _Signals:
    """How often we were told to stop. The system's part only sets flags: it may interrupt any line of code."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.first, self.second = asyncio.Event(), asyncio.Event()

    def arrived(self, _signal: int, _frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._count)

    def _count(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


async def _drain(settings: Settings, gateway: Gateway, signals: _Signals) -> None:
    gateway.drain()
    live = await gateway.live_calls()
    if live:
        log.info("draining: %d calls live, no new ones, up to %d s", live, settings.drain_timeout_s)
    try:
        async with asyncio.timeout(settings.drain_timeout_s):
            # The store may be shared by many workers one day, and has no event for "nobody left".
            while await gateway.live_calls() and not signals.second.is_set():  # noqa: ASYNC110
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        log.warning("drain time is over: %d calls are cut off", await gateway.live_calls())


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
