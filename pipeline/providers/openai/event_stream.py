"""Server-sent events, as far as these services use them: the `data` of one event after another.

Written after the HTML standard (https://html.spec.whatwg.org/multipage/server-sent-events.html). Unlike the SDK's
own reader it knows a limit, so that an endless line costs a connection and not the memory. It reads no JSON.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any, Final

import openai

from pipeline.providers.openai.client import Client, body_of, drain

MAX_EVENT_BYTES: Final = 256 * 1024
"""Of one event. A token takes 300 bytes; a server that sends a tool call at one go, some tens of thousands."""

DONE: Final = b"[DONE]"
"""The `data` that ends a stream of chat completions."""


class EventTooLong(Exception):
    """An event is longer than `MAX_EVENT_BYTES`."""


class EventReader:
    """Pieces of a body in, the `data` of whole events out. Pieces may be cut anywhere, in mid-letter too."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._ends_with_cr = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Raises `EventTooLong`; the reader is of no use afterwards."""
        if self._ends_with_cr and piece.startswith(b"\n"):
            piece = piece[1:]  # the second half of a line's end that was cut in two
        self._ends_with_cr = piece.endswith(b"\r")
        for part in piece.splitlines(keepends=True):  # of bytes: at LF, CR and CRLF, as the standard wants
            self._rest += part
            if len(self._rest) + self._data_bytes > MAX_EVENT_BYTES:
                raise EventTooLong
            if self._rest.endswith((b"\n", b"\r")):
                line = bytes(self._rest.rstrip(b"\r\n"))
                self._rest.clear()
                yield from self._take(line)

    def _take(self, line: bytes) -> Iterator[bytes]:
        if not line:
            if self._data:
                yield b"\n".join(self._data)
            self._data, self._data_bytes = [], 0
        elif line.startswith(b"data:"):
            data = line[5:].removeprefix(b" ")
            self._data.append(data)
            self._data_bytes += len(data)


async def events_of(client: Client, response: openai.AsyncAPIResponse[Any]) -> AsyncGenerator[bytes, None]:
    """The `data` of each event of a response, without the last one, `DONE`. Raises `ProviderError` for one that is
    too long."""
    reader = EventReader()
    async with aclosing(body_of(response)) as body:
        async for piece in body:
            try:
                for data in reader.feed(piece):
                    if data.strip() == DONE:
                        await drain(body)
                        return
                    yield data
            except EventTooLong:
                message = f"sent an event of more than {MAX_EVENT_BYTES // 1024} KiB"
                raise client.failure(message) from None
