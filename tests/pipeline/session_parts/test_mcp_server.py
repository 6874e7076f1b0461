"""Model Context Protocol servers, in GA's spelling and the seed's (Realtime reference, section C.4)."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.dialects import Dialect
from pipeline.events.config import McpServer
from pipeline.events.refusal import BadEvent
from pipeline.provider import FunctionTool
from pipeline.session_parts import mcp_server
from pipeline.session_parts.field import Field, Terms

TERMS = Terms(Dialect.SEED)
LEAST = {"type": "mcp", "server_label": "s", "server_url": "https://one.example/mcp"}
FULL = {
    **LEAST,
    "server_description": "searches",
    "authorization": "key",
    "headers": {"x-a": "b"},
    "allowed_tools": {"tool_names": ["find"], "read_only": True},
    "require_approval": {"always": {"tool_names": ["delete"]}, "never": {"read_only": True}},
    "defer_loading": True,
    "allowed_callers": ["direct"],
}


def read(entry: dict[str, Any]) -> McpServer:
    return mcp_server.read(Field(entry, "t"), TERMS)


def refusal(entry: dict[str, Any]) -> tuple[str, str | None]:
    with pytest.raises(BadEvent) as caught:
        read(entry)
    assert "key" not in caught.value.message
    return caught.value.code, caught.value.param


def test_a_server_needs_a_label_and_an_address() -> None:
    assert read(LEAST) == McpServer(server_label="s", server_url="https://one.example/mcp")
    assert refusal({"server_url": "https://one.example"}) == ("missing_required_parameter", "t.server_label")
    assert refusal({"server_label": "s"}) == ("missing_required_parameter", "t.server_url")


def test_all_that_a_server_may_have_is_read_and_its_secrets_are_not_shown() -> None:
    server = read(FULL)
    assert server == McpServer(
        server_label="s",
        server_url="https://one.example/mcp",
        server_description="searches",
        authorization="key",
        headers={"x-a": "b"},
        allowed_tools=FULL["allowed_tools"],
        require_approval=FULL["require_approval"],
    )
    hidden = {"authorization", "headers", "defer_loading", "allowed_callers"}
    assert mcp_server.shown(server) == {name: value for name, value in FULL.items() if name not in hidden}
    assert mcp_server.secrets_of(server) == {"authorization": "key", "headers": {"x-a": "b"}}


def test_what_a_server_has_not_is_not_shown_but_its_default_of_approval_is() -> None:
    assert mcp_server.shown(read(LEAST)) == LEAST | {"require_approval": "always"}


def test_a_server_without_secrets_and_a_function_have_none() -> None:
    assert mcp_server.secrets_of(read(LEAST)) == {}
    assert mcp_server.secrets_of(FunctionTool("f")) == {}


@pytest.mark.parametrize("value", [["find"], [], {}, {"read_only": False}])
def test_allowed_tools_are_names_or_a_filter(value: Any) -> None:
    assert read({**LEAST, "allowed_tools": value}).allowed_tools == value


@pytest.mark.parametrize("value", ["always", "never", {}, {"never": {"tool_names": []}}])
def test_approval_is_a_word_or_a_filter_for_each(value: Any) -> None:
    assert read({**LEAST, "require_approval": value}).require_approval == value


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"server_label": "a b"}, "invalid_value", "server_label"),
        ({"server_url": "ftp://one.example"}, "invalid_value", "server_url"),
        ({"server_url": "https://"}, "invalid_value", "server_url"),
        ({"server_url": "https://[one"}, "invalid_value", "server_url"),
        ({"server_url": "one.example"}, "invalid_value", "server_url"),
        ({"server_url": "https://one.example/" + "x" * 2_048}, "invalid_value", "server_url"),
        ({"connector_id": "connector_dropbox"}, "invalid_value", "connector_id"),
        ({"tunnel_id": "tunnel_1"}, "invalid_value", "tunnel_id"),
        ({"server_description": 3}, "invalid_value", "server_description"),
        ({"authorization": ["key"]}, "invalid_value", "authorization"),
        ({"headers": "key"}, "invalid_value", "headers"),
        ({"headers": {"x": ["key"]}}, "invalid_value", "headers.x"),
        ({"allowed_tools": "find"}, "invalid_value", "allowed_tools"),
        ({"allowed_tools": [3]}, "invalid_value", "allowed_tools[0]"),
        ({"allowed_tools": {"tool_names": "x"}}, "invalid_value", "allowed_tools.tool_names"),
        ({"allowed_tools": {"read_only": 1}}, "invalid_value", "allowed_tools.read_only"),
        ({"allowed_tools": {"names": ["x"]}}, "unknown_parameter", "allowed_tools.names"),
        ({"require_approval": "sometimes"}, "invalid_value", "require_approval"),
        ({"require_approval": 3}, "invalid_value", "require_approval"),
        ({"require_approval": {"allways": {}}}, "unknown_parameter", "require_approval.allways"),
        ({"require_approval": {"never": "x"}}, "invalid_value", "require_approval.never"),
    ],
)
def test_what_is_wrong_with_a_server_is_refused_at_its_path(changes: dict[str, Any], code: str, param: str) -> None:
    assert refusal(LEAST | changes) == (code, f"t.{param}")


def test_servers_are_refused_where_none_are_served() -> None:
    terms = Terms(Dialect.SEED, serves_mcp=False)
    for ask in (
        lambda: mcp_server.read(Field(LEAST, "t"), terms),
        lambda: mcp_server.read_camel_all(Field([{"url": "https://one.example"}], "t"), terms),
    ):
        with pytest.raises(BadEvent, match="MCP servers are not offered by this server"):
            ask()


def test_the_seeds_servers_are_numbered_and_need_no_approval() -> None:
    value = [{"url": "https://one.example", "transport": "sse"}, {"url": "http://two.example"}]
    servers = mcp_server.read_camel_all(Field(value, "m"), TERMS)
    assert servers == (
        McpServer(
            server_label="mcp_1", server_url="https://one.example", transport="sse", require_approval="never"
        ),
        McpServer(server_label="mcp_2", server_url="http://two.example", require_approval="never"),
    )
    assert all(map(mcp_server.is_camel_shown, servers))
    assert [mcp_server.camel_shown(server) for server in servers] == value


@pytest.mark.parametrize(
    ("value", "code", "param"),
    [
        ({}, "invalid_value", "m"),
        (["https://one.example"], "invalid_value", "m[0]"),
        ([{"transport": "sse"}], "missing_required_parameter", "m[0].url"),
        ([{"url": "one.example"}], "invalid_value", "m[0].url"),
        ([{"url": "https://one.example", "transport": 3}], "invalid_value", "m[0].transport"),
    ],
)
def test_the_seeds_servers_are_refused_at_their_path(value: Any, code: str, param: str) -> None:
    with pytest.raises(BadEvent) as caught:
        mcp_server.read_camel_all(Field(value, "m"), TERMS)
    assert (caught.value.code, caught.value.param) == (code, param)


@pytest.mark.parametrize(
    "changes",
    [
        {"server_label": "search"},
        {"server_label": "mcp_0"},
        {"require_approval": "always"},
        {"authorization": "key"},
        {"headers": {"a": "b"}},
        {"allowed_tools": []},
        {"server_description": "x"},
    ],
)
def test_what_the_seed_cannot_say_of_a_server_is_not_shown_in_its_spelling(changes: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"server_label": "mcp_1", "server_url": "https://a.b", "require_approval": "never"}
    assert mcp_server.is_camel_shown(McpServer(**usual))
    assert not mcp_server.is_camel_shown(McpServer(**(usual | changes)))
    assert not mcp_server.is_camel_shown(FunctionTool("f"))
