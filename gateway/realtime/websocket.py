"""The Realtime endpoints over WebSocket: a session of one's own, or a side-band onto one that runs.

    GET /v1/realtime?model=…  /api/v1/realtime/session     a new session
    …?session_id=…                                         goes on with one that was cut off
    GET /v1/realtime?call_id=…                             joins a session, or a phone call by its CallSid

(Realtime reference, sections A.1 and E.1.) Here is decided who may come in and what for; `own_session.py` and
`side_band.py` hold the conversation. Bare ASGI, as the media socket is and for the same reason.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import TypeAlias

from starlette.types import Receive, Scope, Send

from gateway.errors import ConfigRefused, Refusal
from gateway.fast_lane import EXTENSION, Direct
from gateway.realtime.agent_session import config_for
from gateway.realtime.coming_back import taken_back
from gateway.realtime.connection import Connection
from gateway.realtime.directory import PHONE_CALL_PREFIX
from gateway.realtime.followed_call import Elsewhere, FollowedCall
from gateway.realtime.handshake import Wanted, admitted, query_of, spoken_dialect, subprotocol_of
from gateway.realtime.kept_sessions import new_session_id
from gateway.realtime.own_session import Opening, hold
from gateway.realtime.refusals import turn_away
from gateway.realtime.side_band import join
from gateway.realtime.studio import Studio
from gateway.realtime.wiring import Wiring

log = logging.getLogger(__name__)

Socket: TypeAlias = tuple[Receive, Send, Direct | None]

Held: TypeAlias = Callable[[Receive, Send, Direct | None], Awaitable[None]]
"""Holds an accepted connection to its end."""


class RealtimeSocket:
    """The endpoint of all Realtime paths."""

    def __init__(self, studio: Studio, elsewhere: Elsewhere | None = None) -> None:
        """`elsewhere`: the way to phone calls that stream on other workers."""
        self._studio = studio
        self._elsewhere = elsewhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        studio = self._studio
        async with AsyncExitStack() as places:
            try:
                conversation = await self._prepared(scope, places)
            except (Refusal, ConfigRefused) as refused:
                reason = refused.reason if isinstance(refused, Refusal) else refused.code
                studio.metrics.realtime_refused.labels(reason).inc()
                log.debug("realtime connection refused: %s", refused)
                dialect = spoken_dialect(scope, query_of(scope))
                await turn_away(refused, dialect, scope, receive, send, studio.make_id)
                return
            direct: Direct | None = scope.get("extensions", {}).get(EXTENSION)
            if direct is not None:
                direct.allow(studio.limits.event_bytes)  # only now: strangers get no more than the server gives
            await send({"type": "websocket.accept", "subprotocol": subprotocol_of(scope)})
            await conversation(receive, send, direct)

    async def _prepared(self, scope: Scope, places: AsyncExitStack) -> Held:
        """What is to be done with this connection; its place is taken. Raises `Refusal` or `ConfigRefused`."""
        studio = self._studio
        if not studio.admits() and "call_id" not in query_of(scope):
            raise Refusal(503, "draining", "This gateway is stopping and begins no sessions. Try again.")
        wanted = admitted(scope, studio.door, serves_beta=studio.settings.realtime_beta)
        if wanted.call_id is not None:
            return await self._joined(wanted.call_id, wanted, places)
        async with taken_back(studio, query_of(scope).get("session_id"), wanted.credential) as kept:
            old = kept.conversation if kept else None
            config = config_for(
                wanted, studio.agent, studio.limits, serves_mcp=studio.serves_mcp, kept=old, toolbox=studio.toolbox
            )
            freed = places.enter_context(studio.directory.seat(wanted.credential.owner))
        opening = Opening(
            dialect=wanted.dialect,
            credential=wanted.credential,
            config=config,
            session_id=new_session_id(),
            is_agents=wanted.is_agents,
            kept=kept,
            freed=freed,
        )
        return lambda *socket: hold(studio, opening, partial(self._connected, socket))

    async def _joined(self, call_id: str, wanted: Wanted, places: AsyncExitStack) -> Held:
        """A side-band, here or to another worker. Raises `Refusal`."""
        studio = self._studio
        if self._elsewhere is not None and call_id.startswith(PHONE_CALL_PREFIX):
            followed = FollowedCall(studio, call_id, wanted, self._elsewhere)
            places.push_async_callback(followed.leave)
            await followed.find()
            return followed.hold
        session = studio.directory.join(call_id, wanted.credential)
        places.enter_context(studio.directory.joined(session))
        return lambda *line: join(studio, wanted.dialect, session, *line)

    def _connected(self, socket: Socket, wiring: Wiring) -> Connection:
        return Connection(wiring, *socket, most_bytes=self._studio.limits.event_bytes, counts=True)
