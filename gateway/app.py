"""The gateway as an ASGI application: the routes, and what lives as long as the process.

What is shared by all calls is made when the application starts (`lifespan`), in the event loop it will run on; the
settings are read before, so that a faulty one stops the start and not the first call.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from gateway import control, voice
from gateway.auth import SignatureCheck
from gateway.backend import cascade_of, chosen, close, prepare
from gateway.calls.call import EndReason
from gateway.calls.store import MemoryStore
from gateway.credentials.door import Door
from gateway.front_desk import MEDIA_PATH, FrontDesk
from gateway.media_stream.pacer import Pacer
from gateway.media_stream.socket import Exchange, MediaSocket
from gateway.message_file import MessageFile
from gateway.metrics import Metrics
from gateway.realtime import http
from gateway.realtime.agent_session import configurer, limits_of
from gateway.realtime.allowance import Allowances
from gateway.realtime.directory import Directory
from gateway.realtime.handshake import INWORLD_PATH, SESSION_PATHS
from gateway.realtime.studio import Studio
from gateway.realtime.websocket import RealtimeSocket
from gateway.settings import Settings
from gateway.tools import toolbox_of
from pipeline.agent import Agent, load_agent
from pipeline.mcp_errands import McpTools
from pipeline.phrasebook import Phrasebook
from pipeline.responder import Cascade
from pipeline.turn.end_of_turn import EndOfTurn
from pipeline.turn.speech_activity import SpeechActivity

LAG_EVERY_S = 0.1
"""How often the event loop's lateness is measured."""

SWEEP_EVERY_S = 5.0
"""How often abandoned calls are looked for."""


@dataclass(slots=True)
class Doors:
    """Whether calls are let in: closed for good when the gateway begins to stop."""

    are_open: bool = True


@dataclass(frozen=True, slots=True)
class Gateway:
    """The application, and what its server must be able to reach."""

    app: Starlette
    desk: FrontDesk
    doors: Doors
    directory: Directory = field(default_factory=Directory)
    """The sessions and calls that run, by their ids."""
    providers: str = ""
    """By name, for people."""

    def drain(self) -> None:
        """Take no new calls and sessions; those there are go on."""
        self.doors.are_open = False
        self.desk.metrics.draining.set(1)

    async def live_calls(self) -> int:
        """Calls and Realtime sessions: what a gateway that is told to stop waits for."""
        return await self.desk.store.live_count() + self.directory.seated


def build_version() -> str:
    try:
        return version("switchboard-voice")
    except PackageNotFoundError:
        return "0+unknown"


def id_maker() -> Callable[[str], str]:
    """Ids in the protocol's shape, `prefix_…`, unique across processes and at most 32 characters."""
    base, numbers = secrets.token_hex(6), itertools.count(1)
    return lambda prefix: f"{prefix}_{base}{next(numbers):x}"


def create_gateway(
    settings: Settings,
    *,
    agent: Agent | None = None,
    cascade: Cascade | None = None,
    mcp: Callable[[], AbstractAsyncContextManager[McpTools]] | None = None,
) -> Gateway:
    """The gateway with these settings.

    Raises `AgentFileError`, `ProviderError` or, for the file of API keys, `SettingsError` if they cannot be served.

    `agent` and `cascade` stand in for what the settings name: for programs that bring their own. `mcp` opens, for
    a Realtime session, what asks and calls the MCP servers that its client names; None: none are served.
    """
    agent = agent or load_agent(settings.agent)
    cascade = cascade or cascade_of(settings, agent)
    toolbox = toolbox_of(agent, MessageFile(Path(settings.messages_file)).keep)
    phrasebook = Phrasebook(agent.fillers)
    metrics, doors = Metrics(build_version()), Doors()
    signatures, store = SignatureCheck(settings), MemoryStore()
    desk = FrontDesk(
        settings=settings,
        store=store,
        signatures=signatures,
        metrics=metrics,
        now=_loop_time,
        admits=lambda: doors.are_open,
    )
    door, directory = Door(settings, now=time.time), Directory(settings.realtime_sessions_per_key)
    limits = limits_of(settings.realtime_max_event_mib)
    media, realtime = _LateSocket(), _LateSocket()
    make_id = id_maker()

    async def end_call(call_sid: str, reason: EndReason) -> None:
        await desk.end_call(call_sid, reason)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None, None]:
        async with (
            SpeechActivity() as activity,
            EndOfTurn(settings.smart_turn_model) as end_of_turn,
            _chores(metrics, desk),
        ):
            media.socket = MediaSocket(
                Exchange(
                    store=store,
                    signature=signatures,
                    metrics=metrics,
                    activity=activity,
                    end_of_turn=end_of_turn,
                    pacer=Pacer(),
                    agent=agent,
                    cascade=cascade,
                    toolbox=toolbox,
                    phrasebook=phrasebook,
                    make_id=make_id,
                    lead_ms=settings.playback_lead_ms,
                    end_call=end_call,
                    directory=directory,
                )
            )
            realtime.socket = RealtimeSocket(
                Studio(
                    settings=settings,
                    door=door,
                    directory=directory,
                    allowances=Allowances(settings.realtime_responses_per_min),
                    metrics=metrics,
                    activity=activity,
                    end_of_turn=end_of_turn,
                    agent=agent,
                    cascade=cascade,
                    limits=limits,
                    mcp=mcp,
                    make_id=make_id,
                    admits=lambda: doors.are_open,
                    now=time.monotonic,
                )
            )
            try:
                await prepare(cascade)
                await phrasebook.speak(cascade.voice, cascade.voice_name)
                yield
            finally:
                await close(cascade)

    routes: list[BaseRoute] = [
        *voice.routes(desk),
        *control.routes(desk, door),
        WebSocketRoute(f"{MEDIA_PATH}/{{token}}", media),
        *(WebSocketRoute(path, realtime) for path in (*SESSION_PATHS, INWORLD_PATH)),
        *http.routes(door, settings, configurer(agent, limits, serves_mcp=mcp is not None)),
        *_operations(desk, doors, directory),
    ]
    providers = str(chosen(settings, agent))
    return Gateway(Starlette(routes=routes, lifespan=lifespan), desk, doors, directory, providers)


def _loop_time() -> float:
    """The desk's clock. The media streams' is the event loop's, and times of both meet in a call."""
    return asyncio.get_running_loop().time()


class _LateSocket:
    """A socket's place in the routes, which are made before the event loop runs."""

    socket: MediaSocket | RealtimeSocket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.socket(scope, receive, send)


def _operations(desk: FrontDesk, doors: Doors, directory: Directory) -> list[Route]:
    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        live = {"calls": await desk.store.live_count(), "sessions": directory.seated}
        if not doors.are_open:
            return JSONResponse({"status": "draining", **live}, 503)
        if await desk.is_full():
            return JSONResponse({"status": "full", **live}, 503)
        return JSONResponse({"status": "ready", **live})

    async def metrics(request: Request) -> Response:
        # With no port of their own, the metrics are for this machine alone: a proxy in front adds the header.
        peer = request.client.host if request.client else ""
        if desk.settings.metrics_port or peer not in ("127.0.0.1", "::1") or "x-forwarded-for" in request.headers:
            return PlainTextResponse("Set SWITCHBOARD_METRICS_PORT and ask there.\n", 404)
        return metrics_page(desk.metrics)

    return [
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", readyz, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
    ]


def metrics_app(metrics: Metrics) -> Starlette:
    """What listens on the metrics' own port."""

    async def answer(_request: Request) -> Response:
        return metrics_page(metrics)

    return Starlette(routes=[Route("/metrics", answer, methods=["GET"])])


def metrics_page(metrics: Metrics) -> Response:
    body, content_type = metrics.render()
    return Response(body, media_type=content_type)


@asynccontextmanager
async def _chores(metrics: Metrics, desk: FrontDesk) -> AsyncGenerator[None, None]:
    """What is done again and again while the application lives."""
    async with asyncio.TaskGroup() as tasks:
        lag, sweep = tasks.create_task(_measure_lag(metrics)), tasks.create_task(_sweep(desk))
        yield
        lag.cancel()
        sweep.cancel()


async def _measure_lag(metrics: Metrics) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_EVERY_S
        await asyncio.sleep(LAG_EVERY_S)
        metrics.event_loop_lag_s.observe(max(0.0, loop.time() - due))


async def _sweep(desk: FrontDesk) -> None:
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        await desk.sweep()
