"""What both of Deepgram's live interfaces share: the client, the warm connections, one utterance on one of them.

Above it stand `listen_v1` and `flux`, which know the messages; below it Deepgram's SDK. No error says the key.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from typing import Any, Final, Generic, Protocol, Self, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, WebSocketException

from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, PCMA, PCMU, AudioFormat, Encoding
from pipeline.provider import ProviderError
from pipeline.providers.source import Source
from pipeline.providers.warm import WarmConnections

with warnings.catch_warnings():
    # The SDK takes the older client of `websockets`, which says so on import. It works; only the SDK can change it.
    warnings.simplefilter("ignore", DeprecationWarning)
    from deepgram import AsyncDeepgramClient, DeepgramClientEnvironment
    from deepgram.core.api_error import ApiError
    from deepgram.listen.v1.client import AsyncV1Client
    from deepgram.listen.v2.client import AsyncV2Client

KEY_SETTING: Final = "DEEPGRAM_API_KEY"

FORMATS: Final[tuple[AudioFormat, ...]] = (PCMU, PCMA, PCM_16K, PCM_24K, PCM_8K)
"""A telephone's sound goes as it is; both interfaces take all of these (Deepgram documentation, "Encoding")."""

IDLE_S: Final = 60.0
"""A connection waits this long for the next utterance, as long as a long answer. Open ones count against the key's
limit, so no more of them are kept than the calls of the last minute needed."""

CLOSE_LIMIT_S: Final = 1.0
"""A goodbye that takes longer is cut short; the socket itself would wait for ten seconds, at every step."""

GOODBYE_LIMIT_S: Final = 0.25
"""Once nothing more can be read, a peer that closes has closed by then. The socket itself would wait for 10 s."""

MAX_POOLS: Final = 12
"""Each format and language has its own connections, and a client may ask for any language; the oldest is closed."""

_ENCODINGS: Final = {Encoding.ULAW: "mulaw", Encoding.ALAW: "alaw", Encoding.PCM16: "linear16"}

_SCHEMES: Final = {"ws": "ws", "http": "ws", "wss": "wss", "https": "wss"}

_PASSING: Final = (408, 425, 429)
"""Refusals that may pass (RFC 9110, RFC 6585); every 5xx may too, every other 4xx stays."""


class Socket(Protocol):
    """What both of the SDK's connections can do."""

    async def recv(self) -> Any: ...

    async def send_media(self, message: bytes) -> None: ...

    async def send_close_stream(self) -> None: ...


S = TypeVar("S", bound=Socket)


@contextmanager
def provider_errors(label: str) -> Iterator[None]:
    """Whatever the SDK or its sockets raise becomes a `ProviderError`."""
    try:
        yield
    except ApiError as error:
        status = error.status_code or 0
        raise ProviderError(label, _refusal(status), retryable=status >= 500 or status in _PASSING) from error
    except ConnectionClosed as error:
        closing = error.rcvd
        said = f"with {closing.code} {closing.reason}".strip() if closing else "without a word (1006)"
        raise ProviderError(label, f"the connection was closed {said}", retryable=True) from error
    except (WebSocketException, OSError, EOFError) as error:
        raise ProviderError(label, f"cannot be reached: {type(error).__name__}: {error}", retryable=True) from error
    except json.JSONDecodeError as error:
        raise ProviderError(label, f"sent what is not JSON: {error}", retryable=True) from error


def listen_v1(source: Source) -> AsyncV1Client:
    """The SDK's client of `/v1/listen`. Raises `ProviderError` without a key, as does the other."""
    client: AsyncV1Client = _client(source).listen.v1
    return client


def listen_v2(source: Source) -> AsyncV2Client:
    client: AsyncV2Client = _client(source).listen.v2
    return client


def sound_query(label: str, format: AudioFormat) -> dict[str, Any]:
    """How a query tells the format. Raises `ProviderError` for one that is not among `FORMATS`."""
    if format not in FORMATS:
        raise ProviderError(label, f"hears {FORMATS}, not {format}", retryable=False)
    return {"encoding": _ENCODINGS[format.encoding], "sample_rate": str(format.rate_hz)}


class Pools(Generic[S]):
    """Warm connections, one pool for each format and language, because these stand in the address.

    `connect` opens a connection and raises as the SDK does; `keep_alive` is as in `WarmConnections`.
    """

    def __init__(
        self,
        label: str,
        connect: Callable[[AudioFormat, str | None], AbstractAsyncContextManager[S]],
        *,
        keep_alive: Callable[[S], Awaitable[None]] | None = None,
        idle_s: float = IDLE_S,
    ) -> None:
        self._label = label
        self._connect = connect
        self._keep_alive = keep_alive
        self._idle_s = idle_s
        self._pools: dict[tuple[AudioFormat, str | None], WarmConnections[S]] = {}

    async def pool(self, format: AudioFormat, language: str | None) -> WarmConnections[S]:
        """Those for this sound."""
        key = (format, language)
        if key not in self._pools:
            oldest = self._pools.pop(next(iter(self._pools))) if len(self._pools) >= MAX_POOLS else None
            self._pools[key] = WarmConnections(
                self._label,
                lambda: self._opened(format, language),
                is_open=is_open,
                idle_s=self._idle_s,
                keep_alive=self._kept_alive if self._keep_alive else None,
            )
            if oldest is not None:
                await oldest.aclose()
        return self._pools[key]

    async def aclose(self) -> None:
        pools, self._pools = tuple(self._pools.values()), {}
        for pool in pools:
            await pool.aclose()

    @asynccontextmanager
    async def _opened(self, format: AudioFormat, language: str | None) -> AsyncGenerator[S, None]:
        context = self._connect(format, language)
        with provider_errors(self._label):
            socket = await _without_patience(context.__aenter__())
        try:
            yield socket
        finally:
            await _close(context, socket)

    async def _kept_alive(self, socket: S) -> None:
        assert self._keep_alive is not None
        with provider_errors(self._label):
            await self._keep_alive(socket)


class Exchange(Generic[S]):
    """One utterance on one connection: its sound goes out beside what comes back. See `exchange`."""

    def __init__(self, label: str, socket: S) -> None:
        self._label = label
        self.socket = socket
        self.is_ending = False
        """The service was asked to close this connection: it is of no use to another utterance."""

    async def send(self, audio: AsyncIterator[bytes], finish: Callable[[Self], Awaitable[None]]) -> None:
        """The sound as it comes, then whatever `finish` says."""
        async for piece in audio:
            if piece:  # to the service, no sound at all means the end of the stream
                await self.socket.send_media(piece)
        await finish(self)

    async def end(self) -> None:
        """Have the service work on what it has not yet, tell it, and close."""
        self.is_ending = True
        with provider_errors(self._label):
            await self.socket.send_close_stream()

    async def messages(self, sending: asyncio.Task[None]) -> AsyncGenerator[Any, None]:
        """What comes back, until the service closes as it was asked to. Messages unknown to the SDK are left out.

        Raises `ProviderError` for any other end, and what the sending raised.
        """
        while True:
            try:
                with provider_errors(self._label):
                    message = await self._next(sending)
            except ProviderError as error:
                if self.is_ending and isinstance(error.__cause__, ConnectionClosedOK):
                    return
                raise
            if isinstance(message, bytes):
                raise ProviderError(self._label, f"sent {len(message)} bytes where text was due", retryable=True)
            if message is not None:
                yield message

    async def _next(self, sending: asyncio.Task[None]) -> Any:
        receiving = asyncio.ensure_future(self.socket.recv())
        reading: asyncio.Task[None] = cast(Any, self.socket)._websocket.transfer_data_task
        try:
            if not sending.done():
                await asyncio.wait((receiving, reading, sending), return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and not receiving.done():
                sending.result()
            await asyncio.wait((receiving, reading), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((receiving,), timeout=GOODBYE_LIMIT_S)
            if not receiving.done():
                raise ProviderError(self._label, "sent what cannot be read, and does not close", retryable=True)
            return receiving.result()
        finally:
            receiving.cancel()


@asynccontextmanager
async def exchange(
    label: str, socket: S, audio: AsyncIterator[bytes], finish: Callable[[Exchange[S]], Awaitable[None]]
) -> AsyncGenerator[tuple[Exchange[S], AsyncGenerator[Any, None]], None]:
    """An `Exchange` of `audio` that has begun, and what comes back; at the end of the context it is over."""
    going = Exchange(label, socket)
    # A bare task: a group would stay open across the yields of a generator, whose consumer it could then cancel.
    sending = asyncio.create_task(going.send(audio, finish))
    sending.add_done_callback(_take_note)
    try:
        async with aclosing(going.messages(sending)) as messages:
            yield going, messages
    finally:
        sending.cancel()
        await asyncio.wait((sending,))


def is_open(socket: Socket) -> bool:
    """Whether it still stands. The SDK does not tell, so its socket is asked."""
    return bool(cast(Any, socket)._websocket.open)


async def _without_patience(opening: Coroutine[Any, Any, S]) -> S:
    """What `opening` gives. When this is cancelled it ends at once: the socket would first wait for a goodbye."""
    task = asyncio.create_task(opening)  # a bare one: cancelled, it cleans up by itself, and nobody waits for it
    task.add_done_callback(_take_note)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.cancel() and not task.exception():  # it was through at just this moment
            _abort(task.result())
        raise


async def _close(context: AbstractAsyncContextManager[S], socket: S) -> None:
    closing = asyncio.ensure_future(context.__aexit__(None, None, None))
    closing.add_done_callback(_take_note)
    try:
        await asyncio.wait((closing,), timeout=CLOSE_LIMIT_S)
    finally:
        if not closing.done():
            _abort(socket)


def _abort(socket: Socket) -> None:
    cast(Any, socket)._websocket.transport.abort()


def _take_note(task: asyncio.Future[Any]) -> None:
    """Its error is no news to anybody; asked for, asyncio does not log it."""
    if not task.cancelled():
        task.exception()


def _client(source: Source) -> AsyncDeepgramClient:
    key = source.key(KEY_SETTING)
    if not source.base_url:
        return AsyncDeepgramClient(api_key=key)
    parts = urlsplit(source.base_url.rstrip("/"))
    if parts.scheme not in _SCHEMES or not parts.netloc:
        message = f"expected a base URL such as wss://api.eu.deepgram.com, not {source.base_url!r}"
        raise ProviderError(source.label, message, retryable=False)
    url = urlunsplit((_SCHEMES[parts.scheme], parts.netloc, parts.path, "", ""))
    # Live speech-to-text asks for `production` alone; the others are there so that no request goes astray.
    environment = DeepgramClientEnvironment(base=url, production=url, agent=url, agent_rest=url)
    return AsyncDeepgramClient(api_key=key, environment=environment)


def _refusal(status: int) -> str:
    match status:
        case 401 | 403:
            return f"refused the API key (HTTP {status}); check {KEY_SETTING}"
        case 400 | 404:
            return f"refused the query (HTTP {status}); check the model, the language and the options"
        case 429:
            return "has too many connections of this key (HTTP 429)"
        case _:
            return f"refused the connection (HTTP {status})"
