"""What a model is told for one answer."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.events.config import McpServer, NamedTool, SessionConfig, ToolChoice
from pipeline.events.items import (
    AnyItem,
    FunctionCall,
    FunctionCallOutput,
    InputImage,
    ListedTool,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpError,
    McpListTools,
    Message,
)
from pipeline.mcp_offer import offer_of
from pipeline.prompts import prompt_of, told
from pipeline.provider import FunctionTool, Prompt
from tests.pipeline.expected import said, spoken, typed
from tests.pipeline.mcp_servers import FREE
from tests.pipeline.mcp_servers import LOOK as LOOK_OF_SERVER

LOOK, ASK = FunctionTool("look"), FunctionTool("ask")
MCP = McpServer(server_label="deep", server_url="https://deep.example")


def test_a_prompt_has_all_the_configuration_says_of_an_answer() -> None:
    config = SessionConfig(instructions="Be kind.", tools=(LOOK, ASK), max_output_tokens=70, temperature=0.5)
    assert prompt_of(config, (typed("a", "Hi."),)) == Prompt(
        instructions="Be kind.",
        items=(typed("a", "Hi."),),
        tools=(LOOK, ASK),
        max_output_tokens=70,
        temperature=0.5,
        tool_choice="auto",
    )


@pytest.mark.parametrize(
    ("instructions", "remark", "told"),
    [("Be kind.", "", "Be kind."), ("", "Now.", "Now."), ("Be kind.", "Now.", "Be kind.\n\nNow."), ("", "", "")],
)
def test_a_remark_stands_below_the_instructions(instructions: str, remark: str, told: str) -> None:
    assert prompt_of(SessionConfig(instructions=instructions), (), remark).instructions == told


def test_items_that_tell_nothing_are_left_out() -> None:
    picture = Message(id="d", role="user", content=(InputImage(image_url="data:image/png;base64,AA=="),))
    items = (said("a"), spoken("b", "", "incomplete"), typed("c", "Hi."), picture)
    assert prompt_of(SessionConfig(), items).items == (typed("c", "Hi."), picture)


@pytest.mark.parametrize(
    ("choice", "tools", "told"),
    [
        ("auto", (LOOK, ASK), "auto"),
        ("required", (LOOK, ASK), "required"),
        ("none", (), "auto"),
        (NamedTool(type="function", name="ask"), (ASK,), "required"),
        (NamedTool(type="function", name="other"), (), "auto"),
    ],
)
def test_a_choice_of_tools_is_made_before_the_model_is_asked(
    choice: ToolChoice, tools: tuple[FunctionTool, ...], told: str
) -> None:
    prompt = prompt_of(SessionConfig(tools=(LOOK, MCP, ASK), tool_choice=choice), ())
    assert (prompt.tools, prompt.tool_choice) == (tools, told)


def test_nobody_must_choose_where_there_is_nothing_to_choose_from() -> None:
    assert prompt_of(SessionConfig(tools=(MCP,), tool_choice="required"), ()).tool_choice == "auto"


@pytest.mark.parametrize(
    ("choice", "tools", "told"),
    [
        ("auto", ["look", "ask", "free__look"], "auto"),
        ("required", ["look", "ask", "free__look"], "required"),
        ("none", [], "auto"),
        (NamedTool(type="function", name="ask"), ["ask"], "required"),
        (NamedTool(type="mcp", server_label="free"), ["free__look"], "required"),
        (NamedTool(type="mcp", server_label="free", name="look"), ["free__look"], "required"),
        (NamedTool(type="mcp", server_label="free", name="gone"), [], "auto"),
    ],
)
def test_tools_of_servers_stand_beside_functions_and_the_choice_is_made_among_all(
    choice: ToolChoice, tools: list[str], told: str
) -> None:
    config = SessionConfig(tools=(LOOK, FREE, ASK), tool_choice=choice)
    prompt = prompt_of(config, (), "", offer_of(config, lambda _: (LOOK_OF_SERVER,)))
    assert ([tool.name for tool in prompt.tools], prompt.tool_choice) == (tools, told)


CALL = McpCall(id="m", server_label="free", name="look", arguments='{"q":1}')
LISTED = McpListTools(id="l", server_label="free", tools=(ListedTool(name="a", description="", input_schema={}),))
REQUEST = McpApprovalRequest(id="m", server_label="free", name="look", arguments='{"q":1}')
YES = McpApprovalResponse(id="y", approval_request_id="m", approve=True)
NO = McpApprovalResponse(id="n", approval_request_id="m", approve=False)
WHY = McpApprovalResponse(id="w", approval_request_id="m", approve=False, reason="dear")


@pytest.mark.parametrize(
    ("items", "outputs"),
    [
        ((msgspec.structs.replace(CALL, output="42"),), [("m_out", "42")]),
        (
            (msgspec.structs.replace(CALL, error=McpError(type="tool_execution_error", message="no")),),
            [("m_out", '{"error":"no"}')],
        ),
        ((CALL,), [("m_now", '{"status":"still running, no result yet"}')]),
        ((REQUEST,), [("m_now", '{"status":"not run: waiting for approval"}')]),
        ((REQUEST, YES), []),
        ((REQUEST, NO), [("m_out", '{"error":"not run: it was not approved"}')]),
        ((REQUEST, WHY), [("m_out", '{"error":"not run: it was not approved","reason":"dear"}')]),
        ((LISTED,), []),
    ],
)  # fmt: skip
def test_a_tool_of_a_server_was_to_the_model_a_function_like_any_other(
    items: tuple[AnyItem, ...], outputs: list[tuple[str, str]]
) -> None:
    called = FunctionCall(id="m", call_id="m", name="look", arguments='{"q":1}')
    hi = typed("a", "Hi.")
    pairs = [each for id, text in outputs for each in (called, FunctionCallOutput(id=id, call_id="m", output=text))]
    assert told((hi, *items)) == (hi, *pairs)


def test_a_call_of_before_has_the_name_that_its_tool_has_now() -> None:
    offer = offer_of(SessionConfig(tools=(LOOK, FREE)), lambda _: (LOOK_OF_SERVER,))
    call, _ = told((CALL,), offer)
    assert isinstance(call, FunctionCall) and call.name == "free__look"
