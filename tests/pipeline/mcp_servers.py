"""MCP servers and their tools, as several tests name them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from pipeline.events.config import McpServer
from pipeline.mcp.tool import McpFailure, McpTool

FREE: Final = McpServer(server_label="free", server_url="https://free.example", require_approval="never")
ASKS: Final = McpServer(server_label="asks", server_url="https://asks.example")
LOOK: Final = McpTool("look", "Looks.", {"type": "object"}, {"readOnlyHint": True})
WRITE: Final = McpTool("write", "", {"type": "object"}, None)


class FakeMcpTools:
    """Servers that have `tools`. What `answers` has for a tool it says or raises; with a label, listing fails."""

    def __init__(self, *tools: McpTool, **answers: str | Exception) -> None:
        self.tools = tools or (LOOK, WRITE)
        self.answers = answers
        self.listed: list[McpServer] = []
        self.called: list[tuple[str, str, str]] = []
        self.closed = asyncio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[FakeMcpTools, None]:
        """For one session."""
        try:
            yield self
        finally:
            self.closed.set()

    async def list_tools(self, server: McpServer) -> tuple[McpTool, ...]:
        """See `McpTools`."""
        self.listed.append(server)
        self._raise(server.server_label)
        return self.tools

    async def call(self, server: McpServer, name: str, arguments: str) -> str:
        """See `McpTools`."""
        self.called.append((server.server_label, name, arguments))
        self._raise(name)
        return str(self.answers.get(name, "found"))

    def _raise(self, name: str) -> None:
        answer: Any = self.answers.get(name)
        if isinstance(answer, Exception):
            raise answer


def gone() -> McpFailure:
    return McpFailure("http_error", "The server answered 410.", 410)
