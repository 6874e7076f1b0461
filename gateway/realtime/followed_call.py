"""A side-band that stays with its phone call: where the call goes on, on whichever worker, so does the side-band.

Each stream of a call is a session of its own, held on the worker that the stream came to. The client's socket stays
open from one to the next: after a gap it is shown the next session as it was shown the first, by `session.created`.
What it sends in between waits for that. Knows neither Redis nor how a call finds its next worker, only how to ask.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Final, TypeAlias

from starlette.types import Message, Receive, Send

from gateway.calls.errand import ErrandEnd
from gateway.calls.orders import ENDING, OVER
from gateway.errors import Refusal
from gateway.fast_lane import Direct
from gateway.realtime.far_side_band import LOST, Close, carry
from gateway.realtime.handshake import Wanted
from gateway.realtime.peer import STUCK_S
from gateway.realtime.session_end import CLOSES, SessionEnd
from gateway.realtime.side_band import join
from gateway.realtime.studio import Studio
from pipeline.dialects import Dialect

log = logging.getLogger(__name__)

FOLLOW_LIMIT_S: Final = 20.0
"""A call that has no stream for longer is not waited for: Twilio gives the webhook that opens the next 15 s."""

LOOK_S: Final = 0.05
"""How often it is looked whether the call streams again: a directory here, one read of Redis elsewhere."""

MOST_WAITING: Final = 8
"""Events that a client may send ahead; past it the socket is not read, so the client waits, and nothing is lost."""

Elsewhere: TypeAlias = Callable[[str, Dialect], AbstractAsyncContextManager[ErrandEnd]]
"""Our end of a side-band onto a call on another worker. Raises `Refusal`."""

_Leg: TypeAlias = Callable[[Receive, Send], Awaitable[Close | None]]
"""Holds the side-band while one stream of the call lasts: how it was closed, None if the client is gone."""

SESSION_OVER: Final = CLOSES[SessionEnd.SESSION_OVER]
_FINAL: Final = frozenset({OVER.code, ENDING.code})


class FollowedCall:
    """See the module's docstring. `find` first, which may refuse; then `hold`, in the same task."""

    def __init__(self, studio: Studio, call_id: str, wanted: Wanted, elsewhere: Elsewhere) -> None:
        self._studio = studio
        self._call_id = call_id
        self._wanted = wanted
        self._elsewhere = elsewhere
        self._place = AsyncExitStack()
        self._leg: _Leg | None = None

    async def find(self) -> None:
        """Take a place at the call's session. Raises `Refusal`."""
        studio, wanted = self._studio, self._wanted
        try:
            live = studio.directory.join(self._call_id, wanted.credential)
        except Refusal as refusal:
            if refusal.status_code != 404:
                raise
            end = await self._place.enter_async_context(self._elsewhere(self._call_id, wanted.dialect))
            self._leg = lambda receive, send: carry(end, receive, send)
            return
        self._place.enter_context(studio.directory.joined(live))

        async def here(receive: Receive, send: Send) -> Close | None:
            close: list[Close] = []

            async def send_on(message: Message) -> None:
                if message["type"] == "websocket.close":
                    close.append((message["code"], message["reason"]))
                else:
                    await send(message)

            await join(studio, wanted.dialect, live, receive, send_on, None)
            return close[0] if close else None

        self._leg = here

    async def leave(self) -> None:
        """Give up the place."""
        await self._place.aclose()

    async def hold(self, receive: Receive, send: Send, direct: Direct | None) -> None:
        """Hold the connection, which is accepted, until it leaves or the call is over."""
        inbox = _Inbox(receive)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(inbox.run())
            close = await self._follow(inbox, send)
            reading.cancel()
        if close is None:
            return
        try:
            async with asyncio.timeout(STUCK_S):
                await send({"type": "websocket.close", "code": close[0], "reason": close[1]})
        except TimeoutError:  # an OSError too, so this comes first
            if direct is not None:
                direct.cut()
        except (RuntimeError, OSError):
            pass  # it is closed already

    async def _follow(self, inbox: _Inbox, send: Send) -> Close | None:
        """From stream to stream; what the client is told at the end."""
        while True:
            assert self._leg is not None, "it was found"
            close = await self._leg(inbox.receive, send)
            await self._place.aclose()
            if close not in (SESSION_OVER, LOST) or inbox.is_over:
                return close
            if (end := await self._found_again(inbox)) is not None:
                return end
            log.info("the side-band follows its call to its next stream")

    async def _found_again(self, inbox: _Inbox) -> Close | None:
        """None once there is a place at the call's next session; else why there will be none."""
        try:
            async with asyncio.timeout(FOLLOW_LIMIT_S):
                while not inbox.is_over:
                    try:
                        await self.find()
                    except Refusal as refusal:
                        if refusal.reason in _FINAL:
                            return SESSION_OVER
                    else:
                        return None
                    if not self._studio.admits():
                        return CLOSES[SessionEnd.STOPPING]  # this worker leaves: the next one is to be asked
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            log.info("the call of a side-band was not picked up again within %g s", FOLLOW_LIMIT_S)
        return LOST


class _Inbox:
    """What the client sends, for whoever holds the side-band just now."""

    def __init__(self, receive: Receive) -> None:
        self._socket = receive
        self._queue: asyncio.Queue[Message] = asyncio.Queue(MOST_WAITING)
        self._goodbye: Message | None = None

    @property
    def is_over(self) -> bool:
        """The client is gone."""
        return self._goodbye is not None

    async def run(self) -> None:
        """Read the socket until it is gone. Its owner cancels it."""
        while (message := await self._socket())["type"] != "websocket.disconnect":
            await self._queue.put(message)
        self._goodbye = message
        await self._queue.put(message)

    async def receive(self) -> Message:
        """The next; a goodbye is said to everybody who asks."""
        if self._goodbye is not None and self._queue.empty():
            return self._goodbye
        return await self._queue.get()
