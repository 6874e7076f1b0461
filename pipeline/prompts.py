"""What a model is told for one answer: the configuration's part of it and the conversation's. Pure."""

from __future__ import annotations

from typing import Literal

from pipeline.conversation import telling
from pipeline.events.config import NamedTool, SessionConfig
from pipeline.events.items import Item
from pipeline.provider import FunctionTool, Prompt


def prompt_of(config: SessionConfig, items: tuple[Item, ...], remark: str = "") -> Prompt:
    """`remark`: what the model should know of this moment, beside its instructions."""
    tools, choice = _tools_of(config)
    return Prompt(
        instructions="\n\n".join(text for text in (config.instructions, remark) if text),
        items=telling(items),
        tools=tools,
        tool_choice=choice,
        max_output_tokens=config.max_output_tokens,
        temperature=config.temperature,
    )


def _tools_of(config: SessionConfig) -> tuple[tuple[FunctionTool, ...], Literal["auto", "required"]]:
    """The functions to be offered. A choice that leaves none, or only one, is made here and not by the model."""
    functions = tuple(tool for tool in config.tools if isinstance(tool, FunctionTool))
    choice: Literal["auto", "required"]
    match config.tool_choice:
        case "none":
            return (), "auto"
        case NamedTool(name=name):
            offered, choice = tuple(tool for tool in functions if tool.name == name), "required"
        case choice:
            offered = functions
    # A model that must ask for one of no functions would refuse to answer at all.
    return offered, choice if offered else "auto"
