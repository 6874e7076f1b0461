"""The tools of an agent, ready to run: those of its file, and all of its MCP servers.

What runs elsewhere is reached through the egress guard; the addresses in the agent's file are the operator's own
words, so they are let through by name.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, assert_never

from pipeline.agent import Agent, AgentFileError
from pipeline.agent_tools import AgentTool, BuiltInTool, PythonTool, TableTool, WebhookTool
from pipeline.call_controls import CallControls
from pipeline.egress.guard import Egress
from pipeline.egress.refusal import EgressRefused
from pipeline.events.config import McpServer
from pipeline.mcp.client import McpClient
from pipeline.mcp.tool import McpFailure, McpTool
from pipeline.provider import FunctionTool
from pipeline.toolbox import Tool, Toolbox, ToolRefused, ToolResult
from pipeline.tools.built_in import Keep, built_in_tool
from pipeline.tools.python_function import python_tool
from pipeline.tools.table import table_tool
from pipeline.webhook_tool import WebhookFailed, WebhookTools

log = logging.getLogger(__name__)

AGAIN_S = 30.0
"""After this, an MCP server that could not be listed is asked again."""


class AgentTools:
    """Of one agent; `opened` while the gateway runs. Raises `AgentFileError` with all that cannot be made."""

    def __init__(self, agent: Agent, keep: Keep, egress: Egress, webhook_secret: str) -> None:
        self._servers = agent.mcp
        self._keep = keep
        self._egress = _trusting(egress, agent)
        self._webhooks = self._open_webhooks(agent, webhook_secret)
        made: list[Tool] = []
        faults: list[str] = []
        for number, tool in enumerate(agent.tools):
            try:
                made.append(self._tool(tool))
            except ValueError as error:
                faults.append(f"tools[{number}]: {error}")
        if faults:
            raise AgentFileError(agent.name, faults)
        self.toolbox = Toolbox(tuple(made))

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None, None]:
        """Connections are kept while it is open, and MCP servers asked for their tools until each has answered."""
        async with AsyncExitStack() as open_ones:
            if self._webhooks is not None:
                await open_ones.enter_async_context(self._webhooks)
            client = await open_ones.enter_async_context(McpClient(self._egress, trusted=self._servers))
            tasks = await open_ones.enter_async_context(asyncio.TaskGroup())
            listing = [tasks.create_task(self._learn(client, server)) for server in self._servers]
            yield
            for task in listing:
                task.cancel()

    def _open_webhooks(self, agent: Agent, secret: str) -> WebhookTools | None:
        if not any(isinstance(tool, WebhookTool) for tool in agent.tools):
            return None
        try:
            return WebhookTools(self._egress, secret)
        except ValueError as error:
            raise AgentFileError(agent.name, [f"tools: SWITCHBOARD_WEBHOOK_SECRET: {error}"]) from error

    def _tool(self, tool: AgentTool) -> Tool:
        match tool:
            case TableTool():
                return table_tool(tool)
            case BuiltInTool():
                return built_in_tool(tool, self._keep)
            case PythonTool():
                return python_tool(tool)
            case WebhookTool():
                return self._webhook(tool)
            case _:
                assert_never(tool)

    def _webhook(self, tool: WebhookTool) -> Tool:
        webhooks = self._webhooks
        assert webhooks is not None, "it was opened because there is this tool"

        async def run(arguments: Mapping[str, Any], controls: CallControls) -> ToolResult:
            try:
                return ToolResult(await webhooks.call(tool.url, tool.name, arguments, controls.facts))
            except WebhookFailed as failed:
                raise ToolRefused(str(failed)) from failed

        return Tool(tool.function, run, limit_s=tool.limit_s)

    async def _learn(self, client: McpClient, server: McpServer) -> None:
        """Offer the server's tools to all calls that begin from now on."""
        while True:
            try:
                listed = await client.list_tools(server)
            except McpFailure as failure:
                log.warning("MCP server %s: %s; asked again in %g s", server.server_label, failure.message, AGAIN_S)
                await asyncio.sleep(AGAIN_S)
            else:
                self.toolbox.learn(tuple(_mcp_tool(client, server, tool, self.toolbox) for tool in listed))
                log.info("MCP server %s offers %d tools", server.server_label, len(listed))
                return


def _mcp_tool(client: McpClient, server: McpServer, tool: McpTool, toolbox: Toolbox) -> Tool:
    """Run here, invisible to whoever watches: to the session it is a function like any other."""
    name = tool.name if tool.name not in toolbox.names else f"{server.server_label}__{tool.name}"

    async def run(arguments: Mapping[str, Any], _controls: CallControls) -> ToolResult:
        try:
            return ToolResult(await client.call(server, tool.name, json.dumps(arguments)))
        except McpFailure as failure:
            raise ToolRefused(failure.message) from failure

    return Tool(FunctionTool(name, tool.description, tool.input_schema), run, limit_s=None)


def _trusting(egress: Egress, agent: Agent) -> Egress:
    """The guard, letting through what the agent's file names. Raises `AgentFileError`."""
    webhooks = [tool.url for tool in agent.tools if isinstance(tool, WebhookTool)]
    faults: list[str] = []
    for url in (*webhooks, *(server.server_url for server in agent.mcp)):
        try:
            egress = egress.trusting(url)
        except EgressRefused as refused:
            faults.append(f"{url}: {refused}")
    if faults:
        raise AgentFileError(agent.name, faults)
    return egress
