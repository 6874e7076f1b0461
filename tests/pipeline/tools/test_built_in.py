"""The tools the gateway brings."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from pipeline.agent_tools import BuiltInName, BuiltInTool
from pipeline.call_controls import Collected
from pipeline.toolbox import Toolbox, ToolResult
from pipeline.tools.built_in import built_in_tool

pytestmark = pytest.mark.anyio


class Call:
    """A call that writes down what was done with it."""

    def __init__(self, *, sends: float = 0.4) -> None:
        self.facts: Mapping[str, str] = {"call_sid": "CA1", "from": "+491"}
        self.done: list[tuple[object, ...]] = []
        self._sends = sends

    async def collect_digits(self, *, most: int, until: str, timeout_s: float) -> Collected:
        self.done.append(("collect", most, until))
        return Collected("4711", "complete")

    def send_digits(self, digits: str) -> float:
        self.done.append(("send", digits))
        return self._sends

    def note(self, event: str, **fields: str) -> None:
        self.done.append((event, fields))


kept: list[Mapping[str, str]] = []


async def keep(message: Mapping[str, str]) -> None:
    kept.append(message)


async def lose(_message: Mapping[str, str]) -> None:
    raise OSError("disk full")


def box(name: BuiltInName, **options: object) -> Toolbox:
    keeper = options.pop("keep", keep)
    return Toolbox((built_in_tool(BuiltInTool(name, **options), keeper),))  # type: ignore[arg-type]  # as tests give them


async def test_hanging_up_ends_the_call() -> None:
    assert (await box("hang_up").call("hang_up", "{}")).ends_call


async def test_a_transfer_goes_to_a_number_of_the_file_by_its_name_only() -> None:
    tools, call = box("transfer", to={"sales": "+4930123456", "help": "+4930654321"}), Call()
    result = await tools.call("transfer", '{"to": "sales", "reason": "wants a quote"}', call)
    assert (result.ends_call, result.transfer_to) == (True, "+4930123456")
    assert call.done == [("transfer.asked", {"to": "sales", "reason": "wants a quote"})]
    refused = await tools.call("transfer", '{"to": "+19005550100"}', call)
    assert "error" in refused.output and not refused.ends_call and not refused.transfer_to


async def test_digits_are_sent_and_nothing_is_said_to_it() -> None:
    call = Call()
    assert await box("send_digits").call("send_digits", '{"digits": "12w#"}', call) == ToolResult(
        '{"status": "sent"}', wants_answer=False
    )
    assert call.done == [("send", "12w#")]
    assert "error" in (await box("send_digits").call("send_digits", '{"digits": "call me"}', call)).output
    assert "try again" in (await box("send_digits").call("send_digits", '{"digits": "1"}', Call(sends=0.0))).output


async def test_digits_are_collected_and_private() -> None:
    tools, call = box("collect_digits"), Call()
    result = await tools.call("collect_digits", '{"most": 4}', call)
    assert json.loads(result.output) == {"digits": "4711", "ended": "complete"}
    assert call.done == [("collect", 4, "#")]
    assert tools["collect_digits"].is_private and tools["collect_digits"].limit_s is None
    assert tools.patient == {"collect_digits"}


async def test_waiting_is_silent() -> None:
    assert not (await box("wait").call("wait", "{}")).wants_answer


async def test_a_message_is_kept_with_the_call_it_came_from() -> None:
    kept.clear()
    call = Call()
    result = await box("take_message").call("take_message", '{"message": "Call back", "name": "Ada"}', call)
    assert json.loads(result.output) == {"status": "kept"}
    assert kept == [{"call_sid": "CA1", "from": "+491", "message": "Call back", "name": "Ada"}]
    assert call.done == [("message.taken", {})]


async def test_a_message_that_cannot_be_kept_is_not_promised() -> None:
    result = await box("take_message", keep=lose).call("take_message", '{"message": "x"}', Call())
    assert "could not be kept" in result.output


def test_a_description_of_ones_own_stands_above_the_usual_one() -> None:
    assert box("wait", description="Hold on.").described[0].description == "Hold on."
    assert box("wait").described[0].description.startswith("Say nothing")
