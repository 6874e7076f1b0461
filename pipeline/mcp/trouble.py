"""Finds out why a request to a server failed: the SDK hides statuses and dies of what a network does.

Under the SDK lies a transport that turns every failure of the network into an answer it understands, so that one
failed request leaves the others of its connection alone, and notes the true cause for whoever asked.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar

import httpx2
from mcp import MCPError
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR

from pipeline.egress.refusal import EgressRefused, Reason
from pipeline.mcp.tool import McpFailure

log = logging.getLogger(__name__)

LONGEST_MESSAGE_CHARS = 500
"""Of what a server says of an error; it might say a megabyte."""

FORBIDDEN = 403
NOT_REACHED = 502
TOO_LATE = 504
"""What a gateway says in place of a server."""

_STAND_INS = frozenset({CONNECTION_CLOSED, INTERNAL_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR})
"""Codes the SDK itself gives when HTTP went wrong; behind others stands the server's own answer."""

notes: ContextVar[list[McpFailure] | None] = ContextVar("mcp_notes", default=None)
"""Where the request that is under way notes its trouble. The SDK sends each request in the context of its asker."""


def late(limit_s: float) -> McpFailure:
    return McpFailure("http_error", f"The MCP server did not answer within {limit_s:g} seconds.", TOO_LATE)


def lost() -> McpFailure:
    return McpFailure("http_error", "The connection to the MCP server was lost.", NOT_REACHED)


class ToldTransport(httpx2.AsyncBaseTransport):
    """Inherits because httpx2 knows its transports by their class."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = await self._inner.handle_async_request(request)
        except (EgressRefused, httpx2.TransportError) as error:
            failure = _of_network(error)
            _note(failure)
            body = {"jsonrpc": "2.0", "id": None, "error": {"code": INTERNAL_ERROR, "message": failure.message}}
            return httpx2.Response(failure.code or NOT_REACHED, json=body)
        if response.status_code >= 300:
            _note(McpFailure("http_error", _status_message(response), response.status_code))
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_ToldBody(stream),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class _ToldBody(httpx2.AsyncByteStream):
    """Inherits because httpx2 knows its bodies by their class."""

    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._inner:
                yield piece
        except (EgressRefused, httpx2.TransportError) as error:
            failure = _of_network(error)
            _note(failure)
            raise httpx2.StreamError(failure.message) from error  # which the SDK knows how to survive

    async def aclose(self) -> None:
        await self._inner.aclose()


def _note(failure: McpFailure) -> None:
    taken = notes.get()
    if taken is not None:
        taken.append(failure)


def _of_network(error: EgressRefused | httpx2.TransportError) -> McpFailure:
    match error:
        case EgressRefused(reason=Reason.TOO_LARGE | Reason.ENCODED | Reason.LOOKUP):
            return McpFailure("http_error", str(error), NOT_REACHED)
        case EgressRefused(reason=Reason.TOO_SLOW):
            return McpFailure("http_error", str(error), TOO_LATE)
        case EgressRefused():
            return McpFailure("http_error", str(error), FORBIDDEN)
        case httpx2.TimeoutException():
            return McpFailure("http_error", "The MCP server did not answer in time.", TOO_LATE)
        case httpx2.ConnectError():
            return McpFailure("http_error", "The MCP server could not be reached.", NOT_REACHED)
        case _:
            return lost()


def _status_message(response: httpx2.Response) -> str:
    if response.status_code < 400:
        return f"The MCP server redirects elsewhere (HTTP {response.status_code}). Name the final address."
    if response.status_code in (401, 403):
        return f"The MCP server refused the credentials (HTTP {response.status_code})."
    return f"The MCP server answered HTTP {response.status_code}."


def _protocol_message(error: MCPError) -> str:
    if error.code == PARSE_ERROR:  # the SDK's message quotes what came
        return "The MCP server's answer is not JSON, or not of its protocol."
    return error.message[:LONGEST_MESSAGE_CHARS]


def failure_of(error: BaseException, noted: list[McpFailure]) -> McpFailure:
    """The one failure to tell of, of all that a group of errors may hold."""
    leaves = list(_leaves(error))
    for leaf in leaves:
        if isinstance(leaf, McpFailure):
            return leaf
        if isinstance(leaf, MCPError) and (leaf.code not in _STAND_INS or not noted):
            return McpFailure("protocol_error", _protocol_message(leaf), leaf.code)
    if noted:
        return noted[-1]
    for leaf in leaves:
        if isinstance(leaf, EgressRefused | httpx2.TransportError):
            return _of_network(leaf)
    log.warning("an MCP server's answer broke the SDK: %s", ", ".join(type(leaf).__name__ for leaf in leaves))
    log.debug("the error", exc_info=error)
    return McpFailure("protocol_error", "The MCP server's answer does not keep to the protocol.", INTERNAL_ERROR)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
