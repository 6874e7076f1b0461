"""One MCP server as one session knows it: its line, and its tools as they were first defined.

Loaded only when a server is first asked for, because the SDK below takes a second to load.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from mcp import Client

from pipeline.egress.guard import Egress
from pipeline.events.config import McpServer
from pipeline.mcp.connection import connected, definitions
from pipeline.mcp.definitions import INVALID_PARAMS, Definition, Definitions, unknown
from pipeline.mcp.line import ServerLine
from pipeline.mcp.result import text_of
from pipeline.mcp.schema import ToolSchema
from pipeline.mcp.tool import McpFailure, McpTool
from pipeline.mcp.tool_filter import is_meant

HIDDEN = "[hidden]"
SHORTEST_SECRET_CHARS = 8
"""Shorter ones would hide innocent words; nobody should have them."""


class ToolServer:
    """See the module's docstring. `run` is a task of the session's."""

    def __init__(self, server: McpServer, egress: Egress) -> None:
        self._line = ServerLine(lambda: connected(server, egress))
        self._definitions = Definitions(server.server_label)
        self._secrets = _secrets_of(server)
        self.run = self._line.run
        self.hang_up = self._line.hang_up

    async def list_tools(self, server: McpServer, limit_s: float) -> tuple[McpTool, ...]:
        """What `server` allows of what is offered now. Raises `McpFailure`."""
        try:
            listed: Sequence[Definition] = await self._line.ask(definitions, limit_s)
        except McpFailure as failure:
            raise self._without_secrets(failure) from None
        # A stranger's schemas are checked and hashed: in a thread, since some are large.
        sound = await asyncio.to_thread(self._definitions.read, listed)
        return tuple(tool for tool in sound if is_meant(tool, server.allowed_tools))

    async def call(self, server: McpServer, name: str, arguments: str, limit_s: float) -> str:
        """The text of the tool's result. Raises `McpFailure`."""
        given = _parsed(arguments)
        if not self._definitions.are_known:
            began_s = _now_s()
            await self.list_tools(server, limit_s)
            limit_s -= _now_s() - began_s
        tool, schema = self._definitions.tool(name)
        if not is_meant(tool, server.allowed_tools):
            raise unknown(server.server_label)
        await _check(given, schema)
        try:
            return self._hidden(await self._line.ask(lambda client: _called(client, name, given), limit_s))
        except McpFailure as failure:
            raise self._without_secrets(failure) from None

    def _without_secrets(self, failure: McpFailure) -> McpFailure:
        return McpFailure(failure.kind, self._hidden(failure.message), failure.code)

    def _hidden(self, text: str) -> str:
        """A server may say back what it was sent; the model, and whoever listens to it, shall not hear it."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


def _secrets_of(server: McpServer) -> tuple[str, ...]:
    written = [*server.headers.values(), server.authorization or ""]
    bare = [text.split(" ", 1)[1] for text in written if " " in text]
    found = {text.strip() for text in (*written, *bare)}
    return tuple(sorted((text for text in found if len(text) >= SHORTEST_SECRET_CHARS), key=len, reverse=True))


async def _called(client: Client, name: str, arguments: dict[str, Any]) -> str:
    result = await client.call_tool(name, arguments)
    text = text_of(result)
    if result.is_error:
        raise McpFailure("tool_execution_error", text or f"{name} failed")
    return text


def _parsed(arguments: str) -> dict[str, Any]:
    try:
        given = json.loads(arguments or "{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise McpFailure("protocol_error", "The arguments are not JSON.", INVALID_PARAMS) from None
    if not isinstance(given, dict):
        raise McpFailure("protocol_error", "The arguments are not a JSON object.", INVALID_PARAMS)
    return given


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


async def _check(given: dict[str, Any], schema: ToolSchema) -> None:
    complaint = await asyncio.to_thread(schema.complaint, given)
    if complaint is not None:
        raise McpFailure("protocol_error", f"The arguments do not fit: {complaint}", INVALID_PARAMS)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
