"""One connection to a remote Realtime service: requests out, events in, until it is lost.

It knows sockets and time, and nothing of conversations. What goes out waits in a bounded queue: a remote that does
not read for so long is as good as gone. What comes in is handed on as it comes; who takes it never waits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from pipeline.provider import ProviderError
from pipeline.upstream.requests import Request
from pipeline.upstream.shape import Address
from pipeline.upstream.wire import RemoteEvent, WireFault, decode

CONNECT_LIMIT_S: Final = 3.0
"""Until a session is there and configured."""

MOST_WAITING: Final = 600
"""Requests: a minute of sound in pieces of 100 ms. Sound that is older is of no use to a conversation."""

MOST_MESSAGE_BYTES: Final = 4 * 1024 * 1024
"""Deltas of real services stay under 100 kB; what is far larger is a fault, and ends the connection with 1009."""

PING_S: Final = 10.0
"""Between pings, and until a pong is missed: a dead network is found out between two answers, too."""

CLOSE_LIMIT_S: Final = 1.0
"""A call that is over waits no longer for a goodbye."""

FINAL_CODES: Final = range(3000, 5000)
"""Of a close: the service wants nothing to do with us (Realtime reference, section A.5)."""


class Socket(Protocol):
    """What `websockets` offers of a connection. Every failure is one of its exceptions, or an OSError."""

    async def send(self, message: bytes, *, text: bool) -> None: ...

    async def recv(self) -> str | bytes: ...

    async def close(self) -> None: ...


Dial: TypeAlias = Callable[[Address], Awaitable[Socket]]


async def dial(address: Address) -> Socket:
    """Connect. Never through a proxy on loopback; without compression, which sound gains nothing from."""
    socket: Socket = await connect(
        address.url,
        additional_headers=address.headers,
        proxy=None if address.is_loopback else True,
        compression=None,
        max_size=MOST_MESSAGE_BYTES,
        max_queue=(64, 16),
        open_timeout=CONNECT_LIMIT_S,
        ping_interval=PING_S,
        ping_timeout=PING_S,
        close_timeout=CLOSE_LIMIT_S,
    )
    return socket


class Connection:
    """`run` lives as long as the connection does. `rewrites_words`: see `wire.decode`."""

    def __init__(self, label: str, socket: Socket, *, rewrites_words: bool = False) -> None:
        self._label = label
        self._socket = socket
        self._rewrites_words = rewrites_words
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(MOST_WAITING)
        self._broken = asyncio.Event()
        self._why = ""

    def send(self, request: Request | bytes) -> None:
        """Send it after all that was sent before. Never waits; a queue that is full ends the connection."""
        message = request if isinstance(request, bytes) else msgspec.json.encode(request)
        try:
            self._waiting.put_nowait(message)
        except asyncio.QueueFull:
            self.give_up(f"has not read {MOST_WAITING} requests")

    def give_up(self, why: str) -> None:
        """It is of no use any more: `run` ends with a `ProviderError` that says why."""
        if not self._broken.is_set():
            self._why = why
            self._broken.set()

    async def run(self, take: Callable[[RemoteEvent], None]) -> None:
        """Until the connection is lost, which is a `ProviderError`; the socket is then closed."""
        try:
            async with asyncio.TaskGroup() as legs:
                legs.create_task(self._write())
                legs.create_task(self._read(take))
                await self._broken.wait()
                raise ProviderError(self._label, self._why, retryable=True)
        except* (ProviderError, WireFault, ConnectionClosed, OSError) as failures:
            failure = failures.exceptions[0]
        else:
            raise AssertionError("a connection ends only by its loss")
        finally:
            with contextlib.suppress(OSError, WebSocketException):
                await self._socket.close()
        raise self._error(failure) from failure

    async def _write(self) -> None:
        while True:
            await self._socket.send(await self._waiting.get(), text=True)

    async def _read(self, take: Callable[[RemoteEvent], None]) -> None:
        while True:
            event = decode(await self._socket.recv(), rewrites_words=self._rewrites_words)
            if event is not None:
                take(event)

    def _error(self, failure: BaseException) -> ProviderError:
        match failure:
            case ProviderError():
                return failure
            case WireFault():
                return ProviderError(self._label, f"broke the protocol: {failure}", retryable=True)
            case ConnectionClosed():
                close = failure.rcvd
                code = close.code if close else 1006
                reason = f"closed the connection ({code}{' ' + close.reason if close and close.reason else ''})"
                return ProviderError(self._label, reason, retryable=code not in FINAL_CODES)
            case _:
                return ProviderError(self._label, f"cannot be reached any more: {failure}", retryable=True)


def dialling_error(label: str, failure: BaseException) -> ProviderError:
    """Why nobody answered."""
    match failure:
        case InvalidStatus():
            status = failure.response.status_code
            is_final = 400 <= status < 500 and status not in (408, 425, 429)
            return ProviderError(label, f"refused the connection: HTTP {status}", retryable=not is_final)
        case TimeoutError():
            return ProviderError(label, f"did not answer within {CONNECT_LIMIT_S:g} seconds", retryable=True)
        case _:
            return ProviderError(label, f"cannot be reached: {failure}", retryable=True)
