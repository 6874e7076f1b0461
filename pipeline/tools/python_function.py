"""A function of the user's own program as a tool. Its signature is its schema, its docstring what the model reads.

    def find(order_id: str, fast: bool = False) -> dict[str, str]:
        "Where an order is."

A parameter of type `CallControls` is given the call and is not the model's to fill. A plain function runs in a
thread, a coroutine in the event loop. What it returns is told to the model: text as it is, all else as JSON.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec

from pipeline.agent_tools import PythonTool
from pipeline.call_controls import CallControls
from pipeline.provider import FunctionTool
from pipeline.toolbox import TOOL_LIMIT_S, Tool, ToolRefused, ToolResult

MOST_THREADS: Final = 16
"""Plain functions that run at once, of all calls; one that hangs keeps its thread, so they are few and its own."""

_THREADS: Final = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="tool")


def python_tool(named: PythonTool) -> Tool:
    """The tool of a function that is imported now. Raises `ValueError` that says why it cannot be one."""
    function = _import(named.function)
    hints = get_type_hints(function)
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    takes_controls: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name, Any)
        if hint is CallControls:
            takes_controls.append(parameter.name)
        elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ValueError(f"{named.function}: {parameter} cannot be given by name")
        elif parameter.default is parameter.empty:
            fields.append((parameter.name, hint))
        else:
            fields.append((parameter.name, hint, parameter.default))
    arguments = msgspec.defstruct(named.name, fields, kw_only=True)
    described = FunctionTool(named.name, _summary(function), _schema(named.function, arguments))

    async def run(values: Mapping[str, Any], controls: CallControls) -> ToolResult:
        try:
            checked = msgspec.convert(dict(values), arguments)
        except msgspec.ValidationError as error:
            raise ToolRefused(f"the arguments of {named.name} are wrong: {error}") from None
        given = {field: getattr(checked, field) for field in arguments.__struct_fields__}
        given |= dict.fromkeys(takes_controls, controls)
        if inspect.iscoroutinefunction(function):
            return _result(await function(**given))
        loop = asyncio.get_running_loop()
        return _result(await loop.run_in_executor(_THREADS, lambda: function(**given)))

    return Tool(described, run, limit_s=named.limit_s or TOOL_LIMIT_S)


def _import(named: str) -> Callable[..., Any]:
    """The function; modules of the directory that the gateway was started in are found as well."""
    module, _, name = named.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{named} cannot be imported: {error}") from error
    if not callable(function):
        raise ValueError(f"{named} is not a function")
    return function  # type: ignore[no-any-return]  # what a name of the user's stands for, nobody knows


def _summary(function: Callable[..., Any]) -> str:
    return " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())


def _schema(named: str, arguments: type[msgspec.Struct]) -> dict[str, Any]:
    """The arguments' JSON Schema, as one object."""
    try:
        schema = msgspec.json.schema(arguments)
    except TypeError as error:
        raise ValueError(f"{named}: its parameters cannot be described: {error}") from error
    definitions = schema["$defs"]
    own: dict[str, Any] = definitions.pop(schema["$ref"].rpartition("/")[2])
    own.pop("title", None)
    return {**own, "$defs": definitions} if definitions else own


def _result(value: Any) -> ToolResult:
    if isinstance(value, ToolResult):
        return value
    return ToolResult(value if isinstance(value, str) else msgspec.json.encode(value).decode())
