"""The fast lane: uvicorn's WebSocket protocol, with a shorter way for the frames that are nearly all there are.

Fifty times a second and call a whole, masked, unfragmented text frame arrives in one read. Such a frame needs no
state to be understood, so it is unmasked here and handed straight to whoever listens: no parser, no queue, no task
switch. Every other byte (handshake, control frames, fragments, halves of frames, anything odd or forbidden) goes to
the `websockets` library as before, and so does all that follows until the library is done with it.

An application asks for it by the ASGI extension `switchboard.direct` in its scope, and works without it where the
server has none. `switchboard bench` shows what a frame costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import GeneratorType
from typing import Any, Protocol, TypeAlias

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

MASKED = 0x80
LENGTH_IN_16_BITS = 126
MASK_BYTES = 4

Listener: TypeAlias = Callable[[bytes], None]
"""Gets the payload of each text message, in order."""


class Direct(Protocol):
    """What the extension offers."""

    def listen(self, listener: Listener) -> None:
        """Hear messages directly from now on, those that wait in `receive` first; `receive` keeps the rest."""
        ...

    def send_now(self, texts: Sequence[str]) -> bool:
        """Write these messages, or do nothing and say False: the peer does not read, or is gone."""
        ...

    def cut(self) -> None:
        """End the connection now, whatever still waits to be sent: a peer that does not read takes no goodbye."""
        ...


class FastLane(WebSocketsSansIOProtocol):
    """uvicorn makes one for each connection. Inherits because uvicorn knows its protocols by their class."""

    _listener: Listener | None = None
    _library_is_inside = False
    """It holds half a frame or half a message, which only its own reading can change."""

    def listen(self, listener: Listener) -> None:
        """See `Direct`."""
        waiting: list[Any] = []
        while not self.queue.empty():
            waiting.append(self.queue.get_nowait())
        self._listener = listener
        self._library_is_inside = _is_inside(self.conn)
        for message in waiting:
            if message["type"] == "websocket.receive" and "text" in message:
                listener(message["text"].encode())
            else:
                self.queue.put_nowait(message)
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def send_now(self, texts: Sequence[str]) -> bool:
        """See `Direct`."""
        if not self.writable.is_set() or self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            return False
        self.transport.write(b"".join([_text_frame(text.encode()) for text in texts]))
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
        if self._library_is_inside or self.conn.state is not State.OPEN or self.close_sent:
            self._leave_to_library(data)
            return
        at, end = 0, len(data)
        while at < end:
            payload, after = _whole_text(data, at)
            if payload is None or len(payload) > self.config.ws_max_size:
                self._leave_to_library(data[at:])
                return
            self._listener(payload)
            at = after

    def send_receive_event_to_app(self) -> None:
        if self._listener is None or self.curr_msg_data_type != "text" or self.close_sent:
            super().send_receive_event_to_app()
            return
        payload = b"".join(self.frames)
        self.frames = []
        self._listener(payload)

    def _leave_to_library(self, data: bytes) -> None:
        super().data_received(data)
        self._library_is_inside = _is_inside(self.conn)


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
