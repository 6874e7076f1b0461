"""Tools answered from a table."""

from __future__ import annotations

import pytest

from pipeline.agent_tools import TableTool
from pipeline.provider import FunctionTool
from pipeline.toolbox import Toolbox, ToolResult
from pipeline.tools.table import table_tool

pytestmark = pytest.mark.anyio


async def test_the_functions_of_an_agents_file_answer_from_their_tables() -> None:
    hours = TableTool(
        FunctionTool("opening_hours"), key="day", answers={"sunday": {"open": False}}, otherwise={"open": True}
    )
    goodbye = TableTool(FunctionTool("end_call"), ends_call=True)
    toolbox = Toolbox((table_tool(hours), table_tool(goodbye)))
    assert await toolbox.call("opening_hours", '{"day": "sunday"}') == ToolResult('{"open": false}')
    assert await toolbox.call("opening_hours", '{"day": "monday"}') == ToolResult('{"open": true}')
    assert await toolbox.call("end_call", "{}") == ToolResult("{}", ends_call=True)
