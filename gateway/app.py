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
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from gateway import control, voice
from gateway.auth import SignatureCheck
from gateway.backend import backend_of, chosen, speak_beforehand, working
from gateway.calls.call import EndReason
from gateway.calls.store import MemoryStore
from gateway.credentials.door import Door
from gateway.demo_page import page as demo_page
from gateway.front_desk import MEDIA_PATH, FrontDesk
from gateway.media_stream.pacer import Pacer
from gateway.media_stream.socket import Exchange, MediaSocket
from gateway.message_file import MessageFile
from gateway.metrics import Metrics
from gateway.realtime import http
from gateway.realtime.agent_session import configurer, limits_of
from gateway.realtime.allowance import Allowances
from gateway.realtime.call_routes import hang_up_route
from gateway.realtime.directory import Directory
from gateway.realtime.handshake import INWORLD_PATH, SESSION_PATHS
from gateway.realtime.kept_sessions import KeptSessions
from gateway.realtime.session_end import SessionEnd
from gateway.realtime.studio import Studio
from gateway.realtime.web_rtc import web_rtc
from gateway.realtime.websocket import RealtimeSocket
from gateway.settings import Settings
from gateway.tools import AgentTools
from pipeline.agent import Agent, load_agent
from pipeline.egress.guard import ClientServers, Egress
from pipeline.limits import Limits
from pipeline.mcp.client import McpClient
from pipeline.mcp_errands import McpTools
from pipeline.phrasebook import Phrasebook
from pipeline.responder import Cascade
from pipeline.turn.end_of_turn import EndOfTurn
from pipeline.turn.speech_activity import SpeechActivity
from pipeline.worker import Remote

LAG_EVERY_S = 0.1
"""How often the event loop's lateness is measured."""

GOODBYE_LIMIT_S = 3.0
"""For the clients of Realtime sessions to be told that the gateway stops."""

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

    async def stop_sessions(self) -> None:
        """End what Realtime sessions there are, telling their clients why; phone calls end otherwise."""
        self.directory.finish_all(SessionEnd.STOPPING)
        try:
            async with asyncio.timeout(GOODBYE_LIMIT_S):
                while self.directory.seated:  # noqa: ASYNC110 - as few as there are, and once in a process's life
                    await asyncio.sleep(GOODBYE_LIMIT_S / 100)
        except TimeoutError:
            pass  # cut off with the server

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
    a Realtime session, what asks and calls the MCP servers that its client names; None: as the settings say.
    """
    agent = agent or load_agent(settings.agent)
    egress = Egress(settings.egress_allow, client_servers=settings.mcp_client_servers)
    if mcp is None and settings.mcp_client_servers is not ClientServers.OFF:
        mcp = partial(McpClient, egress)
    keep = MessageFile(Path(settings.messages_file)).keep
    metrics, doors, store = Metrics(build_version()), Doors(), MemoryStore()
    desk = FrontDesk(
        settings=settings,
        store=store,
        signatures=SignatureCheck(settings),
        metrics=metrics,
        now=_loop_time,
        admits=lambda: doors.are_open,
    )
    house = _House(
        settings=settings,
        agent=agent,
        backend=cascade or backend_of(settings, agent),
        tools=AgentTools(agent, keep, egress, settings.webhook_secret),
        phrasebook=Phrasebook(agent.fillers),
        desk=desk,
        doors=doors,
        door=Door(settings, now=time.time),
        directory=Directory(settings.realtime_sessions_per_key),
        limits=limits_of(settings.realtime_max_event_mib),
        mcp=mcp,
        make_id=id_maker(),
    )
    media, realtime, webrtc = _LateSocket(), _LateSocket(), web_rtc(settings, house.door)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None, None]:
        async with (
            SpeechActivity() as activity,
            EndOfTurn(settings.smart_turn_model) as end_of_turn,
            working(house.backend),
            house.tools.opened(),
            _chores(metrics, desk),
        ):
            media.socket = house.media_socket(activity, end_of_turn)
            studio = house.studio(activity, end_of_turn)
            realtime.socket = RealtimeSocket(studio)
            await speak_beforehand(house.phrasebook, house.backend)
            async with webrtc.opened(studio):
                yield

    routes: list[BaseRoute] = [
        *voice.routes(desk),
        *control.routes(desk, house.door),
        WebSocketRoute(f"{MEDIA_PATH}/{{token}}", media),
        *(WebSocketRoute(path, realtime) for path in (*SESSION_PATHS, INWORLD_PATH)),
        hang_up_route(house.door, house.directory),
        *webrtc.routes(),
        *(demo_page.routes() if settings.demo_page else ()),
        *http.routes(house.door, settings, configurer(agent, house.limits, serves_mcp=mcp is not None)),
        *_operations(desk, doors, house.directory),
    ]
    providers = str(chosen(settings, agent))
    return Gateway(Starlette(routes=routes, lifespan=lifespan), desk, doors, house.directory, providers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _House:
    """What both kinds of socket are made of."""

    settings: Settings
    agent: Agent
    backend: Cascade | Remote
    tools: AgentTools
    phrasebook: Phrasebook
    desk: FrontDesk
    doors: Doors
    door: Door
    directory: Directory
    limits: Limits
    mcp: Callable[[], AbstractAsyncContextManager[McpTools]] | None
    make_id: Callable[[str], str]

    def media_socket(self, activity: SpeechActivity, end_of_turn: EndOfTurn) -> MediaSocket:
        desk = self.desk

        async def end_call(call_sid: str, reason: EndReason) -> None:
            await desk.end_call(call_sid, reason)

        return MediaSocket(
            Exchange(
                store=desk.store,
                signature=desk.signatures,
                metrics=desk.metrics,
                activity=activity,
                end_of_turn=end_of_turn,
                pacer=Pacer(),
                agent=self.agent,
                backend=self.backend,
                toolbox=self.tools.toolbox,
                phrasebook=self.phrasebook,
                anticipates=self.settings.preemptive,
                make_id=self.make_id,
                lead_ms=self.settings.playback_lead_ms,
                end_call=end_call,
                directory=self.directory,
            )
        )

    def studio(self, activity: SpeechActivity, end_of_turn: EndOfTurn) -> Studio:
        doors = self.doors
        return Studio(
            settings=self.settings,
            door=self.door,
            directory=self.directory,
            allowances=Allowances(self.settings.realtime_responses_per_min),
            metrics=self.desk.metrics,
            activity=activity,
            end_of_turn=end_of_turn,
            agent=self.agent,
            backend=self.backend,
            toolbox=self.tools.toolbox if self.settings.demo_page else None,
            phrasebook=self.phrasebook,
            limits=self.limits,
            mcp=self.mcp,
            make_id=self.make_id,
            admits=lambda: doors.are_open,
            kept=KeptSessions(Path(self.settings.kept_sessions) if self.settings.kept_sessions else None),
            now=time.monotonic,
        )


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
