"""A function called for a session: what is told of it, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.call_controls import CallControls, NoCall
from pipeline.commands import CallTool
from pipeline.observations import Observation, ToolTimed
from pipeline.provider import FunctionTool
from pipeline.reports import Report, ToolReturned
from pipeline.tool_errands import ToolErrands
from pipeline.toolbox import PRIVATE, Tool, Toolbox, ToolResult

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("is_private", "seen"), [(False, ('{"a":1}', "done")), (True, (PRIVATE, PRIVATE))], ids=["open", "private"]
)
async def test_the_result_is_reported_whole_and_shown_unless_it_is_private(
    is_private: bool, seen: tuple[str, str]
) -> None:
    async def act(arguments: Mapping[str, Any], controls: CallControls) -> ToolResult:
        assert (dict(arguments), controls) == ({"a": 1}, calls)
        return ToolResult("done", ends_call=True)

    calls, told, clock = NoCall(), list[Report | Observation | str](), iter((10.0, 12.5))
    described = FunctionTool(name="act", description="", parameters={"type": "object"})
    toolbox = Toolbox((Tool(described, act, is_private=is_private),))
    errands = ToolErrands(toolbox, calls, told.append, told.append, lambda: next(clock))
    await errands.run(CallTool("call_1", "act", '{"a":1}'), lambda: told.append("lap"))
    assert told == [ToolTimed("act", *seen, 2.5), "lap", ToolReturned("call_1", "done", ends_call=True)]
