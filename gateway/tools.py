"""The tools of an agent, ready to run: those of its file, and all of its MCP servers."""

from __future__ import annotations

from typing import assert_never

from pipeline.agent import Agent, AgentFileError
from pipeline.agent_tools import AgentTool, BuiltInTool, PythonTool, TableTool, WebhookTool
from pipeline.toolbox import Tool, Toolbox
from pipeline.tools.built_in import Keep, built_in_tool
from pipeline.tools.python_function import python_tool
from pipeline.tools.table import table_tool


def toolbox_of(agent: Agent, keep: Keep) -> Toolbox:
    """The tools of the agent's file. Raises `AgentFileError` with all that cannot be made."""
    made: list[Tool] = []
    faults: list[str] = []
    for number, tool in enumerate(agent.tools):
        try:
            made.append(_tool(tool, keep))
        except ValueError as error:
            faults.append(f"tools[{number}]: {error}")
    if faults:
        raise AgentFileError(agent.name, faults)
    return Toolbox(tuple(made))


def _tool(tool: AgentTool, keep: Keep) -> Tool:
    match tool:
        case TableTool():
            return table_tool(tool)
        case BuiltInTool():
            return built_in_tool(tool, keep)
        case PythonTool():
            return python_tool(tool)
        case WebhookTool():
            raise NotImplementedError
        case _:
            assert_never(tool)
