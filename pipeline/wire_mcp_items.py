"""Items of MCP servers out of a client's JSON (Realtime reference, section B.3).

A client answers requests for approval; all other items of this kind it puts in only as the history of a
conversation that it had before.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import UNSET

from pipeline import wire_fields as read
from pipeline.events.items import (
    ListedTool,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpError,
    McpItem,
    McpListTools,
)
from pipeline.limits import Limits
from pipeline.wire_fields import Fields

MCP_ITEM_TYPES = ("mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response")
ERRORS = ("protocol_error", "tool_execution_error", "http_error")


def mcp_item_of(value: Fields, path: str, kind: str, item_id: str, limits: Limits) -> McpItem:
    """An item of one of `MCP_ITEM_TYPES`. Raises `BadEvent`."""
    match kind:
        case "mcp_list_tools":
            label = read.text(value, "server_label", path)
            return McpListTools(id=item_id, server_label=label, tools=_tools(value, path, limits))
        case "mcp_call":
            return _call(value, path, item_id)
        case "mcp_approval_request":
            return McpApprovalRequest(id=item_id, **_asked(value, path))
        case _:
            return _answer(value, path, item_id, limits)


def _asked(value: Fields, path: str) -> dict[str, Any]:
    return {name: read.text(value, name, path) for name in ("server_label", "name", "arguments")}


def _call(value: Fields, path: str, item_id: str) -> McpCall:
    request_id = read.optional_text(value, "approval_request_id", path)
    return McpCall(
        id=item_id,
        output=read.optional_text(value, "output", path),
        approval_request_id=UNSET if request_id is None else request_id,
        error=_error(value, path),
        **_asked(value, path),
    )


def _error(value: Fields, path: str) -> McpError | msgspec.UnsetType:
    error, path = read.mapping(value, "error", path), f"{path}.error"
    if error is None:
        return UNSET
    kind = read.choice(error, "type", path, ERRORS)
    if kind is None:
        raise read.missing(f"{path}.type")
    code = error.get("code")  # JSON-RPC's are negative
    if code is None and kind != "tool_execution_error":
        raise read.missing(f"{path}.code")
    if code is not None and (isinstance(code, bool) or not isinstance(code, int)):
        raise read.invalid(code, f"{path}.code", "Expected a whole number")
    message = read.text(error, "message", path)
    return McpError(type=cast(Any, kind), message=message, code=UNSET if code is None else code)


def _answer(value: Fields, path: str, item_id: str, limits: Limits) -> McpApprovalResponse:
    approve = value.get("approve")
    if approve is None:
        raise read.missing(f"{path}.approve")
    if not isinstance(approve, bool):
        raise read.invalid(approve, f"{path}.approve", "Expected true or false")
    reason = read.optional_text(value, "reason", path)
    return McpApprovalResponse(
        id=item_id,
        approval_request_id=read.text(value, "approval_request_id", path, most_chars=limits.item_id_chars),
        approve=approve,
        reason=UNSET if reason is None else reason,
    )


def _tools(value: Fields, path: str, limits: Limits) -> tuple[ListedTool, ...]:
    tools = value.get("tools")
    if not isinstance(tools, list) or len(tools) > limits.tools:
        raise read.invalid(tools, f"{path}.tools", f"Expected a list of at most {limits.tools} tools")
    return tuple(_tool(tool, f"{path}.tools[{index}]") for index, tool in enumerate(tools))


def _tool(value: object, path: str) -> ListedTool:
    if not isinstance(value, dict):
        raise read.invalid(value, path, "Expected an object")
    schema = read.mapping(value, "input_schema", path)
    annotations = read.mapping(value, "annotations", path)
    if schema is None:
        raise read.missing(f"{path}.input_schema")
    return ListedTool(
        name=read.text(value, "name", path),
        description=read.optional_text(value, "description", path) or "",
        input_schema=dict(schema),
        annotations=UNSET if annotations is None else dict(annotations),
    )
