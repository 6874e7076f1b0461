"""Tools of the session object, and which of them a response must use, both ways (Realtime reference, section C.4).

A list of tools replaces the present one as a whole. An entry that reads as a present tool is shown stays that tool,
secrets and all: what is never shown cannot come back with an echo.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, cast

import msgspec

from pipeline.dialects import Dialect
from pipeline.events.config import McpServer, NamedTool, SessionConfig, Tool, ToolChoice
from pipeline.provider import FunctionTool
from pipeline.session_parts import mcp_server
from pipeline.session_parts.field import Field, Terms, encoded_bytes

_DESCRIPTION_CHARS = 65_536
"""Bounded by the size of all tools together; this only keeps the message short."""
_CHOICES = ("auto", "none", "required")


def replaced(tools: Field | None, servers: Field | None, present: SessionConfig, terms: Terms) -> tuple[Tool, ...]:
    """The tools after an update that gives `tools`, the seed's `mcpServers`, or both.

    A seed connection sees its servers apart from its tools, so each list replaces only what it shows; elsewhere a
    new list of tools replaces the servers too.
    """
    blamed = tools or servers
    if blamed is None:
        return present.tools
    if tools is not None:
        others = _read_all(tools, present, terms)
    else:
        others = tuple(tool for tool in present.tools if not mcp_server.is_camel_shown(tool))
    opened: tuple[Tool, ...] = ()
    if servers is not None:
        opened = mcp_server.read_camel_all(servers, terms)
    elif terms.dialect is Dialect.SEED:
        opened = tuple(tool for tool in present.tools if mcp_server.is_camel_shown(tool))
    after = (*others, *opened)
    _check_all(after, blamed, terms)
    return after


def _read_all(field: Field, present: SessionConfig, terms: Terms) -> tuple[Tool, ...]:
    entries = field.elements()
    _check_count(len(entries), field, terms)
    known = [(_shown_tool(tool), tool) for tool in present.tools]
    return tuple(
        next((tool for echo, tool in known if echo == entry.value), None) or _read(entry, terms)
        for entry in entries
    )


def _read(entry: Field, terms: Terms) -> Tool:
    kinds = ("function",) if terms.dialect is Dialect.BETA else ("function", "mcp")
    fields = entry.given(("type",))
    if "type" not in fields:
        raise entry.lacks("type")
    kind = fields["type"]
    if kind.value == "web_search":
        raise kind.refused(
            "Invalid value: 'web_search' is not offered by this server. Give it a function or an MCP server that "
            "searches."
        )
    if kind.one_of(kinds) == "mcp":
        return mcp_server.read(entry, terms)
    return _read_function(entry)


def _read_function(entry: Field) -> FunctionTool:
    """Keys that nobody knows, as `strict`, are passed over."""
    fields = entry.given(("name", "description", "parameters"))
    if "name" not in fields:
        raise entry.lacks("name")
    described: dict[str, Any] = {}
    if "description" in fields:
        described["description"] = fields["description"].text(_DESCRIPTION_CHARS)
    if "parameters" in fields:
        fields["parameters"].members()
        described["parameters"] = fields["parameters"].value
    return FunctionTool(name=fields["name"].identifier(), **described)


def _check_count(count: int, blamed: Field, terms: Terms) -> None:
    if count > terms.limits.tools:
        raise blamed.refused(f"Invalid value: {count} tools. At most {terms.limits.tools} are taken.")


def _check_all(tools: tuple[Tool, ...], blamed: Field, terms: Terms) -> None:
    """What is true only of all together: how many, how large, and that no name comes twice."""
    _check_count(len(tools), blamed, terms)
    size = encoded_bytes([_shown_tool(tool) | mcp_server.secrets_of(tool) for tool in tools], blamed)
    if size > terms.limits.tools_bytes:
        raise blamed.refused(
            f"Invalid value: tools of {size} bytes as JSON. At most {terms.limits.tools_bytes} are taken."
        )
    for kind in (
        [tool.name for tool in tools if isinstance(tool, FunctionTool)],
        [tool.server_label for tool in tools if isinstance(tool, McpServer)],
    ):
        twice = next((name for index, name in enumerate(kind) if name in kind[:index]), None)
        if twice is not None:
            raise blamed.refused(f"Invalid value: two tools are named '{twice}'. Give each its own name.")


def read_choice(field: Field, tools: tuple[Tool, ...]) -> ToolChoice:
    """One of three words, or one of `tools` by its name."""
    if isinstance(field.value, str):
        return cast(Literal["auto", "none", "required"], field.one_of(_CHOICES))
    fields = field.given(("type", "name", "server_label"))
    if "type" not in fields:
        raise field.lacks("type")
    if fields["type"].one_of(("function", "mcp")) == "function":
        return _function_choice(field, fields, tools)
    return _server_choice(field, fields, tools)


def _function_choice(whole: Field, fields: dict[str, Field], tools: tuple[Tool, ...]) -> NamedTool:
    if "name" not in fields:
        raise whole.lacks("name")
    choice = NamedTool(type="function", name=fields["name"].identifier())
    if not _is_among(choice, tools):
        raise fields["name"].refused(f"Invalid value: '{choice.name}'. No function in 'tools' has this name.")
    return choice


def _server_choice(whole: Field, fields: dict[str, Field], tools: tuple[Tool, ...]) -> NamedTool:
    if "server_label" not in fields:
        raise whole.lacks("server_label")
    name = fields["name"].text(least_chars=1) if "name" in fields else None
    choice = NamedTool(type="mcp", server_label=fields["server_label"].identifier(), name=name)
    if not _is_among(choice, tools):
        raise fields["server_label"].refused(
            f"Invalid value: '{choice.server_label}'. No MCP server in 'tools' has this label."
        )
    return choice


def choice_among(choice: ToolChoice, tools: tuple[Tool, ...]) -> ToolChoice:
    """A choice that was made before, now that there are these tools: a tool that is gone can't be insisted on."""
    return "auto" if isinstance(choice, NamedTool) and not _is_among(choice, tools) else choice


def _is_among(choice: NamedTool, tools: tuple[Tool, ...]) -> bool:
    if choice.type == "function":
        return any(isinstance(tool, FunctionTool) and tool.name == choice.name for tool in tools)
    return any(isinstance(tool, McpServer) and tool.server_label == choice.server_label for tool in tools)


def shown(tools: Iterable[Tool], dialect: Dialect) -> list[dict[str, Any]]:
    """Beta knows functions only; the seed shows its servers elsewhere."""
    if dialect is Dialect.BETA:
        tools = (tool for tool in tools if isinstance(tool, FunctionTool))
    elif dialect is Dialect.SEED:
        tools = (tool for tool in tools if not mcp_server.is_camel_shown(tool))
    return [_shown_tool(tool) for tool in tools]


def _shown_tool(tool: Tool) -> dict[str, Any]:
    if isinstance(tool, McpServer):
        return mcp_server.shown(tool)
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }


def shown_choice(choice: ToolChoice) -> Any:
    """A word unless an object was set: strict clients know the three words only (Realtime reference, F.5)."""
    return msgspec.to_builtins(choice)
