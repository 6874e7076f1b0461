"""The fast lane: uvicorn's WebSocket protocol, with a shorter way for the frames that are nearly all there are.

Fifty times a second and call a whole, masked, unfragmented text frame arrives in one read. Such a frame needs no
state to be understood, so it is unmasked here and handed straight to whoever listens: no parser, no queue, no
task switch. A long frame comes in many reads; each is unmasked as it comes, since the library's way, all at its
end, would keep everybody else waiting. Every other byte (handshake, control frames, fragments, halves of short
frames, anything odd or forbidden) goes to the `websockets` library as before, and so does all that follows until
the library is done with it.

An application asks for it by the ASGI extension `switchboard.direct` in its scope, and works without it where the
server has none. `switchboard bench` shows what a frame costs.
"""

from __future__ import annotations

from asyncio import BaseTransport
from collections import deque
from collections.abc import Callable, Sequence
from types import GeneratorType
from typing import Any, Protocol, TypeAlias

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.protocol import Protocol as Connection
from websockets.protocol import State
from websockets.streams import StreamReader

try:
    from websockets.speedups import apply_mask
except ImportError:  # the library was installed without its C extension, and is slower for it
    from websockets.utils import apply_mask

EXTENSION = "switchboard.direct"

WHOLE_TEXT = 0x80 | Opcode.TEXT
"""First byte of a frame: final, no extension bits, text (RFC 6455, section 5.2)."""

WHOLE_BINARY = 0x80 | Opcode.BINARY
MASKED = 0x80
LENGTH_IN_16_BITS = 126
LENGTH_IN_64_BITS = 127
LONG_HEAD_BYTES = 10
"""Of a frame whose length takes 64 bits, without its mask."""
MASK_BYTES = 4

Listener: TypeAlias = Callable[[bytes | bytearray], None]
"""Gets the payload of each message, in order; a long one as `bytearray`, which is its own to keep."""


class Direct(Protocol):
    """What the extension offers."""

    def listen(self, listener: Listener, *, takes_binary: bool = False) -> None:
        """Hear messages directly from now on, those that wait in `receive` first; `receive` keeps the rest.

        Those are binary messages, unless `takes_binary` has them heard too, in their place among the others.
        """
        ...

    def allow(self, most_bytes: int) -> None:
        """Take messages of this size from now on, instead of the server's usual limit."""
        ...

    def pause(self) -> None:
        """Give the listener nothing more, and read nothing, until `resume`: the peer waits with what it sends."""
        ...

    def resume(self) -> None:
        """Read on. The listener may be called before this returns, and may pause again."""
        ...

    def send_now(self, texts: Sequence[str | bytes]) -> bool:
        """Write these texts, or do nothing and say False: the peer does not read, or is gone."""
        ...

    def cut(self) -> None:
        """End the connection now, whatever still waits to be sent: a peer that does not read takes no goodbye."""
        ...


class FastLane(WebSocketsSansIOProtocol):
    """uvicorn makes one for each connection. Inherits because uvicorn knows its protocols by their class."""

    _listener: Listener | None = None
    _takes_binary = False
    _library_is_inside = False
    """It holds half a frame or half a message, which only its own reading can change."""
    _long: LongFrame | None = None
    """The frame whose middle comes next."""
    _is_held = False
    """The listener wants nothing more for now."""
    _was_held = False
    """Since the last ping was answered or forgiven."""
    _held_back = b""
    """What was read before it said so."""
    _held_messages: deque[bytes]
    """Those the library had found in that; they come first."""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        # uvicorn's HTTP protocol brings us here and is done; it and its parser would hold each other for ever.
        brought_by = self.transport.get_protocol()
        if isinstance(brought_by, HttpToolsProtocol):
            brought_by.parser = None  # type: ignore[assignment]  # as it does itself when it is closed

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.conn.parser.close()  # it waits for another frame, and holds the library's connection, which holds it

    def listen(self, listener: Listener, *, takes_binary: bool = False) -> None:
        """See `Direct`."""
        waiting: list[Any] = []
        while not self.queue.empty():
            waiting.append(self.queue.get_nowait())
        self._listener, self._takes_binary = listener, takes_binary
        self._held_messages = deque()
        self._library_is_inside = _is_inside(self.conn)
        for message in waiting:
            if message["type"] == "websocket.receive" and "text" in message:
                listener(message["text"].encode())
            elif message["type"] == "websocket.receive" and takes_binary:
                listener(message["bytes"])
            else:
                self.queue.put_nowait(message)
        if self.read_paused:
            self.read_paused = False
            if not self._is_held:
                self.transport.resume_reading()

    def allow(self, most_bytes: int) -> None:
        """See `Direct`."""
        self.conn.max_message_size = most_bytes

    def pause(self) -> None:
        """See `Direct`."""
        self._is_held = self._was_held = True
        self.transport.pause_reading()

    def resume(self) -> None:
        """See `Direct`."""
        self._is_held = False
        while self._held_messages and self._listener is not None and not self._is_held:
            self._listener(self._held_messages.popleft())
        if self._held_back and not self._is_held:
            data, self._held_back = self._held_back, b""
            self.data_received(data)
        if not self._is_held and not self.read_paused:
            self.transport.resume_reading()

    def keepalive_timeout(self) -> None:
        """No answer to a ping. While we hold back it may stand among what we have not read, and is waited for."""
        if self._was_held and self.ping_timeout is not None:
            self._was_held = self._is_held
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
        else:
            super().keepalive_timeout()

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # uvicorn forgets, and logs a refusal by HTTP as an error of ours

    def send_now(self, texts: Sequence[str | bytes]) -> bool:
        """See `Direct`."""
        if not self.writable.is_set() or self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            return False
        self.transport.write(
            b"".join([_text_frame(text if isinstance(text, bytes) else text.encode()) for text in texts])
        )
        return True

    def cut(self) -> None:
        """See `Direct`."""
        self.transport.abort()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.handshake_initiated and not self.close_sent:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self

    def data_received(self, data: bytes) -> None:
        if self._listener is None:
            super().data_received(data)
            return
        at, end = 0, len(data)
        while at < end:
            if self._is_held:
                self._held_back += data[at:]
                return
            if self._long is not None:
                at = self._read_long(self._long, data, at)
                continue
            if self._library_is_inside or self.conn.state is not State.OPEN or self.close_sent:
                self._leave_to_library(data[at:])
                return
            if self._begins_long(data, at):
                at = self._begin_long(data, at)
                continue
            payload, after = _whole_text(data, at)
            if payload is None or len(payload) > self._most_bytes:
                self._leave_to_library(data[at:])
                return
            self._listener(payload)
            at = after

    @property
    def _most_bytes(self) -> int:
        limit: int | None = self.conn.max_message_size
        return self.config.ws_max_size if limit is None else limit

    def _begins_long(self, data: bytes, at: int) -> bool:
        """Whether a long frame begins at `at`, its head complete, that the listener is to hear."""
        if len(data) - at < LONG_HEAD_BYTES + MASK_BYTES or data[at + 1] != MASKED | LENGTH_IN_64_BITS:
            return False
        if data[at] != WHOLE_TEXT and not (self._takes_binary and data[at] == WHOLE_BINARY):
            return False
        length = int.from_bytes(data[at + 2 : at + LONG_HEAD_BYTES], "big")
        return 1 << 16 <= length <= self._most_bytes

    def _begin_long(self, data: bytes, at: int) -> int:
        """Begin the long frame at `at`; where its payload begins."""
        length = int.from_bytes(data[at + 2 : at + LONG_HEAD_BYTES], "big")
        after = at + LONG_HEAD_BYTES + MASK_BYTES
        self._long = LongFrame(length, data[after - MASK_BYTES : after])
        return after

    def _read_long(self, frame: LongFrame, data: bytes, at: int) -> int:
        """Read on in a long frame; where it ends in `data`. Once we have closed, it is only read past."""
        at = frame.read(data, at)
        if frame.is_whole:
            self._long = None
            if self._listener is not None and not self.close_sent:
                self._listener(frame.payload)
        return at

    def send_receive_event_to_app(self) -> None:
        is_heard = self.curr_msg_data_type == "text" or self._takes_binary
        if self._listener is None or not is_heard or self.close_sent:
            super().send_receive_event_to_app()
            return
        payload = b"".join(self.frames)
        self.frames = []
        if self._is_held:
            self._held_messages.append(payload)
        else:
            self._listener(payload)

    def _leave_to_library(self, data: bytes) -> None:
        super().data_received(data)
        self._library_is_inside = _is_inside(self.conn)


class LongFrame:
    """A frame that comes in many reads: unmasked as they come, and never held twice."""

    def __init__(self, length: int, mask: bytes) -> None:
        self.payload = bytearray()
        self._length = length
        self._mask = mask

    @property
    def is_whole(self) -> bool:
        return len(self.payload) == self._length

    def read(self, data: bytes, at: int) -> int:
        """Take what belongs to it from `data`, and say where the rest begins."""
        after = min(len(data), at + self._length - len(self.payload))
        turn = len(self.payload) % MASK_BYTES
        self.payload += apply_mask(data[at:after], self._mask[turn:] + self._mask[:turn])
        return after


BETWEEN_FRAMES = StreamReader.at_eof.__code__
"""Where the library's parser waits when it has read all of a frame."""


def _is_inside(connection: Connection) -> bool:
    """Whether what comes next belongs to a frame or a message the library has begun to read.

    Its buffer does not tell: the head of a frame is taken out of it before the rest has come.
    """
    step: object = connection.parser
    while isinstance(step, GeneratorType) and step.gi_yieldfrom is not None:
        step = step.gi_yieldfrom
    is_between = isinstance(step, GeneratorType) and step.gi_code is BETWEEN_FRAMES
    return not is_between or connection.current_size is not None


def _whole_text(data: bytes, at: int) -> tuple[bytes | None, int]:
    """The payload of the text frame at `at` and where the next one begins; None if it is anything but simple."""
    rest = len(data) - at
    if rest < 2 + MASK_BYTES or data[at] != WHOLE_TEXT or not data[at + 1] & MASKED:
        return None, at
    length, head = data[at + 1] & 0x7F, at + 2
    if length == LENGTH_IN_16_BITS:
        length, head = data[at + 2] << 8 | data[at + 3], at + 4
        if length < LENGTH_IN_16_BITS:
            return None, at  # not the shortest form: the library decides what to think of it
    elif length > LENGTH_IN_16_BITS:
        return None, at
    body = head + MASK_BYTES
    if len(data) < body + length:
        return None, at
    return apply_mask(data[body : body + length], data[head:body]), body + length


def _text_frame(payload: bytes) -> bytes:
    """A server's text frame: final and not masked (RFC 6455, section 5.1)."""
    length = len(payload)
    if length < LENGTH_IN_16_BITS:
        return bytes((WHOLE_TEXT, length)) + payload
    if length < 1 << 16:
        return bytes((WHOLE_TEXT, LENGTH_IN_16_BITS)) + length.to_bytes(2, "big") + payload
    return bytes((WHOLE_TEXT, 127)) + length.to_bytes(8, "big") + payload
