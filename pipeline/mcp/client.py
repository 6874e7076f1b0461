"""The tools of MCP servers, for one session: list them, call one.

Servers that a client named are reached only if the operator lets clients name any, and only through the egress
guard; servers of the agent's file are trusted to stand where the operator says. Secrets of a server go to that
server, and into no log, message or result. Duplicate names over servers are the session's business.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, cast

from pipeline.egress.guard import Egress
from pipeline.egress.refusal import EgressRefused
from pipeline.events.config import McpServer
from pipeline.mcp.tool import McpFailure, McpTool

LIST_LIMIT_S = 5.0
"""To connect and to list: a caller may be waiting for the first answer that knows the tools."""
CALL_LIMIT_S = 5.0
"""For a whole call: words of apology must be heard within six seconds, and take one to be made."""
CLOSE_LIMIT_S = 1.0
"""For goodbyes to servers, at the end of a session."""
MOST_SERVERS = 16
"""Lines of one session, those of servers it no longer names included."""

FORBIDDEN = 403
"""The HTTP status for what the guard refuses."""


class Server(Protocol):
    """One server, behind the SDK (`server.py`)."""

    async def run(self) -> None: ...

    def hang_up(self) -> None: ...

    async def list_tools(self, server: McpServer, limit_s: float) -> tuple[McpTool, ...]: ...

    async def call(self, server: McpServer, name: str, arguments: str, limit_s: float) -> str: ...


_Key: TypeAlias = tuple[object, ...]


class McpClient:
    """`async with McpClient(egress) as client`, in one task for one session; then any task may ask."""

    def __init__(
        self,
        egress: Egress,
        *,
        trusted: Sequence[McpServer] = (),
        list_limit_s: float = LIST_LIMIT_S,
        call_limit_s: float = CALL_LIMIT_S,
    ) -> None:
        """`trusted`: the servers of the agent's file; what equals one of them is not taken for a client's."""
        self._egress = egress
        self._trusted = {_key(server) for server in trusted}
        self._list_limit_s = list_limit_s
        self._call_limit_s = call_limit_s
        self._servers: dict[_Key, Server] = {}
        self._tasks = asyncio.TaskGroup()
        self._lines: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for server in self._servers.values():
                server.hang_up()
            if error is None and self._lines:
                await asyncio.wait(self._lines, timeout=CLOSE_LIMIT_S)
        finally:
            for line in self._lines:
                line.cancel()
            await self._tasks.__aexit__(kind, error, trace)

    async def list_tools(self, server: McpServer) -> tuple[McpTool, ...]:
        """What the server offers and its `allowed_tools` let through. Raises `McpFailure`."""
        return await (await self._line_to(server)).list_tools(server, self._list_limit_s)

    async def call(self, server: McpServer, name: str, arguments: str) -> str:
        """The text a tool gives back; `arguments` is a JSON object as text. Never tried twice.

        Raises `McpFailure`. Who is cancelled while waiting leaves the call to its end, and its result is dropped.
        """
        return await (await self._line_to(server)).call(server, name, arguments, self._call_limit_s)

    async def _line_to(self, server: McpServer) -> Server:
        key = _key(server)
        if key not in self._servers:
            egress = self._egress_for(server)
            make = await load()
            if key not in self._servers:  # nobody was faster while the SDK was loaded
                if len(self._servers) >= MOST_SERVERS:
                    raise McpFailure("protocol_error", f"The session has {MOST_SERVERS} MCP servers already.")
                line = make.ToolServer(server, egress)
                self._servers[key] = line
                self._lines.append(self._tasks.create_task(line.run()))
        return self._servers[key]

    def _egress_for(self, server: McpServer) -> Egress:
        try:
            if _key(server) in self._trusted:
                return self._egress.trusting(server.server_url)
            refusal = self._egress.client_refusal(server.server_url)
        except EgressRefused as refused:
            refusal = refused
        if refusal is not None:
            raise McpFailure("http_error", str(refusal), FORBIDDEN)
        return self._egress


class _Module(Protocol):
    """What `server.py` offers."""

    def ToolServer(self, server: McpServer, egress: Egress) -> Server: ...


async def load() -> _Module:
    """The part that needs the SDK. It takes a second the first time: await it once at the start of a process.

    Raises `McpFailure` if the SDK is not installed.
    """
    try:
        return cast(_Module, await asyncio.to_thread(importlib.import_module, "pipeline.mcp.server"))
    except ModuleNotFoundError as missing:
        raise McpFailure(
            "protocol_error",
            f"MCP needs the Python package {missing.name}: install switchboard-voice[mcp].",
        ) from None


def _key(server: McpServer) -> _Key:
    """What makes it another server: not its filters, which a session may change at any time."""
    headers: tuple[Any, ...] = tuple(sorted(server.headers.items()))
    return (server.server_label, server.server_url, server.transport, server.authorization, headers)
