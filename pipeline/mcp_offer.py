"""The tools of MCP servers that one answer may use: which, by what names, and whether a person is asked first.

Realtime reference, section C.4. Pure: what a configuration says of its servers, laid onto what these have listed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.events.config import McpServer, NamedTool, SessionConfig
from pipeline.mcp.tool import McpTool
from pipeline.mcp.tool_filter import is_meant
from pipeline.provider import FunctionTool

NAME_CHARS = 64
"""What the providers of models take as the name of a function; of letters, digits, `_` and `-`."""
_STRANGE = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Offered:
    """One tool of one server, as a model knows it."""

    name: str
    """Its own where nothing else in the answer is called so, else with the server's label before it."""
    server: McpServer
    tool: McpTool

    @property
    def needs_approval(self) -> bool:
        """Somebody must agree first. What no rule speaks of needs it, and `always` stands above `never`."""
        rule = self.server.require_approval
        if not isinstance(rule, dict):
            return bool(rule != "never")
        always, never = rule.get("always"), rule.get("never")
        if always and is_meant(self.tool, always):
            return True
        # An empty filter means every tool, which is more than somebody who wrote nothing can have meant to free.
        return not (never and is_meant(self.tool, never))

    @property
    def described(self) -> FunctionTool:
        """What the model is told of it."""
        told = (self.tool.description, self.server.server_description)
        return FunctionTool(
            name=self.name,
            description="\n\n".join(text for text in told if text),
            parameters=self.tool.input_schema,
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """All of them, in the order of the configuration."""

    tools: tuple[Offered, ...] = ()

    def find(self, name: str) -> Offered | None:
        """The tool that a model calls by this name."""
        return next((tool for tool in self.tools if tool.name == name), None)

    def name_of(self, server_label: str, name: str) -> str:
        """What a model knows the tool by, or once knew it by."""
        known = (o.name for o in self.tools if (o.server.server_label, o.tool.name) == (server_label, name))
        return next(known, _plain(name))


NOTHING = Offer()


def servers_of(config: SessionConfig) -> tuple[McpServer, ...]:
    return tuple(tool for tool in config.tools if isinstance(tool, McpServer))


def allowed(server: McpServer, tools: tuple[McpTool, ...]) -> tuple[McpTool, ...]:
    """Those that the client lets the model see."""
    return tuple(tool for tool in tools if is_meant(tool, server.allowed_tools))


def offer_of(config: SessionConfig, listed: Callable[[McpServer], tuple[McpTool, ...]]) -> Offer:
    """What the configuration offers, and its choice of tools leaves; `listed` has the tools of a server."""
    pairs = [(server, tool) for server in servers_of(config) for tool in listed(server)]
    functions = {tool.name for tool in config.tools if isinstance(tool, FunctionTool)}
    names = Counter(_plain(tool.name) for _, tool in pairs)
    taken, offered = set(functions), []
    for server, tool in pairs:
        name = _plain(tool.name)
        if names[name] > 1 or name in functions:
            name = _plain(f"{server.server_label}__{tool.name}")
        name = _free(name, taken)
        taken.add(name)
        offered.append(Offered(name, server, tool))
    return Offer(tuple(each for each in offered if _is_chosen(config, each)))


def _is_chosen(config: SessionConfig, offered: Offered) -> bool:
    match config.tool_choice:
        case "none":
            return False
        case NamedTool(type="mcp", server_label=label, name=name):
            return offered.server.server_label == label and name in (None, offered.tool.name)
        case NamedTool():
            return False
        case _:
            return True


def _plain(name: str) -> str:
    return _STRANGE.sub("_", name)[:NAME_CHARS]


def _free(name: str, taken: set[str]) -> str:
    """The name, or the first like it with a number that nothing has."""
    free, number = name, 2
    while free in taken:
        free = f"{name[: NAME_CHARS - 4]}_{number}"
        number += 1
    return free
