"""What a server offers, read with suspicion: tools that make no sense are dropped, tools that change are disabled.

A server may show one tool when it is looked over and another when it is used ("rug pull"). So the definitions
a session saw first are pinned by their hash, and a tool whose definition changes is refused for the rest of it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.mcp.schema import ToolSchema
from pipeline.mcp.tool import McpFailure, McpTool

log = logging.getLogger(__name__)

MOST_TOOLS = 128
"""Of one server, as the Realtime protocol allows to a session."""
LONGEST_DESCRIPTION_CHARS = 1_024
"""Of one tool: it stands in the prompt of every answer, and is a stranger's text."""

_NAME = re.compile(r"[A-Za-z0-9_./-]{1,128}")
"""What the protocol recommends; others would not come back from a model unharmed."""
INVALID_PARAMS = -32_602
METHOD_NOT_FOUND = -32_601
"""Of JSON-RPC 2.0, section 5.1."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A tool as the server wrote it."""

    name: str
    description: str
    input_schema: dict[str, Any]
    annotations: dict[str, Any] | None

    @property
    def fingerprint(self) -> str:
        """Of all that a person or a model judges it by."""
        written = [self.name, self.description, self.input_schema, self.annotations]
        return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()


class Definitions:
    """The tools of one server in one session. Not cheap for large schemas: call `read` in a thread."""

    def __init__(self, server_label: str) -> None:
        self._label = server_label
        self._pins: dict[str, str] = {}
        self._schemas: dict[str, ToolSchema] = {}
        self._sound: dict[str, McpTool] = {}
        self._dropped: set[str] = set()
        self._changed: set[str] = set()
        self.are_known = False
        """The server has been asked once."""

    def read(self, listed: Iterable[Definition]) -> tuple[McpTool, ...]:
        """Those that may be offered, in the server's order."""
        tools: dict[str, McpTool] = {}
        self.are_known = True
        for definition in listed:
            if len(tools) == MOST_TOOLS:
                log.warning("MCP server %s offers more than %d tools; the rest is dropped", self._label, MOST_TOOLS)
                break
            if definition.name not in tools and self._is_sound(definition):
                tools[definition.name] = McpTool(
                    name=definition.name,
                    description=definition.description[:LONGEST_DESCRIPTION_CHARS],
                    input_schema=definition.input_schema,
                    annotations=definition.annotations,
                )
        self._sound |= tools
        return tuple(tools.values())

    def tool(self, name: str) -> tuple[McpTool, ToolSchema]:
        """Of a tool that may be called. Raises `McpFailure` for one that changed, or was never offered."""
        if name in self._changed:
            raise McpFailure(
                "protocol_error",
                f"The definition of tool {name} changed during the session, so it is not used any more.",
                INVALID_PARAMS,
            )
        if name not in self._sound:
            raise unknown(self._label)
        return self._sound[name], self._schemas[name]

    def _is_sound(self, definition: Definition) -> bool:
        name = definition.name
        if not _NAME.fullmatch(name):
            self._drop(name[:40], "its name is not one")
            return False
        pinned = self._pins.get(name)
        if pinned is not None:
            if pinned == definition.fingerprint:
                return name not in self._changed
            if name not in self._changed:
                log.warning("tool %s of MCP server %s changed its definition; it is disabled", name, self._label)
            self._changed.add(name)
            return False
        try:
            self._schemas[name] = ToolSchema(definition.input_schema)
        except ValueError as error:
            self._drop(name, f"its input schema cannot be used: {error}")
            return False
        self._pins[name] = definition.fingerprint
        return True

    def _drop(self, name: str, why: str) -> None:
        if name not in self._dropped:
            log.warning("tool %r of MCP server %s is dropped: %s", name, self._label, why)
        self._dropped.add(name)


def unknown(server_label: str) -> McpFailure:
    return McpFailure("protocol_error", f"MCP server {server_label} has no such tool.", METHOD_NOT_FOUND)
