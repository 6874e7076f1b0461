"""What a model is told for one answer: the configuration's part of it and the conversation's. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from pipeline.conversation import telling
from pipeline.events.config import NamedTool, SessionConfig
from pipeline.events.items import (
    AnyItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpError,
    McpListTools,
)
from pipeline.mcp_offer import NOTHING, Offer
from pipeline.provider import FunctionTool, Prompt


def prompt_of(
    config: SessionConfig, items: tuple[AnyItem, ...], remark: str = "", offer: Offer = NOTHING
) -> Prompt:
    """`remark`: what the model should know of this moment, beside its instructions. `offer`: MCP servers' tools."""
    tools, choice = _tools_of(config, offer)
    return Prompt(
        instructions="\n\n".join(text for text in (config.instructions, remark) if text),
        items=told(items, offer),
        tools=tools,
        tool_choice=choice,
        max_output_tokens=config.max_output_tokens,
        temperature=config.temperature,
    )


def _tools_of(config: SessionConfig, offer: Offer) -> tuple[tuple[FunctionTool, ...], Literal["auto", "required"]]:
    """The functions to be offered. A choice that leaves none, or only one, is made here and not by the model."""
    functions = tuple(tool for tool in config.tools if isinstance(tool, FunctionTool))
    offered_by_servers = tuple(tool.described for tool in offer.tools)
    choice: Literal["auto", "required"]
    match config.tool_choice:
        case "none":
            return (), "auto"
        case NamedTool(type="mcp"):
            offered, choice = offered_by_servers, "required"
        case NamedTool(name=name):
            offered, choice = tuple(tool for tool in functions if tool.name == name), "required"
        case choice:
            offered = (*functions, *offered_by_servers)
    # A model that must ask for one of no functions would refuse to answer at all.
    return offered, choice if offered else "auto"


def told(items: tuple[AnyItem, ...], offer: Offer = NOTHING) -> tuple[Item, ...]:
    """What tells a model something. A tool of an MCP server is to it a function like any other, and a call of one
    always has an output, so that no model asks for it again: that it still runs, that nobody has agreed to it."""
    answers = {item.approval_request_id: item for item in items if isinstance(item, McpApprovalResponse)}
    return tuple(each for item in telling(items) for each in _told(item, answers, offer))


def _told(item: AnyItem, answers: dict[str, McpApprovalResponse], offer: Offer) -> tuple[Item, ...]:
    match item:
        case McpCall():
            name = offer.name_of(item.server_label, item.name)
            if isinstance(item.output, str):
                return _function(item, name, item.output, is_over=True)
            if isinstance(item.error, McpError):
                return _function(item, name, _json(error=item.error.message), is_over=True)
            return _function(item, name, _json(status="still running, no result yet"), is_over=False)
        case McpApprovalRequest():
            name, answer = offer.name_of(item.server_label, item.name), answers.get(item.id)
            if answer is None:
                return _function(item, name, _json(status="not run: waiting for approval"), is_over=False)
            if answer.approve:
                return ()  # the call itself tells
            reason = {"reason": answer.reason} if isinstance(answer.reason, str) else {}
            return _function(item, name, _json(error="not run: it was not approved", **reason), is_over=True)
        case McpListTools() | McpApprovalResponse():
            return ()
        case _:
            return (item,)


def _function(item: McpCall | McpApprovalRequest, name: str, output: str, *, is_over: bool) -> tuple[Item, ...]:
    """An item that has the same id always says the same: what changes has another."""
    output_id = f"{item.id}_out" if is_over else f"{item.id}_now"
    return (
        FunctionCall(id=item.id, call_id=item.id, name=name, arguments=item.arguments),
        FunctionCallOutput(id=output_id, call_id=item.id, output=output),
    )


def _json(**fields: str) -> str:
    return msgspec.json.encode(fields).decode()
