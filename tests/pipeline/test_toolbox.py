"""Functions of ours: whatever goes wrong in one becomes words for the model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.agent import Agent, TableTool
from pipeline.provider import FunctionTool
from pipeline.toolbox import TOOL_LIMIT_S, Tool, Toolbox, ToolResult, table_tools
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


async def echo(arguments: Mapping[str, Any]) -> ToolResult:
    return ToolResult(json.dumps(arguments))


async def hang(arguments: Mapping[str, Any]) -> ToolResult:
    await asyncio.Event().wait()
    raise AssertionError("nobody wakes it")


async def break_down(arguments: Mapping[str, Any]) -> ToolResult:
    raise OSError("the database is gone")


TOOLBOX = Toolbox(
    (
        Tool(FunctionTool("echo"), echo),
        Tool(FunctionTool("hang"), hang),
        Tool(FunctionTool("break_down"), break_down),
    )
)


async def test_a_function_gets_its_arguments_and_its_result_is_passed_on() -> None:
    assert await TOOLBOX.call("echo", '{"city": "Rome"}') == ToolResult('{"city": "Rome"}')
    assert await TOOLBOX.call("echo", "") == ToolResult("{}")


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("echo", "{city:", "the arguments of echo are not JSON"),
        ("echo", "[1]", "the arguments of echo are not a JSON object"),
        ("hang", "{}", f"hang did not answer within {TOOL_LIMIT_S:g} seconds"),
        ("break_down", "{}", "break_down failed"),
    ],
)
async def test_a_failure_is_told_to_the_model(name: str, arguments: str, error: str) -> None:
    result = await TOOLBOX.call(name, arguments)
    assert (json.loads(result.output), result.ends_call) == ({"error": error}, False)


async def test_a_function_has_six_seconds() -> None:
    began = now_s()
    await TOOLBOX.call("hang", "{}")
    assert now_s() - began == pytest.approx(TOOL_LIMIT_S)


async def test_a_function_that_breaks_down_is_logged_and_its_reason_kept_from_the_model(
    caplog: pytest.LogCaptureFixture,
) -> None:
    result = await TOOLBOX.call("break_down", "{}")
    assert "the database is gone" in caplog.text
    assert "database" not in result.output


async def test_only_known_names_may_be_called() -> None:
    assert TOOLBOX.names == {"echo", "hang", "break_down"}
    assert [tool.name for tool in TOOLBOX.described] == ["echo", "hang", "break_down"]
    with pytest.raises(KeyError):
        await TOOLBOX.call("unknown", "{}")


async def test_cancelling_a_function_cancels_it() -> None:
    task = asyncio.create_task(TOOLBOX.call("hang", "{}"))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_functions_of_an_agents_file_answer_from_their_tables() -> None:
    hours = TableTool(
        FunctionTool("opening_hours"), key="day", answers={"sunday": {"open": False}}, otherwise={"open": True}
    )
    goodbye = TableTool(FunctionTool("end_call"), ends_call=True)
    toolbox = Toolbox(table_tools(Agent(name="test", tools=(hours, goodbye))))
    assert await toolbox.call("opening_hours", '{"day": "sunday"}') == ToolResult('{"open": false}')
    assert await toolbox.call("opening_hours", '{"day": "monday"}') == ToolResult('{"open": true}')
    assert await toolbox.call("end_call", "{}") == ToolResult("{}", ends_call=True)
