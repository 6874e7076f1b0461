"""Events about MCP servers: the listing of their tools, and calls of them (Realtime reference, section D.6)."""

from __future__ import annotations

import msgspec

from pipeline.events.response import OfItem


class OfListing(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every event about a listing carries."""

    event_id: str
    item_id: str


class OfMcpCall(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every event about the running of a call carries: its response is over by then."""

    event_id: str
    item_id: str
    output_index: int


class ListingInProgress(OfListing, frozen=True, kw_only=True, tag="mcp_list_tools.in_progress"):
    pass


class ListingCompleted(OfListing, frozen=True, kw_only=True, tag="mcp_list_tools.completed"):
    pass


class ListingFailed(OfListing, frozen=True, kw_only=True, tag="mcp_list_tools.failed"):
    pass


class McpCallArgumentsDelta(OfItem, frozen=True, kw_only=True, tag="response.mcp_call_arguments.delta"):
    delta: str
    obfuscation: str = ""
    """Hides the length of the delta from who watches the line; strict clients want the field."""


class McpCallArgumentsDone(OfItem, frozen=True, kw_only=True, tag="response.mcp_call_arguments.done"):
    arguments: str


class McpCallInProgress(OfMcpCall, frozen=True, kw_only=True, tag="response.mcp_call.in_progress"):
    pass


class McpCallCompleted(OfMcpCall, frozen=True, kw_only=True, tag="response.mcp_call.completed"):
    pass


class McpCallFailed(OfMcpCall, frozen=True, kw_only=True, tag="response.mcp_call.failed"):
    pass
