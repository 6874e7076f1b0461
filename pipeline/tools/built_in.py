"""The tools that the gateway brings for a telephone call: hang up, transfer, send and collect digits, wait, and
take a message.

Numbers that a caller may be connected to stand in the agent's file; the model picks one by its name, so that no
caller can talk it into dialling another.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from pipeline.agent_tools import BuiltInName, BuiltInTool
from pipeline.call_controls import CallControls
from pipeline.provider import FunctionTool
from pipeline.toolbox import Function, Tool, ToolRefused, ToolResult

Keep: TypeAlias = Callable[[Mapping[str, str]], Awaitable[None]]
"""Keeps a message for good; raises OSError if it cannot."""

COLLECT_TIMEOUT_S: Final = 8.0
"""Without a key: people look a number up while they key it in."""
MOST_DIGITS: Final = 32

_DESCRIPTIONS: Final[Mapping[BuiltInName, str]] = {
    "hang_up": "End the call, once both have said goodbye. Say your goodbye before you call this.",
    "transfer": "Connect the caller to somebody else. Say that you do so before you call this.",
    "send_digits": "Press keys of the telephone, as for the menu of another system. `w` waits half a second.",
    "collect_digits": "Take a number that the caller keys in. Ask for it before you call this.",
    "wait": "Say nothing and wait, when the caller has asked for a moment.",
    "take_message": "Take a message for somebody who is not here. Have the caller confirm it first.",
}


def built_in_tool(tool: BuiltInTool, keep: Keep) -> Tool:
    """The tool of this name; messages are kept by `keep`."""
    makers: dict[BuiltInName, Callable[[], tuple[dict[str, Any], Function]]] = {
        "hang_up": _hang_up,
        "transfer": lambda: _transfer(tool.to),
        "send_digits": _send_digits,
        "collect_digits": _collect_digits,
        "wait": _wait,
        "take_message": lambda: _take_message(keep),
    }
    properties, run = makers[tool.name]()
    required = [name for name, schema in properties.items() if "default" not in schema]
    parameters = {"type": "object", "properties": properties, "required": required}
    described = FunctionTool(tool.name, tool.description or _DESCRIPTIONS[tool.name], parameters)
    is_collecting = tool.name == "collect_digits"
    if is_collecting:
        return Tool(described, run, limit_s=None, is_private=True, awaits_caller=True)
    return Tool(described, run, is_private=tool.name == "send_digits")


def _hang_up() -> tuple[dict[str, Any], Function]:
    async def run(_arguments: Mapping[str, Any], _controls: CallControls) -> ToolResult:
        return ToolResult(_told(status="hanging up"), ends_call=True)

    return {}, run


def _transfer(to: Mapping[str, str]) -> tuple[dict[str, Any], Function]:
    async def run(arguments: Mapping[str, Any], controls: CallControls) -> ToolResult:
        name = arguments["to"]
        controls.note("transfer.asked", to=name, reason=str(arguments.get("reason", "")))
        return ToolResult(_told(status=f"connecting to {name}"), ends_call=True, transfer_to=to[name])

    who = {"type": "string", "enum": sorted(to), "description": "Whom to connect to."}
    reason = {"type": "string", "description": "Why, for whoever answers.", "default": ""}
    return {"to": who, "reason": reason}, run


def _send_digits() -> tuple[dict[str, Any], Function]:
    async def run(arguments: Mapping[str, Any], controls: CallControls) -> ToolResult:
        seconds = controls.send_digits(arguments["digits"])
        if not seconds:
            raise ToolRefused("the keys cannot be played just now; try again when nobody speaks")
        return ToolResult(_told(status="sent"), wants_answer=False)

    digits = {"type": "string", "pattern": "^[0-9*#A-Dw]{1,32}$", "description": "The keys to press."}
    return {"digits": digits}, run


def _collect_digits() -> tuple[dict[str, Any], Function]:
    async def run(arguments: Mapping[str, Any], controls: CallControls) -> ToolResult:
        collected = await controls.collect_digits(
            most=int(arguments.get("most", MOST_DIGITS)),
            until=arguments.get("until", "#"),
            timeout_s=COLLECT_TIMEOUT_S,
        )
        return ToolResult(_told(digits=collected.digits, ended=collected.ended))

    most = {"type": "integer", "minimum": 1, "maximum": MOST_DIGITS, "default": MOST_DIGITS}
    until = {
        "type": "string",
        "enum": ["#", "*", ""],
        "default": "#",
        "description": "The key that ends the entry.",
    }
    return {"most": {**most, "description": "How many digits at most."}, "until": until}, run


def _wait() -> tuple[dict[str, Any], Function]:
    async def run(_arguments: Mapping[str, Any], _controls: CallControls) -> ToolResult:
        return ToolResult(_told(status="waiting for the caller"), wants_answer=False)

    return {}, run


def _take_message(keep: Keep) -> tuple[dict[str, Any], Function]:
    async def run(arguments: Mapping[str, Any], controls: CallControls) -> ToolResult:
        message = {**controls.facts, **{name: str(value) for name, value in arguments.items()}}
        try:
            await keep(message)
        except OSError as error:
            raise ToolRefused("the message could not be kept; say so, and offer to connect the caller") from error
        controls.note("message.taken")
        return ToolResult(_told(status="kept"))

    text = {"type": "string", "minLength": 1, "maxLength": 4_000, "description": "What is to be told."}
    who = {"type": "string", "default": "", "description": "Who calls."}
    back = {"type": "string", "default": "", "description": "The number to call back, if not the caller's own."}
    return {"message": text, "name": who, "call_back": back}, run


def _told(**fields: str) -> str:
    return json.dumps(fields, ensure_ascii=False)
