"""The gateway as an ASGI application: the routes, and what lives as long as the process.

What is shared by all calls is made when the application starts (`lifespan`), in the event loop it will run on; the
settings are read before, so that a faulty one stops the start and not the first call.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import Receive, Scope, Send

from gateway import control, control_events, control_orders, operations, overflow, voice
from gateway.auth import SignatureCheck
from gateway.backend import backend_of, chosen, speak_beforehand, working
from gateway.call_records import http as records_http
from gateway.call_records.wiring import office_of
from gateway.calls.admission import Admission, Limits, Measurement
from gateway.calls.load_sensor import watch_load
from gateway.calls.workers import Workers
from gateway.clock import Clock
from gateway.credentials.door import Door
from gateway.demo_page import page as demo_page
from gateway.fleet import fleet_of
from gateway.front_desk import MEDIA_PATH, FrontDesk
from gateway.gate import Gate
from gateway.house import House, build_version
from gateway.media_stream.socket import MediaSocket
from gateway.message_file import MessageFile
from gateway.metrics import Metrics
from gateway.operations import Doors
from gateway.reach import Reach
from gateway.realtime import http
from gateway.realtime.agent_session import configurer, limits_of
from gateway.realtime.call_routes import hang_up_route
from gateway.realtime.directory import Directory
from gateway.realtime.handshake import INWORLD_PATH, SESSION_PATHS
from gateway.realtime.session_end import SessionEnd
from gateway.realtime.web_rtc import web_rtc
from gateway.realtime.websocket import RealtimeSocket
from gateway.recordings import http as recordings_http
from gateway.recordings.wiring import recorder_of
from gateway.settings import Settings
from gateway.tools import AgentTools
from pipeline.agent import Agent, load_agent
from pipeline.egress.guard import ClientServers, Egress
from pipeline.mcp.client import McpClient
from pipeline.mcp_errands import McpTools
from pipeline.phrasebook import Phrasebook
from pipeline.responder import Cascade
from pipeline.turn.end_of_turn import EndOfTurn
from pipeline.turn.speech_activity import SpeechActivity

log = logging.getLogger(__name__)

GOODBYE_LIMIT_S = 3.0
"""For the clients of Realtime sessions to be told that the gateway stops."""

SWEEP_EVERY_S = 5.0
"""How often abandoned calls are looked for."""


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
    media: _LateSocket = field(default_factory=lambda: _LateSocket())
    peers: _Peers = field(default_factory=lambda: _Peers())

    def drain(self) -> None:
        """Take no new calls and sessions; those there are go on."""
        self.doors.close(self.desk)

    @property
    def drained_for_s(self) -> float:
        """How long it has taken no new calls."""
        closed_at_s = self.doors.closed_at_s
        return 0.0 if closed_at_s is None else self.desk.now() - closed_at_s

    async def stop_sessions(self) -> None:
        """End what Realtime sessions there are, telling their clients why, and let go of who watches; phone calls
        end otherwise."""
        self.doors.leaving.set()
        self.directory.finish_all(SessionEnd.STOPPING)
        try:
            async with asyncio.timeout(GOODBYE_LIMIT_S):
                while self.directory.seated:  # noqa: ASYNC110 - as few as there are, and once in a process's life
                    await asyncio.sleep(GOODBYE_LIMIT_S / 100)
        except TimeoutError:
            pass  # cut off with the server

    async def live_calls(self) -> int:
        """Calls and Realtime sessions here: what a gateway that is told to stop waits for."""
        coming = self.media.socket.coming if isinstance(self.media.socket, MediaSocket) else 0
        return self.desk.store.here + coming + self.directory.seated

    def can_move(self) -> bool:
        """Whether another worker is there to go on with a call."""
        return self.peers.workers is not None and self.peers.workers.has_others

    async def move_calls(self, *, at_once: bool) -> None:
        """Until all calls that stream here have been given to others: each when nobody speaks, or at once."""
        if isinstance(self.media.socket, MediaSocket):
            await self.media.socket.move_all(at_once=at_once)


@dataclass(slots=True)
class _Peers:
    """The other workers, once the application runs."""

    workers: Workers | None = None


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
    keep = MessageFile(Path(settings.messages_file)).keep
    metrics, doors, peers, now = Metrics(build_version()), Doors(), _Peers(), Clock()
    fleet = fleet_of(settings, metrics, now)
    recorder, office = recorder_of(settings, metrics), office_of(settings, fleet, metrics, now)
    gate, signatures = _gate(settings, doors, now), SignatureCheck(settings)
    desk = FrontDesk(
        settings=settings, store=fleet.store, signatures=signatures, metrics=metrics, now=now, gate=gate
    )
    house = House(
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
        mcp=mcp or _client_mcp(settings, egress),
        make_id=id_maker(),
        worker_id=fleet.id,
        recorder=recorder,
    )
    reach, refuse = Reach(fleet.store, fleet.relay, house.load), partial(control.refusal_of, house.door)
    media, realtime, webrtc = _LateSocket(), _LateSocket(), web_rtc(settings, house.door)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None, None]:
        async with (
            SpeechActivity() as activity,
            EndOfTurn(settings.smart_turn_model) as end_of_turn,
            working(house.backend),
            house.tools.opened(),
            fleet.opened(house.load, gate.hear) as peers.workers,
            recorder.opened() if recorder else nullcontext(),
            office.opened() if office else nullcontext(),
            _chores(desk),
        ):
            media.socket = house.media_socket(activity, end_of_turn)
            studio = house.studio(activity, end_of_turn)
            realtime.socket = RealtimeSocket(studio, reach.side_band)
            reach.open(media.socket, studio, peers.workers)
            await speak_beforehand(house.phrasebook, house.backend)
            async with webrtc.opened(studio):
                yield

    routes: list[BaseRoute] = [
        *voice.routes(desk),
        *recordings_http.routes(recorder, refuse),
        *records_http.routes(fleet.store, office, now, refuse),
        *control.routes(desk, house.door),
        *control_events.routes(desk, doors.leaving, house.door),
        *control_orders.routes(reach, house.door),
        *_sockets(media, realtime),
        hang_up_route(house.door, house.directory),
        *webrtc.routes(),
        *(demo_page.routes() if settings.demo_page else ()),
        *http.routes(house.door, settings, configurer(agent, house.limits, serves_mcp=house.mcp is not None)),
        *overflow.routes(desk, desk.gate, _plan(settings, agent), keep),
        *operations.routes(desk, doors, house.directory, refuse),
    ]
    app, providers = Starlette(routes=routes, lifespan=lifespan), str(chosen(settings, agent))
    return Gateway(app, desk, doors, house.directory, providers, media, peers)


class _LateSocket:
    """A socket's place in the routes, which are made before the event loop runs."""

    socket: MediaSocket | RealtimeSocket | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.socket is not None, "the application has started"
        await self.socket(scope, receive, send)


def _client_mcp(settings: Settings, egress: Egress) -> Callable[[], AbstractAsyncContextManager[McpTools]] | None:
    return None if settings.mcp_client_servers is ClientServers.OFF else partial(McpClient, egress)


def _sockets(media: _LateSocket, realtime: _LateSocket) -> list[WebSocketRoute]:
    paths = (*SESSION_PATHS, INWORLD_PATH)
    return [WebSocketRoute(f"{MEDIA_PATH}/{{token}}", media), *(WebSocketRoute(path, realtime) for path in paths)]


def _gate(settings: Settings, doors: Doors, now: Callable[[], float]) -> Gate:
    limits = Limits(
        calls=settings.max_calls,
        calls_per_line=settings.max_calls_per_line,
        lateness_s=settings.max_lag_ms / 1000,
    )
    return Gate(admission=Admission(limits), now=now, is_open=lambda: doors.are_open)


def _plan(settings: Settings, agent: Agent) -> overflow.Plan:
    return overflow.Plan(
        ladder=settings.overflow,
        queue_limit_s=settings.queue_limit_s,
        hold_music=settings.hold_music,
        language=agent.language,
    )


@asynccontextmanager
async def _chores(desk: FrontDesk) -> AsyncGenerator[None, None]:
    """What is done again and again while the application lives."""

    def measured(measurement: Measurement) -> None:
        desk.metrics.event_loop_lag_s.observe(measurement.lateness_s)
        desk.gate.admission.measure(measurement)

    async with asyncio.TaskGroup() as tasks:
        lag, sweep = tasks.create_task(watch_load(measured, desk.now)), tasks.create_task(_sweep(desk))
        yield
        lag.cancel()
        sweep.cancel()


async def _sweep(desk: FrontDesk) -> None:
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        try:
            await desk.sweep()
        except Exception:
            # It would end the application, and with it every call that has nothing to do with this.
            log.exception("abandoned calls could not be swept up, by a fault of ours")
