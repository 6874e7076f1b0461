"""The JSON Schema a strange server gave for a tool: whether it is one, and whether arguments keep to it.

The schema is an attack surface: a reference to an address would be fetched, a pattern can take longer than the
universe, and references that fan out unfold without end. Such parts are not followed. The server checks its
arguments itself anyway; the check here only tells the model sooner and more plainly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.validators import extend
from referencing import Registry

MOST_SCHEMA_BYTES = 64 * 1024
"""As JSON. The model reads all of it with every answer."""
DEEPEST_SCHEMA = 32
"""Objects and lists in one another; an object within an object takes two."""
MOST_UNFOLDED = 5_000
"""Schemas in one another once every reference is followed; above, arguments are not checked against it."""
LONGEST_COMPLAINT_CHARS = 300

_UNFOLLOWED = frozenset({"patternProperties", "$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$anchor", "$id"})
"""Keywords with which a schema is only taken for an object."""


def _anything(validator: Any, value: Any, instance: Any, schema: Any) -> None:
    return None


# Python's regular expressions backtrack, and hold the whole process while they do.
_Checker: type[Draft202012Validator] = extend(  # type: ignore[no-untyped-call]  # its stubs leave it so
    Draft202012Validator, {"pattern": _anything}
)


class ToolSchema:
    """The schema of one tool's arguments, compiled once."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Raises ValueError with what is wrong with it."""
        if schema.get("type") != "object":
            raise ValueError("it is not the schema of an object")
        if _depth(schema) > DEEPEST_SCHEMA:
            raise ValueError(f"it is deeper than {DEEPEST_SCHEMA}")
        size_bytes = len(json.dumps(schema))
        if size_bytes > MOST_SCHEMA_BYTES:
            raise ValueError(f"it has {size_bytes} bytes; at most {MOST_SCHEMA_BYTES} are read")
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise ValueError(_short(error.message)) from None
        self._checker = _Checker(schema, registry=Registry()) if _is_followable(schema) else None

    @property
    def is_followed(self) -> bool:
        """Arguments are checked against it, not only for being an object."""
        return self._checker is not None

    def complaint(self, arguments: Mapping[str, Any]) -> str | None:
        """What is wrong with these arguments; None if nothing."""
        if self._checker is None:
            return None
        try:
            error = best_match(self._checker.iter_errors(arguments))
            return None if error is None else _short(f"{error.json_path}: {error.message}")
        except RecursionError:
            return "they are too deep"


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level and deepest <= DEEPEST_SCHEMA:
        deepest += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return deepest


def _is_followable(root: Mapping[str, Any]) -> bool:
    weights: dict[str, int] = {}

    def weigh(node: Any) -> int:
        """How much checking `node` may cost. Raises ValueError if that has no bound, or nobody knows it."""
        if isinstance(node, list):
            return sum(map(weigh, node))
        if not isinstance(node, dict):
            return 0
        if not _UNFOLLOWED.isdisjoint(node):
            raise ValueError
        total = 1 + sum(map(weigh, node.values()))
        if "$ref" in node:
            total += _weight_behind(node["$ref"], root, weights, weigh)
        if total > MOST_UNFOLDED:
            raise ValueError
        return total

    try:
        weigh(root)
    except (ValueError, RecursionError):
        return False
    return True


def _weight_behind(
    reference: Any, root: Mapping[str, Any], weights: dict[str, int], weigh: Callable[[Any], int]
) -> int:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        raise ValueError  # into itself as a whole, or out into the world
    if reference not in weights:
        weights[reference] = MOST_UNFOLDED + 1  # what leads back to itself has no bound
        weights[reference] = weigh(_behind(reference, root))
    return weights[reference]


def _behind(reference: str, root: Mapping[str, Any]) -> Any:
    """What a JSON Pointer (RFC 6901) in a fragment leads to. Raises ValueError if nothing is there."""
    if "%" in reference:
        raise ValueError
    node: Any = root
    for step in reference[2:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, dict) or name not in node:
            raise ValueError
        node = node[name]
    return node


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_COMPLAINT_CHARS else f"{text[:LONGEST_COMPLAINT_CHARS]}…"
