"""A user's own Python function as a tool: its signature is the schema, its mistakes are the model's to read."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from pipeline.agent_tools import PythonTool
from pipeline.call_controls import CallControls, NoCall
from pipeline.toolbox import Toolbox, ToolResult
from pipeline.tools.python_function import python_tool

pytestmark = pytest.mark.anyio

HERE = "tests.pipeline.tools.test_python_function"


def find(order_id: str, speed: Literal["fast", "slow"] = "slow", most: int = 3) -> dict[str, Any]:
    """Where an order
    is.

    Nothing of this second paragraph is the model's business.
    """
    return {"order": order_id, "speed": speed, "most": most, "thread": threading.current_thread().name[:4]}


async def who(controls: CallControls) -> str:
    return f"call {controls.facts['call_sid']}"


def hang_up_now() -> ToolResult:
    return ToolResult("bye", ends_call=True)


def takes_all(*values: str) -> str:
    return ""


def takes_a_socket(socket: threading.Lock) -> str:
    return ""


NOT_A_FUNCTION = 7


def toolbox(name: str) -> Toolbox:
    return Toolbox((python_tool(PythonTool(f"{HERE}:{name}")),))


async def test_the_signature_is_the_schema_and_the_first_paragraph_the_description() -> None:
    (described,) = toolbox("find").described
    assert described.description == "Where an order is."
    assert described.parameters["required"] == ["order_id"]
    assert described.parameters["properties"]["order_id"] == {"type": "string"}
    assert set(described.parameters["properties"]) == {"order_id", "speed", "most"}


async def test_a_plain_function_runs_in_a_thread_with_typed_arguments() -> None:
    result = await toolbox("find").call("find", '{"order_id": "7", "speed": "fast"}')
    assert json.loads(result.output) == {"order": "7", "speed": "fast", "most": 3, "thread": "tool"}


@pytest.mark.parametrize("arguments", ['{"order_id": 7}', "{}", '{"order_id": "7", "speed": "warp"}'])
async def test_arguments_of_another_type_are_refused(arguments: str) -> None:
    assert "the arguments of find are wrong" in (await toolbox("find").call("find", arguments)).output


async def test_a_coroutine_is_given_the_call_and_its_text_is_told_as_it_is() -> None:
    class Call(NoCall):
        facts: Mapping[str, str] = {"call_sid": "CA1"}

    box = toolbox("who")
    assert box.described[0].parameters["properties"] == {}
    assert await box.call("who", "{}", Call()) == ToolResult("call CA1")


async def test_a_function_may_end_the_call() -> None:
    assert await toolbox("hang_up_now").call("hang_up_now", "{}") == ToolResult("bye", ends_call=True)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (f"{HERE}:nowhere", "cannot be imported"),
        ("nowhere.at.all:find", "cannot be imported"),
        (f"{HERE}:NOT_A_FUNCTION", "is not a function"),
        (f"{HERE}:takes_all", "cannot be given by name"),
        (f"{HERE}:takes_a_socket", "cannot be described"),
    ],
)
def test_what_cannot_be_a_tool_is_told_when_it_is_made(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        python_tool(PythonTool(name))


async def test_modules_beside_the_gateway_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_of_mine.py").write_text("def price(thing: str) -> float:\n    return 1.5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    box = Toolbox((python_tool(PythonTool("shop_of_mine:price", limit_s=2.0)),))
    assert (await box.call("price", '{"thing": "book"}')).output == "1.5"
    assert box["price"].limit_s == 2.0
