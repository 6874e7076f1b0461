"""Items of MCP servers that a client creates."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.dialects import Dialect
from pipeline.events import conversation as conv
from pipeline.events.items import (
    AnyItem,
    ListedTool,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpError,
    McpListTools,
)
from pipeline.events.refusal import BadEvent
from pipeline.events.response import OutputItemAdded, OutputItemDone, ResponseSnapshot
from pipeline.limits import USUAL
from pipeline.wire import Wire
from pipeline.wire_items import item_of, item_or_reference_of
from pipeline.wire_responses import shown_response

ANSWER = {"type": "mcp_approval_response", "approval_request_id": "q", "approve": True}
ASKED = {"server_label": "s", "name": "look", "arguments": "{}"}
CALL = {"type": "mcp_call", **ASKED}
LISTING: dict[str, Any] = {"type": "mcp_list_tools", "server_label": "s"}


def created(value: dict[str, Any], dialect: Dialect = Dialect.GA) -> AnyItem:
    return item_of(value, "item", dialect, USUAL, serves_mcp=True)


@pytest.mark.parametrize(
    ("value", "item"),
    [
        (ANSWER, McpApprovalResponse(id="", approval_request_id="q", approve=True)),
        (
            ANSWER | {"id": "a", "approve": False, "reason": "no"},
            McpApprovalResponse(id="a", approval_request_id="q", approve=False, reason="no"),
        ),
        (
            {"type": "mcp_approval_request", "id": "q", **ASKED},
            McpApprovalRequest(id="q", server_label="s", name="look", arguments="{}"),
        ),
        (CALL, McpCall(id="", server_label="s", name="look", arguments="{}")),
        (
            CALL | {"output": "42", "approval_request_id": "q", "error": None},
            McpCall(id="", server_label="s", name="look", arguments="{}", output="42", approval_request_id="q"),
        ),
        (
            CALL | {"error": {"type": "protocol_error", "code": -32601, "message": "m"}},
            McpCall(
                id="",
                server_label="s",
                name="look",
                arguments="{}",
                error=McpError(type="protocol_error", code=-32601, message="m"),
            ),
        ),
        (
            CALL | {"error": {"type": "tool_execution_error", "message": "m"}},
            McpCall(
                id="",
                server_label="s",
                name="look",
                arguments="{}",
                error=McpError(type="tool_execution_error", message="m"),
            ),
        ),
        (
            LISTING | {"tools": [{"name": "a", "input_schema": {}, "annotations": {"x": 1}}]},
            McpListTools(
                id="",
                server_label="s",
                tools=(ListedTool(name="a", description="", input_schema={}, annotations={"x": 1}),),
            ),
        ),
        (
            LISTING | {"tools": [{"name": "a", "input_schema": {}, "description": "d"}]},
            McpListTools(id="", server_label="s", tools=(ListedTool(name="a", description="d", input_schema={}),)),
        ),
    ],
)
def test_items_are_read_as_the_reference_has_them(value: dict[str, Any], item: AnyItem) -> None:
    assert created(value) == created(value, Dialect.IW) == item
    assert item_or_reference_of(value, "item", Dialect.SEED, USUAL, serves_mcp=True) == item


@pytest.mark.parametrize(
    ("value", "code", "param"),
    [
        ({"type": "mcp_approval_response", "approve": True}, "missing_required_parameter", "approval_request_id"),
        ({"type": "mcp_approval_response", "approval_request_id": "q"}, "missing_required_parameter", "approve"),
        (ANSWER | {"approve": "yes"}, "invalid_value", "approve"),
        (ANSWER | {"reason": 3}, "invalid_value", "reason"),
        ({"type": "mcp_call", "name": "look", "arguments": "{}"}, "missing_required_parameter", "server_label"),
        (CALL | {"error": "x"}, "invalid_value", "error"),
        (CALL | {"error": {"message": "m"}}, "missing_required_parameter", "error.type"),
        (CALL | {"error": {"type": "odd", "message": "m"}}, "invalid_value", "error.type"),
        (CALL | {"error": {"type": "http_error", "message": "m"}}, "missing_required_parameter", "error.code"),
        (CALL | {"error": {"type": "http_error", "code": True, "message": "m"}}, "invalid_value", "error.code"),
        (LISTING, "invalid_value", "tools"),
        (LISTING | {"tools": [{}] * 129}, "invalid_value", "tools"),
        (LISTING | {"tools": [3]}, "invalid_value", "tools[0]"),
        (LISTING | {"tools": [{"name": "a"}]}, "missing_required_parameter", "tools[0].input_schema"),
        ({"type": "mcp_poem"}, "invalid_value", "type"),
        ({"type": ["mcp_call"]}, "invalid_value", "type"),
    ],
)
def test_what_is_wrong_is_refused_at_its_path(value: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(BadEvent) as caught:
        created(value)
    assert (caught.value.code, caught.value.param) == (code, f"item.{param}")


def test_they_are_refused_in_beta_and_where_no_servers_are_served() -> None:
    for dialect, serves_mcp in ((Dialect.BETA, True), (Dialect.GA, False)):
        with pytest.raises(BadEvent, match="'message', 'function_call', 'function_call_output'"):
            item_of(ANSWER, "item", dialect, USUAL, serves_mcp=serves_mcp)


def test_beta_is_told_nothing_of_them_wherever_they_stand() -> None:
    item = McpCall(id="i", server_label="s", name="look", arguments="{}")
    events = (
        conv.ConversationItemAdded(event_id="e", previous_item_id=None, item=item),
        conv.ConversationItemDone(event_id="e", previous_item_id=None, item=item),
        conv.ConversationItemRetrieved(event_id="e", item=item),
        OutputItemAdded(event_id="e", response_id="r", output_index=0, item=item),
        OutputItemDone(event_id="e", response_id="r", output_index=0, item=item),
    )
    beta, ga = Wire(Dialect.BETA, opened_at_s=0), Wire(Dialect.GA, opened_at_s=0)
    assert [beta.encode(event) for event in events] == [None] * 5
    assert all(b'"output":null' in (ga.encode(event) or b"") for event in events)
    done = ResponseSnapshot(id="r", status="completed", conversation_id="c", output=(item,))
    assert shown_response(done, Dialect.BETA)["output"] == []
    assert shown_response(done, Dialect.GA)["output"] == [item]
