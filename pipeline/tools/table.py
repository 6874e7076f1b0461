"""Tools answered from a table in the agent's file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.agent_tools import TableTool
from pipeline.call_controls import CallControls
from pipeline.toolbox import Tool, ToolResult


def table_tool(table: TableTool) -> Tool:
    """One such tool."""

    async def look_up(arguments: Mapping[str, Any], _controls: CallControls) -> ToolResult:
        return ToolResult(output=table.answer(json.dumps(arguments)), ends_call=table.ends_call)

    return Tool(table.function, look_up)
