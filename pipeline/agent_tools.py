"""The tools of an agent, as its file names them: what the model may ask for, and who runs it.

    [[tools]]                            # answered from a table in this file, for demonstrations
    name = "look_up_order"
    key = "order_id"
    answers = { 4815 = { status = "shipped" } }

    [[tools]]
    built_in = "transfer"                # hang_up, transfer, send_digits, collect_digits, wait or take_message
    to = { sales = "+493012345" }        # transfer only: the model picks a name, never a number

    [[tools]]
    function = "shop.orders:find"        # a Python function; its parameters' types are the schema

    [[tools]]
    name = "book"                        # an HTTPS webhook; what it is sent is signed
    url = "https://example.com/book"
    parameters = { type = "object", properties = { day = { type = "string" } } }

    [[mcp]]
    label = "crm"                        # all tools of a Model Context Protocol server
    url = "https://example.com/mcp"

Reads and checks; runs nothing, imports nothing of the user's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from pipeline.checked_table import CheckedTable, nearest
from pipeline.events.config import McpServer
from pipeline.provider import FunctionTool

BuiltInName: TypeAlias = Literal["hang_up", "transfer", "send_digits", "collect_digits", "wait", "take_message"]

_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}")
"""E.164."""
_DOTTED: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What language models accept as the name of a function."""

LONGEST_TOOL_S: Final = 30.0
"""A caller who hears "one moment" three times has had enough of it."""


@dataclass(frozen=True, slots=True)
class TableTool:
    """A function answered from a table: for demonstrations, where no system stands behind the agent."""

    function: FunctionTool
    key: str = ""
    """The argument whose value is looked up; empty if the answer is always the same."""
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By value of `key`."""
    otherwise: Mapping[str, Any] = field(default_factory=dict)
    """The answer to every other value."""
    ends_call: bool = False
    """The call ends once the last word spoken was heard."""

    @property
    def name(self) -> str:
        return self.function.name

    def answer(self, arguments: str) -> str:
        """The answer to the model's `arguments` (JSON), as JSON. Arguments that make no sense have no entry."""
        try:
            asked = json.loads(arguments)
        except ValueError:
            asked = None
        wanted = asked.get(self.key) if isinstance(asked, dict) else None
        return json.dumps(dict(self.answers.get(str(wanted), self.otherwise)))


@dataclass(frozen=True, slots=True)
class BuiltInTool:
    """One that the gateway brings."""

    name: BuiltInName
    description: str = ""
    """Instead of the usual one, if not empty."""
    to: Mapping[str, str] = field(default_factory=dict)
    """`transfer`: telephone numbers (E.164) by the names that the model may ask for."""


@dataclass(frozen=True, slots=True)
class PythonTool:
    """A function of the user's own program."""

    function: str
    """`package.module:name`."""
    limit_s: float | None = None

    @property
    def name(self) -> str:
        return self.function.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class WebhookTool:
    """A function of a web server of the user's."""

    function: FunctionTool
    url: str
    limit_s: float | None = None

    @property
    def name(self) -> str:
        return self.function.name


AgentTool: TypeAlias = TableTool | BuiltInTool | PythonTool | WebhookTool


def read_tools(tables: list[CheckedTable]) -> tuple[AgentTool, ...]:
    """The tools of `[[tools]]`; what is wrong with them becomes faults of the tables."""
    tools: list[AgentTool] = []
    names: set[str] = set()
    for table in tables:
        tool = _read_tool(table)
        if tool.name in names:
            table.fault("name", "expected a different name for each tool")
        names.add(tool.name)
        tools.append(tool)
        table.no_more()
    return tuple(tools)


def read_mcp_servers(tables: list[CheckedTable]) -> tuple[McpServer, ...]:
    """The servers of `[[mcp]]`. They are the operator's own choice, so their tools need no approval."""
    servers: list[McpServer] = []
    for table in tables:
        label = table.text("label")
        if not _TOOL_NAME.fullmatch(label) or label in [server.server_label for server in servers]:
            table.fault("label", "expected a different label for each server, of letters, digits, _ and -")
        servers.append(
            McpServer(
                server_label=label,
                server_url=_read_url(table),
                transport=table.text("transport", "") or None,
                headers={name: str(value) for name, value in table.mapping("headers").items()},
                allowed_tools=list(table.texts("allowed_tools")) or None,
                require_approval="never",
            )
        )
        table.no_more()
    return tuple(servers)


def _read_tool(table: CheckedTable) -> AgentTool:
    if "built_in" in table:
        return _read_built_in(table)
    if "function" in table:
        function = table.text("function")
        if not _DOTTED.fullmatch(function):
            table.fault("function", "expected package.module:name")
        return PythonTool(function, _read_limit(table))
    if "url" in table:
        return WebhookTool(_read_function(table), _read_url(table), _read_limit(table))
    return _read_table_tool(table)


def _read_built_in(table: CheckedTable) -> BuiltInTool:
    name = table.text("built_in")
    if name not in get_args(BuiltInName):
        table.fault("built_in", f"expected a built-in tool{nearest(name, get_args(BuiltInName))}")
    to = {who: str(number) for who, number in table.mapping("to").items()}
    if (name == "transfer") != bool(to):
        table.fault("to", "expected numbers by name for transfer, and for no other tool")
    if not all(_NUMBER.fullmatch(number) for number in to.values()):
        table.fault("to", "expected telephone numbers like +493012345")
    return BuiltInTool(cast(BuiltInName, name), table.text("description", ""), to)


def _read_function(table: CheckedTable) -> FunctionTool:
    name = table.text("name")
    if not _TOOL_NAME.fullmatch(name):
        table.fault("name", "expected at most 64 letters, digits, _ and -")
    usual = FunctionTool("").parameters
    return FunctionTool(name, table.text("description", ""), table.mapping("parameters") or usual)


def _read_table_tool(table: CheckedTable) -> TableTool:
    answers: dict[str, Mapping[str, Any]] = {}
    entries = table.table("answers")
    for value in table.mapping("answers"):
        answers[value] = entries.mapping(value)
    key = table.text("key", "")
    if answers and not key:
        table.fault("key", "expected the argument by which answers are looked up")
    return TableTool(
        _read_function(table),
        key=key,
        answers=answers,
        otherwise=table.mapping("otherwise"),
        ends_call=table.flag("ends_call", False),
    )


def _read_limit(table: CheckedTable) -> float | None:
    return table.number("limit_s", 0.0, least=0.1, most=LONGEST_TOOL_S) if "limit_s" in table else None


def _read_url(table: CheckedTable) -> str:
    url = table.text("url")
    if not re.fullmatch(r"https?://[\x21-\x7e]+", url):
        table.fault("url", "expected an address that begins with https://")
    return url
