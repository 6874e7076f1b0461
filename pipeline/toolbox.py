"""Functions of ours that the model may ask for: what it is told of them, and how they are run.

A function that fails, hangs or is asked for with bad arguments answers the model with an `error` text instead of
raising: the model can say so to the caller, and the call goes on.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match

from pipeline.call_controls import CallControls, NoCall
from pipeline.provider import FunctionTool

log = logging.getLogger(__name__)

TOOL_LIMIT_S = 5.0
"""The caller should hear within six seconds that it cannot be looked up, and the model must first say so."""

LONGEST_OUTPUT_CHARS = 64 * 1024
"""About what a model can read at all; more is cut, and the model is told."""

PRIVATE = "(private)"
"""What records show of the arguments and results of a private tool."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    output: str
    """What the model is told, usually a JSON object."""
    ends_call: bool = False
    """It was a farewell: the call ends once the last word is heard."""
    transfer_to: str = ""
    """With `ends_call`: the number (E.164) the caller is then connected to."""
    wants_answer: bool = True
    """False: the agent says nothing to it, and waits for the caller."""


class ToolRefused(Exception):
    """A tool cannot do what it was asked; the message is for the model."""


Function: TypeAlias = Callable[[Mapping[str, Any], CallControls], Awaitable[ToolResult]]


@dataclass(frozen=True, slots=True)
class Tool:
    """One function of ours."""

    described: FunctionTool
    run: Function
    limit_s: float | None = TOOL_LIMIT_S
    """None: it keeps a limit of its own."""
    is_private: bool = False
    """What it is told and tells is nobody's business but the model's: it stays out of records and logs."""
    awaits_caller: bool = False
    """It runs for as long as the caller needs: nobody is kept waiting by it."""
    _checks: Draft202012Validator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises `ValueError` for parameters that are no JSON Schema."""
        try:
            Draft202012Validator.check_schema(self.described.parameters)
        except SchemaError as error:
            raise ValueError(
                f"the parameters of {self.described.name} are no JSON Schema: {error.message}"
            ) from error
        object.__setattr__(self, "_checks", Draft202012Validator(self.described.parameters))

    def fault(self, arguments: Mapping[str, Any]) -> str:
        """What is wrong with the arguments, in a sentence; empty if nothing."""
        error = best_match(self._checks.iter_errors(arguments))
        if error is None:
            return ""
        return f"{error.json_path.removeprefix('$.').removeprefix('$') or 'the arguments'}: {error.message[:300]}"


class Toolbox:
    """The functions of one agent, by name."""

    def __init__(self, tools: tuple[Tool, ...]) -> None:
        self._tools = {tool.described.name: tool for tool in tools}

    def __getitem__(self, name: str) -> Tool:
        return self._tools[name]

    def is_private(self, name: str) -> bool:
        """What this function is told and tells stays out of records."""
        return name in self._tools and self._tools[name].is_private

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._tools)

    @property
    def patient(self) -> frozenset[str]:
        """Those that wait for the caller, and not the caller for them."""
        return frozenset(name for name, tool in self._tools.items() if tool.awaits_caller)

    @property
    def described(self) -> tuple[FunctionTool, ...]:
        """What the model is told of them."""
        return tuple(tool.described for tool in self._tools.values())

    def learn(self, tools: tuple[Tool, ...]) -> None:
        """Have these as well, for sessions that begin from now on; of two with one name, the one that was there."""
        self._tools = {tool.described.name: tool for tool in tools} | self._tools

    async def call(self, name: str, arguments: str, controls: CallControls | None = None) -> ToolResult:
        """Run a function; its failure is its result."""
        tool = self._tools.get(name)
        if tool is None:
            return refusal(f"there is no function {name}")
        try:
            parsed = json.loads(arguments or "{}")
        except ValueError:
            return refusal(f"the arguments of {name} are not JSON")
        if not isinstance(parsed, dict):
            return refusal(f"the arguments of {name} are not a JSON object")
        if fault := tool.fault(parsed):
            return refusal(f"the arguments of {name} are wrong: {fault}")
        try:
            async with asyncio.timeout(tool.limit_s):
                return _cut(await tool.run(parsed, controls or NoCall()))
        except ToolRefused as refused:
            return refusal(str(refused))
        except TimeoutError:
            limit = f" within {tool.limit_s:g} seconds" if tool.limit_s else ""
            return refusal(f"{name} did not answer{limit}")
        except Exception:
            log.exception("tool %s failed", name)
            return refusal(f"{name} failed")


def refusal(message: str) -> ToolResult:
    """The result of a tool that could not do it."""
    return ToolResult(output=json.dumps({"error": message}, ensure_ascii=False))


def _cut(result: ToolResult) -> ToolResult:
    if len(result.output) <= LONGEST_OUTPUT_CHARS:
        return result
    text = f"{result.output[:LONGEST_OUTPUT_CHARS]} [cut: {len(result.output)} characters]"
    return ToolResult(text, result.ends_call, result.transfer_to, result.wants_answer)
