from __future__ import annotations

from typing import Any

import pytest

from pipeline.mcp.tool import McpTool
from pipeline.mcp.tool_filter import is_meant

READS = McpTool("reads", "", {"type": "object"}, {"readOnlyHint": True})
WRITES = McpTool("writes", "", {"type": "object"}, None)


@pytest.mark.parametrize(
    ("by", "meant"),
    [
        (None, {"reads", "writes"}),
        ([], set()),
        (["writes"], {"writes"}),
        ({}, {"reads", "writes"}),
        ({"tool_names": ["reads"]}, {"reads"}),
        ({"read_only": True}, {"reads"}),
        ({"read_only": False}, {"writes"}),
        ({"tool_names": ["writes"], "read_only": True}, set()),
    ],
)
def test_a_filter_means_the_tools_of_which_all_it_says_holds(by: Any, meant: set[str]) -> None:
    assert {tool.name for tool in (READS, WRITES) if is_meant(tool, by)} == meant
