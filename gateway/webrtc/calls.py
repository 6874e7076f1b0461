"""All peer connections of a process: offers answered, sessions held, and everything freed at the end.

A call is the session behind one peer connection; it goes by `rtc_…` (Realtime reference, section A.2). It lives in
a task of its own from the answer on, long after the request that brought the offer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from gateway.errors import Refusal
from gateway.media_stream.pacer import Pacer
from gateway.realtime.own_session import Opening, hold
from gateway.realtime.session_end import SessionEnd
from gateway.realtime.studio import Studio
from gateway.webrtc.connection import RtcConnection
from gateway.webrtc.link import LinkFailed, LinkSetup
from gateway.webrtc.offer import Offer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a client is told of its new session."""

    call_id: str
    session_id: str
    sdp: str


class RtcCalls:
    """Use `open_calls`; used from the event loop only."""

    def __init__(self, studio: Studio, setup: LinkSetup, tasks: asyncio.TaskGroup) -> None:
        self.studio = studio
        self._setup = setup
        self._tasks = tasks
        self._pacer = Pacer()
        self._connections: dict[str, RtcConnection] = {}

    async def open(self, offer: Offer, opening: Opening, redeem: Callable[[], object] = lambda: None) -> Answered:
        """Answer an offer; its session begins when the peer has connected, which it must within seconds.

        `redeem` uses up what lets this session in; it may raise, and is called once nothing else stands against it.
        Raises `Refusal`: 429 if this key has as many sessions as it may, 503 if no address can be offered.
        """
        with ExitStack() as places:
            freed = places.enter_context(self.studio.directory.seat(opening.credential.owner))
            redeem()
            connection = RtcConnection(
                offer, self._setup, self._pacer, opening.session_id, is_configured=opening.is_configured
            )
            sdp = await self._answer(connection)
            seat = places.pop_all()
        self._connections[opening.call_id] = connection
        holding = self._tasks.create_task(self._hold(connection, replace(opening, freed=freed)))

        def over(_: asyncio.Task[None]) -> None:
            seat.close()
            del self._connections[opening.call_id]

        holding.add_done_callback(over)
        return Answered(opening.call_id, opening.session_id, sdp)

    async def _answer(self, connection: RtcConnection) -> str:
        try:
            return await connection.answer()
        except BaseException as fault:
            await connection.close()
            if not isinstance(fault, LinkFailed):
                raise
            log.error("an offer of WebRTC cannot be answered: %s", fault)
            words = "This gateway has no address for WebRTC. Its log tells its operator why."
            raise Refusal(503, "webrtc_has_no_address", words) from fault

    async def _hold(self, connection: RtcConnection, opening: Opening) -> None:
        try:
            await hold(self.studio, opening, connection.wire)
        except Exception:
            # The edge of its task: the group would end all the others with it.
            log.exception("a call failed by a fault of ours", extra={"session": opening.session_id})
        finally:
            await connection.close()

    def finish_all(self, why: SessionEnd) -> None:
        """Every call is to end."""
        for connection in tuple(self._connections.values()):
            connection.finish(why)


@asynccontextmanager
async def open_calls(studio: Studio, setup: LinkSetup) -> AsyncGenerator[RtcCalls, None]:
    """Calls may be made while inside; those there are when it is left end as the gateway's stop."""
    async with asyncio.TaskGroup() as tasks:
        calls = RtcCalls(studio, setup, tasks)
        try:
            yield calls
        finally:
            calls.finish_all(SessionEnd.STOPPING)
