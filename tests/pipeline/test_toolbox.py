"""Functions of ours: whatever goes wrong in one becomes words for the model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.call_controls import CallControls
from pipeline.provider import FunctionTool
from pipeline.toolbox import LONGEST_OUTPUT_CHARS, TOOL_LIMIT_S, Tool, Toolbox, ToolRefused, ToolResult
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


async def echo(arguments: Mapping[str, Any], _controls: CallControls) -> ToolResult:
    return ToolResult(json.dumps(arguments))


async def hang(arguments: Mapping[str, Any], _controls: CallControls) -> ToolResult:
    await asyncio.Event().wait()
    raise AssertionError("nobody wakes it")


async def break_down(arguments: Mapping[str, Any], _controls: CallControls) -> ToolResult:
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


async def test_a_function_has_its_time_and_no_more() -> None:
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
    assert json.loads((await TOOLBOX.call("unknown", "{}")).output) == {"error": "there is no function unknown"}
    assert not TOOLBOX.is_private("unknown")


async def test_cancelling_a_function_cancels_it() -> None:
    task = asyncio.create_task(TOOLBOX.call("hang", "{}"))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_arguments_that_are_not_as_the_schema_says_are_refused_with_their_place() -> None:
    schema = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}
    toolbox = Toolbox((Tool(FunctionTool("echo", parameters=schema), echo),))
    for arguments, fault in (('{"day": 4}', "day: 4 is not of type"), ("{}", "the arguments: 'day' is a required")):
        assert fault in (await toolbox.call("echo", arguments)).output
    assert await toolbox.call("echo", '{"day": "monday"}') == ToolResult('{"day": "monday"}')


def test_parameters_that_are_no_schema_are_refused_when_the_tool_is_made() -> None:
    with pytest.raises(ValueError, match="parameters of echo are no JSON Schema"):
        Tool(FunctionTool("echo", parameters={"type": "objekt"}), echo)


async def test_what_a_tool_cannot_do_is_told_in_its_own_words() -> None:
    async def refuse(_arguments: Mapping[str, Any], _controls: CallControls) -> ToolResult:
        raise ToolRefused("the shop is closed")

    toolbox = Toolbox((Tool(FunctionTool("buy"), refuse),))
    assert json.loads((await toolbox.call("buy", "{}")).output) == {"error": "the shop is closed"}


async def test_an_endless_result_is_cut_and_says_so() -> None:
    async def talk(_arguments: Mapping[str, Any], _controls: CallControls) -> ToolResult:
        return ToolResult("x" * (LONGEST_OUTPUT_CHARS + 1), wants_answer=False)

    toolbox = Toolbox((Tool(FunctionTool("talk"), talk),))
    result = await toolbox.call("talk", "{}")
    assert result.output.endswith(f"[cut: {LONGEST_OUTPUT_CHARS + 1} characters]")
    assert not result.wants_answer


def test_of_two_tools_with_one_name_the_one_that_was_there_stays() -> None:
    mine, theirs = Tool(FunctionTool("echo", "mine"), echo), Tool(FunctionTool("echo", "theirs"), hang)
    toolbox = Toolbox((mine,))
    toolbox.learn((theirs, Tool(FunctionTool("more"), hang, awaits_caller=True)))
    assert toolbox["echo"] is mine
    assert toolbox.names == {"echo", "more"}
    assert toolbox.patient == {"more"}
