"""Opens a connection to one MCP server through the egress guard: streamable HTTP, or the older SSE.

Everything of the SDK that has a scope is entered and left in the task that calls `connected`. What the session does
with a connection is `line.py`'s business.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation, Tool

from pipeline.egress.guard import Egress
from pipeline.egress.transport import READ_LIMIT_S, guarded_client
from pipeline.events.config import McpServer
from pipeline.mcp.definitions import Definition
from pipeline.mcp.tool import McpFailure
from pipeline.mcp.trouble import ToldTransport, notes

IDLE_LIMIT_S = 300.0
"""A server may keep an event stream open and silent for so long."""
POST_LIMIT_S = 2.0
"""For a server of the older SSE to accept a message: the answer comes by the stream, and until then nothing else
can be sent, not even a goodbye."""
MOST_PAGES = 20
"""Of a list of tools; a server could turn pages for ever."""

_OLD_SERVER = frozenset({400, 404, 405})
"""What a server that knows only SSE says to a POST (MCP 2025-06-18, Transports, Backwards Compatibility)."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_OWN_HEADERS = frozenset(
    "accept accept-encoding connection content-length content-type expect host keep-alive te trailer "
    "transfer-encoding upgrade last-event-id".split()
)
"""They belong to the wire, not to whoever names a server."""

# At DEBUG these libraries write whole messages and headers, at ERROR what a server sent that was not JSON.
for _name, _level in (("mcp", logging.CRITICAL), ("httpx2", logging.WARNING), ("httpcore2", logging.WARNING)):
    logging.getLogger(_name).setLevel(_level)


@dataclass(frozen=True, slots=True)
class Connection:
    """A client that has shaken hands."""

    client: Client
    has_one_stream: bool
    """All answers come one behind the other: where one is stuck, the rest is."""


@asynccontextmanager
async def connected(server: McpServer, egress: Egress) -> AsyncIterator[Connection]:
    """Connect, and shake hands. What goes wrong is noted in `notes`, and raised in any shape."""
    headers = headers_of(server)
    named = (server.transport or "").lower()
    is_open = False
    if named != "sse":
        try:
            async with guarded_client(
                egress, headers=headers, idle_limit_s=IDLE_LIMIT_S, around=ToldTransport
            ) as http:
                transport = streamable_http_client(server.server_url, http_client=http)
                async with _client(transport) as client:
                    is_open = True
                    yield Connection(client, has_one_stream=False)
                    return
        except Exception:
            if is_open or named or not _is_old():
                raise
    async with _client(_sse(server.server_url, headers, egress)) as client:
        yield Connection(client, has_one_stream=True)


def _client(transport: Any) -> Client:
    return Client(transport, client_info=Implementation(name="switchboard", version="0"), cache=None)


def _sse(url: str, headers: dict[str, str], egress: Egress) -> Any:
    def make(
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        return guarded_client(
            egress,
            headers=headers,
            idle_limit_s=IDLE_LIMIT_S,
            answer_limit_s=POST_LIMIT_S,
            around=ToldTransport,
        )

    return sse_client(url, headers, READ_LIMIT_S, IDLE_LIMIT_S, make)


def _is_old() -> bool:
    taken = notes.get()
    return bool(taken) and taken is not None and taken[-1].code in _OLD_SERVER


def headers_of(server: McpServer) -> dict[str, str]:
    """What the server is sent besides the protocol's own. Raises `McpFailure` for one that no wire could carry."""
    headers = dict(server.headers)
    if server.authorization:
        # The protocol names an OAuth access token; some clients write the whole header.
        is_whole = " " in server.authorization.strip()
        headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        headers["Authorization"] = server.authorization if is_whole else f"Bearer {server.authorization}"
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value.strip() or "-"):
            raise McpFailure(
                "protocol_error",
                f"A header of MCP server {server.server_label} has characters that no header can have.",
            )
        if name.lower() in _OWN_HEADERS or name.lower().startswith(("mcp-", "proxy-")):
            raise McpFailure(
                "protocol_error", f"Header {name} of MCP server {server.server_label} belongs to the protocol."
            )
    return {name: value.strip() for name, value in headers.items()}


async def definitions(client: Client) -> list[Definition]:
    """All pages of the server's tools."""
    return [_definition(tool) async for tool in _tools(client)]


async def _tools(client: Client) -> AsyncGenerator[Tool, None]:
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            yield tool
        cursor = page.next_cursor
        if cursor is None:
            return


def _definition(tool: Tool) -> Definition:
    hints = tool.annotations
    return Definition(
        name=tool.name,
        description=tool.description or "",
        input_schema=tool.input_schema,
        annotations=None if hints is None else hints.model_dump(by_alias=True, exclude_none=True),
    )
