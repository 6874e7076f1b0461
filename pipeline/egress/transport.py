"""An HTTP client for addresses that others named: it connects only where the guard lets it, and reads only so much.

Every request is checked, so a redirect that a client follows is checked as well. A new connection resolves its host
once and goes to a judged address; TLS and the `Host` header keep the name. No proxy, no `.netrc`, no environment.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpcore2
import httpx2

from pipeline.egress.addresses import Address
from pipeline.egress.guard import Egress
from pipeline.egress.refusal import EgressRefused, Reason
from pipeline.egress.url import Scheme, WebAddress

MOST_BYTES = 1024 * 1024
"""Of one answer. What a model can read of it is far less; a hostile server would send without end."""
MOST_STREAM_BYTES = 16 * 1024 * 1024
"""Of one event stream, which may stay open for a whole session."""
CONNECT_LIMIT_S = 3.0
"""To one host, TLS included; its addresses share it."""
READ_LIMIT_S = 5.0
"""Between two pieces of an answer."""
ANSWER_LIMIT_S = 10.0
"""For a whole answer: a server that drips a byte a second never exceeds the limit between two pieces."""
MOST_ADDRESSES = 4
"""Tried, of those a name has."""
MOST_CONNECTIONS = 20
KEPT_S = 30.0
"""For how long an idle connection is kept."""

_EVENT_STREAM = "text/event-stream"


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Inherits because httpx2 knows its transports by their class."""

    def __init__(
        self,
        egress: Egress,
        *,
        most_bytes: int = MOST_BYTES,
        most_stream_bytes: int = MOST_STREAM_BYTES,
        answer_limit_s: float = ANSWER_LIMIT_S,
    ) -> None:
        self._egress = egress
        self._most_bytes = most_bytes
        self._most_stream_bytes = most_stream_bytes
        self._answer_limit_s = answer_limit_s
        schemes: tuple[Scheme, ...] = ("https", "http")
        # One pool for each scheme: the network below is not told which one a connection is for.
        self._pools = {scheme: _pool(egress, scheme) for scheme in schemes}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises `EgressRefused`, or an error of httpx2."""
        web = self._egress.check(str(request.url))
        request.headers["accept-encoding"] = "identity"
        asked = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        ends_at_s = asyncio.get_running_loop().time() + self._answer_limit_s
        with _as_httpx2():
            try:
                async with asyncio.timeout_at(ends_at_s):  # slow headers
                    answer = await self._pools[web.scheme].handle_async_request(asked)
            except TimeoutError:
                raise _too_slow(web) from None
        return httpx2.Response(
            answer.status,
            headers=answer.headers,
            stream=await self._bounded(answer, web, ends_at_s),
            extensions=answer.extensions,
        )

    async def _bounded(self, answer: httpcore2.Response, web: WebAddress, ends_at_s: float) -> _Bounded:
        headers = httpx2.Headers(answer.headers)
        if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            await answer.aclose()
            raise EgressRefused(
                Reason.ENCODED, f"The answer of {web.place} is compressed, which was not asked for."
            )
        if headers.get("content-type", "").strip().lower().startswith(_EVENT_STREAM):
            return _Bounded(answer, web, self._most_stream_bytes, None)
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._most_bytes:
            await answer.aclose()
            raise _too_large(web, self._most_bytes)
        return _Bounded(answer, web, self._most_bytes, ends_at_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()


class _Bounded(httpx2.AsyncByteStream):
    """A body, as far as it may be read. Inherits because httpx2 knows its bodies by their class."""

    def __init__(
        self, answer: httpcore2.Response, web: WebAddress, most_bytes: int, ends_at_s: float | None
    ) -> None:
        self._answer = answer
        self._web = web
        self._most_bytes = most_bytes
        self._ends_at_s = ends_at_s
        """By the loop's clock; None for what may go on."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        read_bytes = 0
        with _as_httpx2():
            async for piece in self._answer.aiter_stream():
                read_bytes += len(piece)
                if read_bytes > self._most_bytes:
                    raise _too_large(self._web, self._most_bytes)
                if self._ends_at_s is not None and clock() > self._ends_at_s:
                    raise _too_slow(self._web)
                yield piece

    async def aclose(self) -> None:
        await self._answer.aclose()


class _CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to judged addresses only. Inherits because httpcore2 knows its networks by their class."""

    def __init__(self, egress: Egress, scheme: Scheme) -> None:
        self._egress = egress
        self._scheme = scheme
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Raises `EgressRefused`, or an error of httpcore2."""
        bracketed = f"[{host}]" if ":" in host else host
        web = self._egress.check(f"{self._scheme}://{bracketed}:{port}/")
        addresses = await self._egress.addresses(web)
        return await self._connect_to_one(addresses[:MOST_ADDRESSES], port, timeout or CONNECT_LIMIT_S)

    async def _connect_to_one(
        self, addresses: Sequence[Address], port: int, limit_s: float
    ) -> httpcore2.AsyncNetworkStream:
        """The first that answers, each with its share of the time."""
        *others, last = addresses
        share_s = limit_s / len(addresses)
        for address in others:
            with contextlib.suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return await self._network.connect_tcp(str(address), port, timeout=share_s)
        return await self._network.connect_tcp(str(last), port, timeout=share_s)


def _pool(egress: Egress, scheme: Scheme) -> httpcore2.AsyncConnectionPool:
    return httpcore2.AsyncConnectionPool(
        ssl_context=egress.tls,
        max_connections=MOST_CONNECTIONS,
        keepalive_expiry=KEPT_S,
        network_backend=_CheckedNetwork(egress, scheme),
    )


def guarded_client(
    egress: Egress,
    *,
    headers: Mapping[str, str] | None = None,
    idle_limit_s: float = READ_LIMIT_S,
    answer_limit_s: float = ANSWER_LIMIT_S,
    most_bytes: int = MOST_BYTES,
    around: Callable[[httpx2.AsyncBaseTransport], httpx2.AsyncBaseTransport] | None = None,
) -> httpx2.AsyncClient:
    """A client that follows no redirect and goes nowhere unchecked. The caller closes it.

    `idle_limit_s`: the longest pause in an answer. `answer_limit_s`: for all of it, or for the beginning of an
    event stream. `around`: puts another transport over the guarded one.
    """
    guarded = GuardedTransport(egress, most_bytes=most_bytes, answer_limit_s=answer_limit_s)
    return httpx2.AsyncClient(
        transport=guarded if around is None else around(guarded),
        trust_env=False,
        follow_redirects=False,
        headers=headers,
        timeout=httpx2.Timeout(READ_LIMIT_S, connect=CONNECT_LIMIT_S, read=idle_limit_s),
    )


@contextlib.contextmanager
def _as_httpx2() -> Iterator[None]:
    """The errors of the library below, as those of the library above: it knows only its own."""
    try:
        yield
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        kind: type[httpx2.TransportError] = getattr(httpx2, type(error).__name__)
        raise kind(str(error)) from error


def _too_large(web: WebAddress, most_bytes: int) -> EgressRefused:
    return EgressRefused(Reason.TOO_LARGE, f"The answer of {web.place} is larger than {most_bytes} bytes.")


def _too_slow(web: WebAddress) -> EgressRefused:
    return EgressRefused(Reason.TOO_SLOW, f"The answer of {web.place} takes too long.")
