"""Which tools of a server a filter means: `allowed_tools`, and the two halves of `require_approval`.

Pure. The filter is as the session object has it (Realtime reference, section C.4), already checked.
"""

from __future__ import annotations

from typing import Any

from pipeline.mcp.tool import McpTool


def is_meant(tool: McpTool, by: Any) -> bool:
    """`by` is None (all), a list of names, or `{tool_names, read_only}`, of which all that is given must hold."""
    if by is None:
        return True
    if isinstance(by, dict):
        names, read_only = by.get("tool_names"), by.get("read_only")
        if names is not None and tool.name not in names:
            return False
        return read_only is None or read_only is is_read_only(tool)
    return tool.name in by


def is_read_only(tool: McpTool) -> bool:
    """The server says so; nobody else vouches for it."""
    return tool.annotations is not None and tool.annotations.get("readOnlyHint") is True
