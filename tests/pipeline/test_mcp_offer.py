"""Which tools of MCP servers an answer may use, by what names, and with whose consent (Realtime reference, C.4)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pipeline.events.config import McpServer, NamedTool, SessionConfig, Tool, ToolChoice
from pipeline.mcp.tool import McpTool
from pipeline.mcp_offer import NOTHING, Offered, allowed, offer_of, servers_of
from pipeline.provider import FunctionTool
from tests.pipeline.mcp_servers import ASKS, FREE, LOOK, WRITE

replace = msgspec.structs.replace


def names(*tools: Tool, choice: ToolChoice = "auto", listed: tuple[McpTool, ...] = (LOOK, WRITE)) -> list[str]:
    offer = offer_of(SessionConfig(tools=tools, tool_choice=choice), lambda _: listed)
    return [each.name for each in offer.tools]


def test_a_tool_keeps_its_name_where_no_other_has_it() -> None:
    assert names(FunctionTool("ask"), FREE) == ["look", "write"]
    assert servers_of(SessionConfig(tools=(FunctionTool("ask"), FREE, ASKS))) == (FREE, ASKS)


def test_tools_of_one_name_stand_behind_their_servers_labels_and_a_function_keeps_its_own() -> None:
    assert names(FREE, ASKS, listed=(LOOK,)) == ["free__look", "asks__look"]
    assert names(FunctionTool("look"), FREE, listed=(LOOK,)) == ["free__look"]


def test_a_name_that_is_taken_even_so_is_numbered() -> None:
    taken = FunctionTool("free__look")
    assert names(FunctionTool("look"), taken, FREE, listed=(LOOK,)) == ["free__look_2"]


def test_a_name_no_model_takes_is_made_one_it_takes() -> None:
    odd = McpTool("files/read.all " + "x" * 80, "", {}, None)
    (name,) = names(FREE, listed=(odd,))
    assert name.startswith("files_read_all_x") and len(name) == 64


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        ("auto", ["free__look", "asks__look"]),
        ("required", ["free__look", "asks__look"]),
        ("none", []),
        (NamedTool(type="function", name="look"), []),
        (NamedTool(type="mcp", server_label="asks"), ["asks__look"]),
        (NamedTool(type="mcp", server_label="asks", name="look"), ["asks__look"]),
        (NamedTool(type="mcp", server_label="asks", name="other"), []),
    ],
)
def test_only_what_the_choice_of_tools_leaves_is_offered(choice: ToolChoice, left: list[str]) -> None:
    assert names(FREE, ASKS, choice=choice, listed=(LOOK,)) == left


def test_a_tool_is_found_by_the_name_it_is_offered_by_and_its_name_by_the_tool() -> None:
    offer = offer_of(SessionConfig(tools=(FREE, ASKS)), lambda _: (LOOK,))
    found = offer.find("asks__look")
    assert found is not None and (found.server, found.tool) == (ASKS, LOOK)
    assert offer.find("look") is None
    assert offer.name_of("asks", "look") == "asks__look"
    assert NOTHING.name_of("asks", "look it") == "look_it"


def test_a_model_is_told_what_tool_and_server_say_of_themselves() -> None:
    server = replace(FREE, server_description="The town's library.")
    assert Offered("look", server, LOOK).described == FunctionTool(
        "look", "Looks.\n\nThe town's library.", {"type": "object"}
    )
    assert Offered("write", FREE, WRITE).described.description == ""


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        (None, (LOOK, WRITE)),
        ([], ()),
        (["write"], (WRITE,)),
        ({}, (LOOK, WRITE)),
        ({"read_only": True}, (LOOK,)),
        ({"read_only": False}, (WRITE,)),
        ({"tool_names": ["look", "write"], "read_only": False}, (WRITE,)),
    ],
)
def test_only_allowed_tools_are_shown(rule: Any, left: tuple[McpTool, ...]) -> None:
    assert allowed(replace(FREE, allowed_tools=rule), (LOOK, WRITE)) == left


@pytest.mark.parametrize(
    ("rule", "look", "write"),
    [
        ("always", True, True),
        ("never", False, False),
        ({}, True, True),
        ({"never": {}}, True, True),
        ({"never": {"read_only": True}}, False, True),
        ({"never": {"tool_names": ["write"]}}, True, False),
        ({"always": {"tool_names": ["write"]}}, True, True),
        ({"always": {"read_only": True}, "never": {"tool_names": ["look", "write"]}}, True, False),
    ],
)
def test_what_no_rule_frees_needs_somebody_to_agree(rule: Any, look: bool, write: bool) -> None:
    server: McpServer = replace(FREE, require_approval=rule)
    assert [Offered("x", server, tool).needs_approval for tool in (LOOK, WRITE)] == [look, write]
