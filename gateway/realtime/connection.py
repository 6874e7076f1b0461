"""One accepted WebSocket that speaks the Realtime protocol: reading, writing, and how it comes to its end.

It knows neither who may come in nor whether the session is its own or one it has joined.
"""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive, Send

from gateway.fast_lane import Direct
from gateway.realtime.ingress import Ingress
from gateway.realtime.peer import Peer
from gateway.realtime.session_end import CLOSES, SessionEnd, of_disconnect
from gateway.realtime.wiring import Wiring
from pipeline.engine import Engine
from pipeline.transport import Transport

CLOSE_LIMIT_S = 2.0
"""For the client to read what was still to be said, and the close; then it is cut off."""

_GONE = frozenset({SessionEnd.CLIENT_LEFT, SessionEnd.TOO_LARGE, SessionEnd.SLOW_READER})
"""Ends after which there is nobody to say anything to."""


class Connection:
    """See the module's docstring. A `Line`."""

    def __init__(
        self,
        wiring: Wiring,
        receive: Receive,
        send: Send,
        direct: Direct | None,
        *,
        most_bytes: int,
        counts: bool,
    ) -> None:
        self._receive = receive
        self._send = send
        self.direct = direct
        self._most_bytes = most_bytes
        self._on_end = wiring.on_end
        self.end: SessionEnd | None = None
        """Why; None while it lives."""
        self.peer = Peer(wiring, self._send_text, self.finish, direct, counts=counts)

    @property
    def transport(self) -> Transport:
        return self.peer

    async def opened(self, engine: Engine) -> bool:
        """It was accepted before it came here."""
        return True

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
                if self.direct is not None:
                    self.direct.listen(ingress.take, takes_binary=True)
                while (message := await self._receive())["type"] != "websocket.disconnect":
                    self._take(ingress, message)
                    await ingress.has_room()
                self.finish(of_disconnect(message.get("code")))
                working.cancel()
        finally:
            ingress.close()

    async def close(self, *, reason: str | None = None) -> None:
        """Write what waits, then close as the end demands; `reason` is for the close frame."""
        if self.end is SessionEnd.SLOW_READER and self.direct is not None:
            self.direct.cut()  # a close would wait behind all that was not read
            return
        code, usual = CLOSES[self.end or SessionEnd.FAULT]
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self.peer.drained()
                reason = usual if reason is None else reason
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except TimeoutError:  # an OSError too, so this comes first
            if self.direct is not None:
                self.direct.cut()
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
