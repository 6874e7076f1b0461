"""A Realtime session of one's own, from its first event to its last."""

from __future__ import annotations

import asyncio
import logging

from starlette.types import Receive, Send

from gateway.calls.chronicle import Chronicle
from gateway.credentials.credential import Credential, Kind
from gateway.fast_lane import Direct
from gateway.logs import about
from gateway.realtime.allowance import EventRate
from gateway.realtime.connection import Connection
from gateway.realtime.directory import LiveSession
from gateway.realtime.floor import Floor
from gateway.realtime.ingress import Ingress
from gateway.realtime.session_end import SessionEnd
from gateway.realtime.studio import Studio
from pipeline import costs
from pipeline.costs import Tally
from pipeline.dialects import Dialect
from pipeline.engine import Engine
from pipeline.events.config import SessionConfig
from pipeline.events.refusal import BadEvent
from pipeline.mcp_errands import McpTools
from pipeline.session import Session
from pipeline.toolbox import Toolbox
from pipeline.wire import Wire

log = logging.getLogger(__name__)

MINUTE_S = 60


async def hold(
    studio: Studio,
    dialect: Dialect,
    credential: Credential,
    config: SessionConfig,
    receive: Receive,
    send: Send,
    direct: Direct | None,
) -> None:
    """Hold the session of this connection, which is accepted, until either side ends it."""
    async with studio.open_mcp() as mcp:
        await _hold(studio, dialect, credential, config, receive, send, direct, mcp)


async def _hold(
    studio: Studio,
    dialect: Dialect,
    credential: Credential,
    config: SessionConfig,
    receive: Receive,
    send: Send,
    direct: Direct | None,
    mcp: McpTools | None,
) -> None:
    life_s, opened_at_s = studio.settings.realtime_session_s, studio.unix_now()
    session, owner = _session(studio, config), credential.owner
    floor, allowance = Floor(), studio.allowances.of(owner, studio.now())
    wire = Wire(
        dialect,
        opened_at_s=opened_at_s,
        expires_at_s=opened_at_s + life_s,
        limits=studio.limits,
        serves_mcp=studio.serves_mcp,
        tells_costs=credential.kind in (Kind.KEY, Kind.DEV),  # whoever holds a token made with one is not told
    )
    connection = Connection(
        wire,
        receive,
        send,
        direct,
        most_bytes=studio.limits.event_bytes,
        make_id=studio.make_id,
        now=studio.now,
        floor=floor,
        allowance=allowance,
        counts=True,
        on_end=lambda: engine.stop(),
    )
    tally = Tally()
    engine = Engine(
        session,
        studio.backend,
        connection.peer,
        activity=studio.activity,
        toolbox=Toolbox(()),
        observe=Chronicle(None, studio.metrics, studio.now, call_sid=session.id, tally=tally).note,
        now=studio.now,
        end_of_turn=studio.end_of_turn,
        mcp=mcp,
    )
    live = LiveSession(
        id=session.id,
        owner=owner,
        engine=engine,
        opened_at_s=opened_at_s,
        expires_at_s=opened_at_s + life_s,
        allowance=allowance,
        floor=floor,
    )
    with about(session.id):
        log.info("realtime session opened", extra={"owner": owner, "dialect": dialect.value})
        began_s = studio.now()
        with studio.metrics.realtime_sessions_active.track_inprogress(), studio.directory.listed(live):
            await _converse(studio, live, connection, direct, life_s)
        reason, seconds = connection.end or SessionEnd.FAULT, round(studio.now() - began_s, 3)
        studio.metrics.realtime_sessions.labels(dialect.value, reason.value).inc()
        log.info(
            "realtime session closed",
            extra={"owner": owner, "dialect": dialect.value, "seconds": seconds, "reason": reason.value},
        )
        for used in costs.shown(tally.used)["providers"]:
            log.info("realtime session used", extra=used)


def _session(studio: Studio, config: SessionConfig) -> Session:
    return Session(
        config,
        studio.make_id,
        plays=False,
        limits=studio.limits,
        takes_images=studio.backend.takes_images,
        hears_sound=studio.backend.hears_sound,
        anticipates=studio.settings.preemptive,
    )


def ingress_of(studio: Studio, live: LiveSession, connection: Connection, direct: Direct | None) -> Ingress:
    """The way in of one connection of a session, its own or a side-band."""
    return Ingress(
        live.engine,
        connection.peer,
        direct,
        rate=EventRate(studio.settings.realtime_events_per_s, studio.now()),
        allowance=live.allowance,
        floor=live.floor,
        decoding=studio.decoding,
        failed=lambda: connection.finish(SessionEnd.FAULT),
        now=studio.now,
    )


async def _converse(
    studio: Studio, live: LiveSession, connection: Connection, direct: Direct | None, life_s: int
) -> None:
    expiry = asyncio.get_running_loop().call_later(life_s, connection.finish, SessionEnd.EXPIRED)
    try:
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(connection.peer.write())
            # Begins once the engine waits: the first event of all is `session.created`.
            reading = tasks.create_task(connection.read(ingress_of(studio, live, connection, direct)))
            await live.engine.run()
            reading.cancel()
            await _say_goodbye(connection, life_s)
            writing.cancel()
    except Exception:
        log.exception("the session failed by a fault of ours")
        connection.finish(SessionEnd.FAULT)
        connection.peer.close()
        await connection.close()
    finally:
        expiry.cancel()


async def _say_goodbye(connection: Connection, life_s: int) -> None:
    if connection.end is not SessionEnd.EXPIRED:
        await connection.close()
        return
    text = expiry_text(life_s)
    connection.peer.refuse(BadEvent("session_expired", text))
    await connection.close(reason=text)


def expiry_text(life_s: int) -> str:
    """Realtime reference, section A.5."""
    minutes, seconds = divmod(life_s, MINUTE_S)
    life = f"{life_s} seconds" if seconds else f"{minutes} minutes"
    return f"Your session hit the maximum duration of {life}."
