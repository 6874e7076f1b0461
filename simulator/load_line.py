"""One WebSocket of a load, on picows: whole text messages in, and whether the line is open.

What the messages say, whoever receives them knows.
"""

from __future__ import annotations

from collections.abc import Callable

from picows import WSFrame, WSListener, WSMsgType, WSTransport


class Line(WSListener):
    """What picows calls; it asks for a class of its own. `receive` gets each text message and when it came."""

    def __init__(self, receive: Callable[[bytes, float], None], now: Callable[[], float]) -> None:
        self._receive = receive
        self._now = now
        self.is_open = False
        self.goodbye: str | None = None
        """Why the server closed, as it said."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.is_open = True

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self._receive(frame.get_payload_as_bytes(), self._now())
        elif frame.msg_type == WSMsgType.CLOSE:
            self.goodbye = f"closed with {frame.get_close_code()}: {_text(frame.get_close_message())}"
            # picows leaves the answer to us; until it comes the server waits, and the line would count as open.
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.is_open = False


def _text(message: bytes | None) -> str:
    return (message or b"no reason told").decode("utf-8", "replace")
