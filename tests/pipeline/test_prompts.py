"""What a model is told for one answer."""

from __future__ import annotations

import pytest

from pipeline.events.config import McpServer, NamedTool, SessionConfig, ToolChoice
from pipeline.events.items import InputImage, Message
from pipeline.prompts import prompt_of
from pipeline.provider import FunctionTool, Prompt
from tests.pipeline.expected import said, spoken, typed

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
