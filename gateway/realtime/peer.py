"""A JSON client as a transport: a session's events become text frames, and wait if the client does not read.

Written at once where the server can; else they wait in a bounded outbox for one writer task. Who leaves too much or
waits too long is given up, by a named reason, and nobody else notices. Knows no handshake and no input.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from gateway.fast_lane import Direct
from gateway.realtime.allowance import ResponseAllowance
from gateway.realtime.session_end import SessionEnd
from gateway.realtime.wiring import Wiring
from pipeline.events.error import ErrorDetail, ErrorEvent
from pipeline.events.event import ServerEvent
from pipeline.events.refusal import BadEvent
from pipeline.events.response import OutputAudioDelta, RateLimitsUpdated, ResponseCreated
from pipeline.wire import split

ROOM_BYTES = 256 * 1024
"""No more sound is made while so much text waits: four seconds of speech at 24 kHz in base64."""

MOST_WAITING_BYTES = 8 * 1024 * 1024
"""Text that waits for a client; past it the client is given up. A session's longest answers have a tenth of it."""

STUCK_S = 10.0
"""A client that takes not one frame for so long will not come back to its socket."""


class Peer:
    """`Transport` of one connection.

    `send_text` sends a text frame and waits for the client to read; `lost` is called once if that is in vain.
    `counts`: responses are counted here: a session has several peers, and one of them counts.
    """

    plays = False

    def __init__(
        self,
        wiring: Wiring,
        send_text: Callable[[str], Awaitable[None]],
        lost: Callable[[SessionEnd], None],
        direct: Direct | None,
        *,
        counts: bool = True,
        stuck_s: float = STUCK_S,
    ) -> None:
        self.wire = wiring.wire
        self._make_id = wiring.make_id
        self._send_text = send_text
        self._lost = lost
        self._direct = direct
        self._now = wiring.now
        self._floor = wiring.floor
        self._allowance = wiring.allowance
        self._counts = counts
        self._stuck_s = stuck_s
        self._outbox: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._is_writing = False
        self._has_mail = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_drained = asyncio.Event()
        self._is_drained.set()
        self._is_closed = False

    @property
    def waiting_bytes(self) -> int:
        """Text the client has not taken yet, beside what the server and the system hold."""
        return self._waiting_bytes

    def send(self, event: ServerEvent) -> None:
        if self._is_closed:
            return
        if type(event) is OutputAudioDelta:
            for piece in split(event):
                self._write(self.wire.encode(piece))
            return
        if type(event) is ErrorEvent and not self._floor.concerns(self):
            return
        self._write(self.wire.encode(event))
        if type(event) is ResponseCreated and self._allowance is not None:
            self._tell_limits(self._allowance)

    def flush(self) -> int:
        """Never asked of a transport that does not play."""
        return 0

    async def room(self) -> None:
        await self._has_room.wait()

    def refuse(self, bad: BadEvent, type: str = "invalid_request_error") -> None:
        """Tell this client, and nobody else, what it did wrong."""
        detail = ErrorDetail(type=type, message=bad.message, code=bad.code, param=bad.param, event_id=bad.event_id)
        if not self._is_closed:
            self._write(self.wire.encode(ErrorEvent(event_id=self._make_id("event"), error=detail)))

    def close(self) -> None:
        """Say nothing more; whoever owns the socket closes it."""
        self._is_closed = True
        self._outbox.clear()
        self._waiting_bytes = 0
        self._has_room.set()
        self._is_drained.set()

    async def drained(self) -> None:
        """Wait until all was written, or is in vain."""
        await self._is_drained.wait()

    async def write(self) -> None:
        """Send what waits, for as long as the connection lives. Its owner cancels it."""
        try:
            while True:
                await self._has_mail.wait()
                self._has_mail.clear()
                while self._outbox:
                    self._is_writing = True
                    async with asyncio.timeout(self._stuck_s):
                        await self._send_text(self._outbox[0].decode())
                    self._take_off()
                self._is_writing = False
                self._is_drained.set()
        except TimeoutError:  # an OSError too, so this comes first
            self._give_up()
        except (OSError, RuntimeError):
            self.close()  # the socket is gone, and whoever reads it is told so

    def _tell_limits(self, allowance: ResponseAllowance) -> None:
        now_s = self._now()
        if self._counts:
            allowance.count(now_s)
        limits = RateLimitsUpdated(event_id=self._make_id("event"), rate_limits=(allowance.shown(now_s),))
        self._write(self.wire.encode(limits))

    def _write(self, text: bytes | None) -> None:
        """At once if the server can and nothing waits, else in order."""
        if text is None or self._is_closed:
            return
        is_free = self._direct is not None and not self._outbox and not self._is_writing
        if is_free and self._direct is not None and self._direct.send_now((text,)):
            return
        self._outbox.append(text)
        self._waiting_bytes += len(text)
        if self._waiting_bytes > MOST_WAITING_BYTES:
            self._give_up()
            return
        if self._waiting_bytes > ROOM_BYTES:
            self._has_room.clear()
        self._is_drained.clear()
        self._has_mail.set()

    def _take_off(self) -> None:
        """The first text is with the server now."""
        if not self._outbox:
            return  # closed meanwhile
        self._waiting_bytes -= len(self._outbox.popleft())
        if self._waiting_bytes <= ROOM_BYTES:
            self._has_room.set()

    def _give_up(self) -> None:
        self.close()
        self._lost(SessionEnd.SLOW_READER)
