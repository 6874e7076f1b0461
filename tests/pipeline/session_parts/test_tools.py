"""Tools of the session object, and the choice among them (Realtime reference, section C.4)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.dialects import Dialect
from pipeline.events.config import McpServer, NamedTool, SessionConfig, Tool, ToolChoice
from pipeline.events.refusal import BadEvent
from pipeline.limits import Limits
from pipeline.provider import FunctionTool
from pipeline.session_parts import tools
from pipeline.session_parts.field import Field, Terms

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "name": "weather", "description": "get weather", "parameters": SCHEMA}
WEATHER_TOOL = FunctionTool("weather", "get weather", SCHEMA)
SEARCH = {"type": "mcp", "server_label": "search", "server_url": "https://one.example/mcp"}
SEARCH_TOOL = McpServer(server_label="search", server_url="https://one.example/mcp")
SEEDS = {"url": "https://two.example", "transport": "sse"}
SEEDS_TOOL = McpServer(
    server_label="mcp_1", server_url="https://two.example", transport="sse", require_approval="never"
)


def after(
    given: Any = None,
    servers: Any = None,
    present: tuple[Tool, ...] = (),
    dialect: Dialect = Dialect.GA,
    limits: Limits | None = None,
) -> tuple[Tool, ...]:
    """The tools after an update; None: not given."""
    return tools.replaced(
        None if given is None else Field(given, "tools"),
        None if servers is None else Field(servers, "servers"),
        SessionConfig(tools=present),
        Terms(dialect, limits or Limits()),
    )


def refusal(given: Any, **more: Any) -> tuple[str, str | None]:
    with pytest.raises(BadEvent) as caught:
        after(given, **more)
    return caught.value.code, caught.value.param


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"type": "function", "name": f"f{number}"} for number in range(count)]


def test_a_list_of_tools_replaces_the_present_one() -> None:
    assert after([WEATHER, SEARCH]) == (WEATHER_TOOL, SEARCH_TOOL)
    assert after([], present=(WEATHER_TOOL, SEARCH_TOOL)) == ()
    assert after(present=(WEATHER_TOOL,)) == (WEATHER_TOOL,)


def test_a_function_needs_only_its_name_and_may_say_what_nobody_knows() -> None:
    given = [{"type": "function", "name": "f", "strict": True, "description": None, "parameters": None}]
    assert after(given) == (FunctionTool("f"),)


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ("x", "invalid_value", "tools"),
        (["x"], "invalid_value", "tools[0]"),
        ([{"name": "f"}], "missing_required_parameter", "tools[0].type"),
        ([WEATHER, {"type": "function"}], "missing_required_parameter", "tools[1].name"),
        ([{"type": "function", "function": {"name": "f"}}], "missing_required_parameter", "tools[0].name"),
        ([{"type": "function", "name": ""}], "invalid_value", "tools[0].name"),
        ([{"type": "function", "name": "a b"}], "invalid_value", "tools[0].name"),
        ([{"type": "function", "name": "a" * 65}], "invalid_value", "tools[0].name"),
        ([{"type": "function", "name": "f", "description": 3}], "invalid_value", "tools[0].description"),
        ([{"type": "function", "name": "f", "parameters": []}], "invalid_value", "tools[0].parameters"),
        ([{"type": "computer", "name": "f"}], "invalid_value", "tools[0].type"),
        ([{"type": "web_search", "providerData": {}}], "invalid_value", "tools[0].type"),
        ([WEATHER, WEATHER], "invalid_value", "tools"),
        ([SEARCH, SEARCH], "invalid_value", "tools"),
        ([{"type": "function", "name": "f", "parameters": {"x": "\ud800"}}], "invalid_value", "tools"),
    ],
)
def test_what_is_no_tool_is_refused_at_its_path(given: Any, code: str, param: str) -> None:
    for dialect in (Dialect.GA, Dialect.IW, Dialect.SEED):
        assert refusal(given, dialect=dialect) == (code, param)


def test_a_web_search_is_refused_by_name() -> None:
    with pytest.raises(BadEvent, match="'web_search' is not offered by this server"):
        after([{"type": "web_search"}], dialect=Dialect.IW)


def test_beta_knows_functions_only() -> None:
    assert after([WEATHER], dialect=Dialect.BETA) == (WEATHER_TOOL,)
    assert refusal([SEARCH], dialect=Dialect.BETA) == ("invalid_value", "tools[0].type")


def test_a_name_of_64_characters_is_taken() -> None:
    assert after([{"type": "function", "name": "a" * 64}]) == (FunctionTool("a" * 64),)


def test_a_function_and_a_server_may_share_a_name() -> None:
    assert len(after([{"type": "function", "name": "search"}, SEARCH])) == 2


def test_tools_are_counted_up_to_their_limit() -> None:
    limits = Limits(tools=3)
    for count in (2, 3):
        assert len(after(numbered(count), limits=limits)) == count
    assert refusal(numbered(4), limits=limits) == ("invalid_value", "tools")
    assert refusal(numbered(3), servers=[SEEDS], limits=limits, dialect=Dialect.SEED) == ("invalid_value", "tools")


def test_all_tools_together_are_weighed_secrets_too() -> None:
    secret = {**SEARCH, "require_approval": "always", "authorization": "key", "headers": {"x": "y"}}
    given = [WEATHER, secret]
    size = len(json.dumps(given, separators=(",", ":")))
    for spare in (1, 0):
        assert len(after(given, limits=Limits(tools_bytes=size + spare))) == 2
    assert refusal(given, limits=Limits(tools_bytes=size - 1)) == ("invalid_value", "tools")


def test_an_entry_that_reads_as_it_is_shown_stays_the_present_tool() -> None:
    server = McpServer(server_label="s", server_url="https://one.example", authorization="key", transport="sse")
    (echo,) = tools.shown((server,), Dialect.GA)
    assert after([WEATHER, echo], present=(server,)) == (WEATHER_TOOL, server)
    changed = {**echo, "require_approval": "never"}
    assert after([changed], present=(server,)) == (
        McpServer(server_label="s", server_url="https://one.example", require_approval="never"),
    )


PRESENT: tuple[Tool, ...] = (WEATHER_TOOL, SEARCH_TOOL, SEEDS_TOOL)


@pytest.mark.parametrize(
    ("dialect", "given", "servers", "expected"),
    [
        # A seed connection sees two lists, and each replaces only what it shows.
        (Dialect.SEED, [], None, (SEEDS_TOOL,)),
        (Dialect.SEED, None, [], (WEATHER_TOOL, SEARCH_TOOL)),
        (Dialect.SEED, [WEATHER], [SEEDS], (WEATHER_TOOL, SEEDS_TOOL)),
        # An Inworld connection sees one.
        (Dialect.IW, [], None, ()),
        (Dialect.IW, None, [], (WEATHER_TOOL, SEARCH_TOOL)),
        (Dialect.IW, None, [SEEDS], (WEATHER_TOOL, SEARCH_TOOL, SEEDS_TOOL)),
        (Dialect.IW, [WEATHER], [SEEDS], (WEATHER_TOOL, SEEDS_TOOL)),
    ],
)
def test_the_seeds_servers_stand_beside_the_tools(
    dialect: Dialect, given: Any, servers: Any, expected: tuple[Tool, ...]
) -> None:
    assert after(given, servers, PRESENT, dialect) == expected


def test_tools_are_shown_where_each_dialect_looks_for_them() -> None:
    search = {**SEARCH, "require_approval": "always"}
    seeds = {
        "type": "mcp",
        "server_label": "mcp_1",
        "server_url": "https://two.example",
        "require_approval": "never",
    }
    for dialect in (Dialect.GA, Dialect.IW):
        assert tools.shown(PRESENT, dialect) == [WEATHER, search, seeds]
    assert tools.shown(PRESENT, Dialect.SEED) == [WEATHER, search]
    assert tools.shown(PRESENT, Dialect.BETA) == [WEATHER]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "name": "weather"}, NamedTool(type="function", name="weather")),
        ({"type": "mcp", "server_label": "search"}, NamedTool(type="mcp", server_label="search")),
        (
            {"type": "mcp", "server_label": "search", "name": "find"},
            NamedTool(type="mcp", server_label="search", name="find"),
        ),
    ],
)
def test_a_choice_is_read_and_shown_as_it_was_set(value: Any, expected: ToolChoice) -> None:
    choice = tools.read_choice(Field(value, "c"), PRESENT)
    assert choice == expected
    assert tools.shown_choice(choice) == value


@pytest.mark.parametrize(
    ("value", "code", "param"),
    [
        ("any", "invalid_value", "c"),
        (3, "invalid_value", "c"),
        ({}, "missing_required_parameter", "c.type"),
        ({"type": "tool"}, "invalid_value", "c.type"),
        ({"type": "function"}, "missing_required_parameter", "c.name"),
        ({"type": "function", "name": "search"}, "invalid_value", "c.name"),
        ({"type": "function", "name": 3}, "invalid_value", "c.name"),
        ({"type": "mcp"}, "missing_required_parameter", "c.server_label"),
        ({"type": "mcp", "server_label": "weather"}, "invalid_value", "c.server_label"),
        ({"type": "mcp", "server_label": "search", "name": ""}, "invalid_value", "c.name"),
    ],
)
def test_a_choice_of_nothing_there_is_refused(value: Any, code: str, param: str) -> None:
    with pytest.raises(BadEvent) as caught:
        tools.read_choice(Field(value, "c"), PRESENT)
    assert (caught.value.code, caught.value.param) == (code, param)


@pytest.mark.parametrize(
    ("choice", "left", "expected"),
    [
        ("required", (), "required"),
        (NamedTool(type="function", name="weather"), (WEATHER_TOOL,), None),
        (NamedTool(type="function", name="weather"), (SEARCH_TOOL,), "auto"),
        (NamedTool(type="mcp", server_label="search"), (SEARCH_TOOL,), None),
        (NamedTool(type="mcp", server_label="search"), (WEATHER_TOOL,), "auto"),
    ],
)
def test_a_choice_lasts_as_long_as_its_tool(
    choice: ToolChoice, left: tuple[Tool, ...], expected: ToolChoice | None
) -> None:
    assert tools.choice_among(choice, left) == (expected or choice)
