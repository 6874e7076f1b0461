"""A Realtime session of one's own, from its first event to its last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.calls.chronicle import Chronicle
from gateway.credentials.credential import Credential, Kind
from gateway.fast_lane import Direct
from gateway.logs import about
from gateway.realtime.allowance import EventRate
from gateway.realtime.coming_back import Kept, give_back
from gateway.realtime.directory import LiveSession
from gateway.realtime.floor import Floor
from gateway.realtime.ingress import Ingress
from gateway.realtime.line import Line
from gateway.realtime.session_end import SessionEnd
from gateway.realtime.studio import Studio
from gateway.realtime.wiring import Wiring
from pipeline import costs
from pipeline.costs import Tally
from pipeline.dialects import Dialect
from pipeline.engine import Engine
from pipeline.events.config import SessionConfig
from pipeline.events.refusal import BadEvent
from pipeline.kept_conversation import kept_of
from pipeline.mcp_errands import McpTools
from pipeline.opening import saying
from pipeline.session import Session
from pipeline.toolbox import Toolbox
from pipeline.wire import Wire

log = logging.getLogger(__name__)

MINUTE_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A session that is to begin, by whom and how."""

    dialect: Dialect
    credential: Credential
    config: SessionConfig
    session_id: str
    call_id: str = ""
    """Of its peer connection."""
    plays: bool = False
    """Its sound leaves by a line of its own, beside the events."""
    is_configured: bool = False
    """The client has said what it wants of it already."""
    is_agents: bool = False
    """The agent greets, and its tools are run here."""
    kept: Kept | None = None
    """What it goes on with."""
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once its seat is free again."""

    @property
    def transport(self) -> str:
        """For logs and metrics."""
        return "webrtc" if self.plays else "websocket"


Connect: TypeAlias = Callable[[Wiring], Line]


async def hold(studio: Studio, opening: Opening, connect: Connect) -> None:
    """Hold a session until either side ends it."""
    async with studio.open_mcp() as mcp:
        await _hold(studio, opening, connect, mcp)


async def _hold(studio: Studio, opening: Opening, connect: Connect, mcp: McpTools | None) -> None:
    life_s, opened_at_s = studio.settings.realtime_session_s, studio.unix_now()
    toolbox = studio.toolbox if opening.is_agents and studio.toolbox is not None else Toolbox(())
    session, owner = _session(studio, opening, toolbox), opening.credential.owner
    wiring = Wiring(
        wire=_wire(studio, opening, opened_at_s, opened_at_s + life_s),
        floor=Floor(),
        allowance=studio.allowances.of(owner, studio.now()),
        make_id=studio.make_id,
        now=studio.now,
        on_end=lambda: engine.stop(),
    )
    line, tally = connect(wiring), Tally()
    engine = Engine(
        session,
        studio.backend,
        line.transport,
        activity=studio.activity,
        toolbox=toolbox,
        observe=Chronicle(None, studio.metrics, studio.now, call_sid=session.id, tally=tally).note,
        now=studio.now,
        end_of_turn=studio.end_of_turn,
        mcp=mcp,
        phrasebook=studio.phrasebook if opening.is_agents else None,
    )
    live = LiveSession(
        id=session.id,
        call_id=opening.call_id,
        owner=owner,
        engine=engine,
        opened_at_s=opened_at_s,
        expires_at_s=opened_at_s + life_s,
        allowance=wiring.allowance,
        floor=wiring.floor,
        finish=line.finish,
        freed=opening.freed,
    )
    with about(session.id):
        told = {"owner": owner, "dialect": opening.dialect.value, "transport": opening.transport}
        log.info("realtime session opened", extra=told)
        began_s = studio.now()
        with studio.metrics.realtime_sessions_active.track_inprogress(), studio.directory.listed(live):
            was_open = await _converse(studio, opening, live, line, life_s)
            await asyncio.shield(_keep(studio, opening, live, line.end or SessionEnd.FAULT, was_open=was_open))
        reason, seconds = line.end or SessionEnd.FAULT, round(studio.now() - began_s, 3)
        studio.metrics.realtime_sessions.labels(opening.dialect.value, opening.transport, reason.value).inc()
        log.info("realtime session closed", extra={**told, "seconds": seconds, "reason": reason.value})
        for used in costs.shown(tally.used)["providers"]:
            log.info("realtime session used", extra=used)


def _wire(studio: Studio, opening: Opening, opened_at_s: float, expires_at_s: float) -> Wire:
    return Wire(
        opening.dialect,
        opened_at_s=opened_at_s,
        expires_at_s=expires_at_s,
        limits=studio.limits,
        serves_mcp=studio.serves_mcp,
        # Whoever holds a token made with a key is not told what that spends.
        tells_costs=opening.credential.kind in (Kind.KEY, Kind.DEV),
    )


def _session(studio: Studio, opening: Opening, toolbox: Toolbox) -> Session:
    return Session(
        opening.config,
        studio.make_id,
        id=opening.session_id,
        plays=opening.plays,
        has_channel=opening.plays,
        own_tools=toolbox.names,
        patient_tools=toolbox.patient,
        apology=studio.agent.apology if opening.is_agents else "",
        limits=studio.limits,
        takes_images=studio.backend.takes_images,
        hears_sound=studio.backend.hears_sound,
        anticipates=studio.settings.preemptive,
        history=opening.kept.conversation.items if opening.kept else (),
        tells_history=opening.kept is not None,
    )


async def _keep(studio: Studio, opening: Opening, live: LiveSession, end: SessionEnd, *, was_open: bool) -> None:
    """For its client to come back to. Whoever comes back finds it before it can be joined no more."""
    if opening.kept is not None and not was_open and end is not SessionEnd.HUNG_UP:
        # Its client was never told this session's id, and knows the old one.
        await give_back(studio, opening.credential, opening.kept)
    elif not end.is_final:
        session = live.engine.session
        conversation = kept_of(session.conversation.items, session.config)
        await studio.kept.keep(live.id, live.owner, conversation, studio.unix_now())


def ingress_of(studio: Studio, live: LiveSession, line: Line, direct: Direct | None) -> Ingress:
    """The way in of one line of a session, its own or a side-band."""
    return Ingress(
        live.engine,
        line.peer,
        direct,
        rate=EventRate(studio.settings.realtime_events_per_s, studio.now()),
        allowance=live.allowance,
        floor=live.floor,
        decoding=studio.decoding,
        failed=lambda: line.finish(SessionEnd.FAULT),
        now=studio.now,
    )


async def _converse(studio: Studio, opening: Opening, live: LiveSession, line: Line, life_s: int) -> bool:
    """Whether its client was there at all."""
    was_open = False
    try:
        was_open = await line.opened(live.engine)
        if was_open:
            await _live(studio, live, line, life_s, _greeting(studio, opening))
    except Exception:
        log.exception("the session failed by a fault of ours")
        line.finish(SessionEnd.FAULT)
        line.peer.close()
        await line.close()
    return was_open


def _greeting(studio: Studio, opening: Opening) -> str:
    """What the agent begins with, in a session of its own."""
    if not opening.is_agents:
        return ""
    return studio.agent.greeting if opening.kept is None else studio.agent.welcome_back


async def _live(studio: Studio, live: LiveSession, line: Line, life_s: int, greeting: str) -> None:
    expiry = asyncio.get_running_loop().call_later(life_s, line.finish, SessionEnd.EXPIRED)
    try:
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(line.peer.write())
            # Begins once the engine waits: the first event of all is `session.created`.
            reading = tasks.create_task(line.read(ingress_of(studio, live, line, line.direct)))
            if await live.engine.run(saying(greeting)) is not None:
                line.finish(SessionEnd.HUNG_UP)
            reading.cancel()
            await _say_goodbye(line, live, life_s)
            writing.cancel()
    finally:
        expiry.cancel()


async def _say_goodbye(line: Line, live: LiveSession, life_s: int) -> None:
    match line.end:
        case SessionEnd.EXPIRED:
            text = expiry_text(life_s)
            line.peer.refuse(BadEvent("session_expired", text))
            await line.close(reason=text)
        case SessionEnd.STOPPING:
            line.peer.refuse(BadEvent("server_stopping", stopping_text(live.id)), "server_error")
            await line.close()
        case SessionEnd.TOO_FAST:
            line.peer.refuse(BadEvent("too_fast", "Events came faster than they can be taken in."))
            await line.close()
        case _:
            await line.close()


def expiry_text(life_s: int) -> str:
    """Realtime reference, section A.5."""
    minutes, seconds = divmod(life_s, MINUTE_S)
    life = f"{life_s} seconds" if seconds else f"{minutes} minutes"
    return f"Your session hit the maximum duration of {life}."


def stopping_text(session_id: str) -> str:
    """How a client goes on elsewhere."""
    return f"This gateway is stopping. Connect again with ?session_id={session_id} to go on with the conversation."
