"""A side-band: one more connection onto a session that runs, a phone call's included.

It is shown the session as it is now, then all that happens in it, and may send what the session's own client may
(Realtime reference, section E.1, side-band control). It leaves, slow or broken, without the session noticing.
"""

from __future__ import annotations

import asyncio
import logging

from starlette.types import Receive, Send

from gateway.fast_lane import Direct
from gateway.logs import about
from gateway.realtime.connection import Connection
from gateway.realtime.directory import LiveSession
from gateway.realtime.own_session import ingress_of
from gateway.realtime.session_end import SessionEnd
from gateway.realtime.studio import Studio
from gateway.realtime.wiring import Wiring
from pipeline.dialects import Dialect
from pipeline.events.session import SessionCreated
from pipeline.wire import Wire

log = logging.getLogger(__name__)


async def join(
    studio: Studio, dialect: Dialect, live: LiveSession, receive: Receive, send: Send, direct: Direct | None
) -> None:
    """Hold the connection, which is accepted, until it leaves or what it joined is over."""
    wire = Wire(
        dialect,
        opened_at_s=live.opened_at_s,
        expires_at_s=live.expires_at_s,
        limits=studio.limits,
        serves_mcp=live.engine.serves_mcp,
    )
    has_ended = asyncio.Event()
    wiring = Wiring(
        wire=wire,
        floor=live.floor,
        allowance=live.allowance,
        make_id=studio.make_id,
        now=studio.now,
        on_end=has_ended.set,
    )
    most_bytes = studio.limits.event_bytes
    connection = Connection(wiring, receive, send, direct, most_bytes=most_bytes, counts=False)
    began_s = studio.now()
    with about(live.id), studio.metrics.realtime_side_bands_active.track_inprogress():
        log.info("side-band joined", extra={"dialect": dialect.value})
        await _converse(studio, live, connection, direct, has_ended)
        seconds = round(studio.now() - began_s, 3)
        log.info("side-band left", extra={"seconds": seconds, "reason": (connection.end or SessionEnd.FAULT).value})


async def _converse(
    studio: Studio, live: LiveSession, connection: Connection, direct: Direct | None, has_ended: asyncio.Event
) -> None:
    engine, peer = live.engine, connection.peer
    session = engine.session
    peer.send(SessionCreated(event_id=studio.make_id("event"), session_id=session.id, session=session.config))
    engine.watch(peer.send)
    try:
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(peer.write())
            reading = tasks.create_task(connection.read(ingress_of(studio, live, connection, direct)))
            watching = tasks.create_task(_end_with(live, connection))
            await has_ended.wait()
            watching.cancel()
            reading.cancel()
            await connection.close()
            writing.cancel()
    except Exception:
        log.exception("the side-band failed by a fault of ours")
        connection.finish(SessionEnd.FAULT)
        peer.close()
        await connection.close()
    finally:
        engine.unwatch(peer.send)


async def _end_with(live: LiveSession, connection: Connection) -> None:
    await live.over.wait()
    connection.finish(SessionEnd.SESSION_OVER)
