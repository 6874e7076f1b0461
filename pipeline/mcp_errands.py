"""Errands to MCP servers for one session: its wishes carried out, each with a time limit, and the outcome reported.

What a server is and who may be asked is the business of whatever stands behind `McpTools`. Logs name a server by
its label alone, since its address and its headers may hold secrets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol, assert_never

from pipeline.commands import CallMcpTool, ListTools
from pipeline.events.config import McpServer
from pipeline.mcp.tool import McpFailure, McpTool
from pipeline.reports import ListingFailed, McpFailed, McpReturned, Report, ToolsListed
from pipeline.toolbox import TOOL_LIMIT_S

log = logging.getLogger(__name__)

LISTING_LIMIT_S = 10.0
"""An answer that was asked for meanwhile waits for the tools (Realtime reference, section D.6)."""


class McpTools(Protocol):
    """Tools of MCP servers, for one session. Both raise `McpFailure`, whose message the peer may read."""

    async def list_tools(self, server: McpServer) -> tuple[McpTool, ...]:
        """What the server offers."""
        ...

    async def call(self, server: McpServer, name: str, arguments: str) -> str:
        """Run a tool, once; `arguments` is a JSON object as text. What the model is told of the result."""
        ...


class McpErrands:
    """See the module's docstring. With `tools` None nothing is served, and every errand fails."""

    def __init__(self, tools: McpTools | None, report: Callable[[Report], None]) -> None:
        self._tools = tools
        self._report = report
        self._listing: set[asyncio.Task[None]] = set()

    def begin(self, command: ListTools | CallMcpTool, tasks: asyncio.TaskGroup) -> None:
        match command:
            case ListTools():
                task = tasks.create_task(self._list(command))
                self._listing.add(task)
                task.add_done_callback(self._listing.discard)
            case CallMcpTool():
                tasks.create_task(self._call(command))
            case _:
                assert_never(command)

    def leave(self) -> None:
        """The session ends. Nobody waits for a list any more; a call that was begun is finished."""
        for task in self._listing:
            task.cancel()

    async def _list(self, command: ListTools) -> None:
        label = command.server.server_label
        try:
            async with asyncio.timeout(LISTING_LIMIT_S):
                tools = await self._served().list_tools(command.server)
        except McpFailure as failure:
            log.warning("MCP server %r did not list its tools: %s", label, failure.message)
        except TimeoutError:
            log.warning("MCP server %r did not list its tools within %g s", label, LISTING_LIMIT_S)
        except Exception:
            log.exception("MCP server %r could not be asked by a fault of ours", label)
        else:
            self._report(ToolsListed(command.item_id, tools))
            return
        self._report(ListingFailed(command.item_id))

    async def _call(self, command: CallMcpTool) -> None:
        self._report(await self._outcome(command))

    async def _outcome(self, command: CallMcpTool) -> McpReturned | McpFailed:
        item_id, label = command.item_id, command.server.server_label
        try:
            async with asyncio.timeout(TOOL_LIMIT_S):
                output = await self._served().call(command.server, command.name, command.arguments)
        except McpFailure as failure:
            return McpFailed(item_id, failure.kind, failure.message, failure.code)
        except TimeoutError:
            text = f"{command.name} did not answer within {TOOL_LIMIT_S:g} seconds"
            return McpFailed(item_id, "tool_execution_error", text)
        except Exception:
            log.exception("a tool of MCP server %r failed by a fault of ours", label)
            return McpFailed(item_id, "tool_execution_error", f"{command.name} failed")
        return McpReturned(item_id, output)

    def _served(self) -> McpTools:
        if self._tools is None:
            raise McpFailure("protocol_error", "MCP servers are not offered here.")
        return self._tools
