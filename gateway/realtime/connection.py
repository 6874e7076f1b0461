"""One accepted WebSocket that speaks the Realtime protocol: reading, writing, and how it comes to its end.

It knows neither who may come in nor whether the session is its own or one it has joined.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Message, Receive, Send

from gateway.fast_lane import Direct
from gateway.realtime.allowance import ResponseAllowance
from gateway.realtime.floor import Floor
from gateway.realtime.ingress import Ingress
from gateway.realtime.peer import Peer
from gateway.realtime.session_end import CLOSES, SessionEnd, of_disconnect
from pipeline.wire import Wire

CLOSE_LIMIT_S = 2.0
"""For the client to read what was still to be said, and the close; then it is cut off."""

_GONE = frozenset({SessionEnd.CLIENT_LEFT, SessionEnd.STOPPING, SessionEnd.TOO_LARGE, SessionEnd.SLOW_READER})
"""Ends after which there is nobody to say anything to."""


class Connection:
    """See the module's docstring. `on_end` is called once, when it is to end."""

    def __init__(
        self,
        wire: Wire,
        receive: Receive,
        send: Send,
        direct: Direct | None,
        *,
        most_bytes: int,
        make_id: Callable[[str], str],
        now: Callable[[], float],
        floor: Floor,
        allowance: ResponseAllowance | None,
        counts: bool,
        on_end: Callable[[], None],
    ) -> None:
        self._receive = receive
        self._send = send
        self._direct = direct
        self._most_bytes = most_bytes
        self._on_end = on_end
        self.end: SessionEnd | None = None
        """Why; None while it lives."""
        self.peer = Peer(
            wire,
            make_id,
            self._send_text,
            self.finish,
            direct,
            now=now,
            floor=floor,
            allowance=allowance,
            counts=counts,
        )

    def finish(self, why: SessionEnd) -> None:
        """It is to end; the first reason stands."""
        if self.end is None:
            self.end = why
            if why in _GONE:
                self.peer.close()
            self._on_end()

    async def read(self, ingress: Ingress) -> None:
        """Hear the client until it is gone. Its owner cancels it if the end comes from our side."""
        try:
            async with asyncio.TaskGroup() as tasks:
                working = tasks.create_task(ingress.work())
                if self._direct is not None:
                    self._direct.listen(ingress.take, takes_binary=True)
                while (message := await self._receive())["type"] != "websocket.disconnect":
                    self._take(ingress, message)
                    await ingress.has_room()
                self.finish(of_disconnect(message.get("code")))
                working.cancel()
        finally:
            ingress.close()

    async def close(self, *, reason: str | None = None) -> None:
        """Write what waits, then close as the end demands; `reason` is for the close frame."""
        if self.end is SessionEnd.SLOW_READER and self._direct is not None:
            self._direct.cut()  # a close would wait behind all that was not read
            return
        code, usual = CLOSES[self.end or SessionEnd.FAULT]
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self.peer.drained()
                reason = usual if reason is None else reason
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except TimeoutError:  # an OSError too, so this comes first
            if self._direct is not None:
                self._direct.cut()
        except (RuntimeError, OSError):
            pass  # it is closed already
        self.peer.close()

    def _take(self, ingress: Ingress, message: Message) -> None:
        """What does not come directly: everything, on a server without the short way."""
        text: str | None = message.get("text")
        data = text.encode() if text is not None else message.get("bytes") or b""
        if len(data) > self._most_bytes:
            self.finish(SessionEnd.TOO_LARGE)
        else:
            ingress.take(data)

    async def _send_text(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": text})
