"""A side-band whose socket is on one worker and whose call streams on another.

Where the call streams, `side_band.join` holds it as if the socket were there; where the socket is, frames are
carried both ways as they are. How it ended over there is told to whoever holds the socket and may follow the call
(`followed_call.py`). Knows neither Redis nor who may join.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Final, TypeAlias

from starlette.types import Message, Receive, Send

from gateway.calls.errand import MOST_PIECE_BYTES, ErrandEnd
from gateway.realtime.directory import LiveSession
from gateway.realtime.peer import STUCK_S
from gateway.realtime.side_band import join
from gateway.realtime.studio import Studio
from pipeline.dialects import Dialect

log = logging.getLogger(__name__)

_TEXT: Final = b"t"
_CLOSE: Final = b"c"

Close: TypeAlias = tuple[int, str]
"""Code and reason of a close frame."""

LOST: Final[Close] = (1001, "worker_lost")
"""The call goes on, most likely, on another worker: join again."""

TOO_LARGE: Final[Close] = (1009, "message_too_big")

_CODE_BYTES: Final = 2


async def serve(studio: Studio, dialect: Dialect, live: LiveSession, end: ErrandEnd) -> None:
    """Hold the side-band on this worker, whose socket is at the errand's other end."""

    async def receive() -> Message:
        data = await end.get()
        if data is None:
            return {"type": "websocket.disconnect", "code": 1006}
        return {"type": "websocket.receive", "bytes": data}

    async def send(message: Message) -> None:
        if message["type"] == "websocket.send":
            end.send(_TEXT + message["text"].encode())
        else:
            code, reason = message["code"], message.get("reason") or ""
            end.send(_CLOSE + code.to_bytes(_CODE_BYTES, "big") + reason.encode())

    with studio.directory.joined(live):
        await join(studio, dialect, live, receive, send, None)


async def carry(end: ErrandEnd, receive: Receive, send: Send) -> Close | None:
    """Hold the socket, which is accepted, for as long as the side-band lives over there: how it ended there, None
    if the client is gone. `receive` must lose nothing when it is cancelled."""
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(_read(end, receive))
        close: Close | None = None
        try:
            close = await _write(end, send)
            if reading.done():
                close = reading.result()
        except (TimeoutError, RuntimeError, OSError):
            log.info("side-band of another worker's call left: the client does not read, or is gone")
        else:
            log.info("side-band of another worker's call left: %s", close[1] if close else "the client is gone")
        reading.cancel()
    return close


async def _read(end: ErrandEnd, receive: Receive) -> Close | None:
    """What the client sends; why it is to be closed, if it is not just gone."""
    while (message := await receive())["type"] != "websocket.disconnect":
        text: str | None = message.get("text")
        data = text.encode() if text is not None else message.get("bytes") or b""
        if len(data) > MOST_PIECE_BYTES:
            end.end()
            return TOO_LARGE
        end.send(data)
    end.end()
    return None


async def _write(end: ErrandEnd, send: Send) -> Close:
    """What the session says, to its close."""
    while (data := await end.get()) is not None:
        if data[:1] == _CLOSE:
            return int.from_bytes(data[1 : 1 + _CODE_BYTES], "big"), data[1 + _CODE_BYTES :].decode()
        await _within(send({"type": "websocket.send", "text": data[1:].decode()}))
    return LOST


async def _within(sending: Awaitable[None]) -> None:
    """A client that takes not one frame for so long will not come back to its socket."""
    async with asyncio.timeout(STUCK_S):
        await sending
