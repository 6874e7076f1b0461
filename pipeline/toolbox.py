"""Functions of ours that the model may ask for: what it is told of them, and how they are run.

A function that fails, hangs or is asked for with bad arguments answers the model with an `error` text instead of
raising: the model can say so to the caller, and the call goes on.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pipeline.agent import Agent, TableTool
from pipeline.provider import FunctionTool

log = logging.getLogger(__name__)

TOOL_LIMIT_S = 6.0
"""A caller waits in silence meanwhile; after six seconds people say "hello?" or hang up."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    output: str
    """What the model is told, usually a JSON object."""
    ends_call: bool = False
    """It was a farewell: the call ends once the last word is heard."""


Function: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[ToolResult]]


@dataclass(frozen=True, slots=True)
class Tool:
    """One function of ours."""

    described: FunctionTool
    run: Function


def table_tools(agent: Agent) -> tuple[Tool, ...]:
    """The functions an agent's file answers from tables."""
    return tuple(_table_tool(table) for table in agent.tools)


def _table_tool(table: TableTool) -> Tool:
    async def look_up(arguments: Mapping[str, Any]) -> ToolResult:
        return ToolResult(output=table.answer(json.dumps(arguments)), ends_call=table.ends_call)

    return Tool(table.function, look_up)


class Toolbox:
    """The functions of one agent, by name."""

    def __init__(self, tools: tuple[Tool, ...]) -> None:
        self._tools = {tool.described.name: tool for tool in tools}

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._tools)

    @property
    def described(self) -> tuple[FunctionTool, ...]:
        """What the model is told of them."""
        return tuple(tool.described for tool in self._tools.values())

    async def call(self, name: str, arguments: str) -> ToolResult:
        """Run a function; its failure is its result. Only a name that is not in `names` raises KeyError."""
        tool = self._tools[name]
        try:
            parsed = json.loads(arguments or "{}")
        except ValueError:
            return _error(f"the arguments of {name} are not JSON")
        if not isinstance(parsed, dict):
            return _error(f"the arguments of {name} are not a JSON object")
        try:
            async with asyncio.timeout(TOOL_LIMIT_S):
                return await tool.run(parsed)
        except TimeoutError:
            return _error(f"{name} did not answer within {TOOL_LIMIT_S:g} seconds")
        except Exception:
            log.exception("tool %s failed", name)
            return _error(f"{name} failed")


def _error(message: str) -> ToolResult:
    return ToolResult(output=json.dumps({"error": message}))
