from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pipeline.mcp.schema import LONGEST_COMPLAINT_CHARS, MOST_SCHEMA_BYTES, ToolSchema
from tests.pipeline.egress.canary import canary

ORDER = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({}, "not the schema of an object"),
        ({"type": "string"}, "not the schema of an object"),
        ({"type": ["object", "null"]}, "not the schema of an object"),
        ({"type": "object", "properties": {"a": {"type": "nonsense"}}}, "nonsense"),
        ({"type": "object", "properties": []}, "is not of type"),
        ({"type": "object", "description": "x" * MOST_SCHEMA_BYTES}, "bytes"),
        (nested(100), "deep"),
        (nested(3_000), "deep"),
    ],
)
def test_what_is_not_the_schema_of_an_object_is_refused(schema: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ToolSchema(schema)


def test_arguments_are_checked_and_the_complaint_says_where() -> None:
    schema = ToolSchema(ORDER)
    assert schema.is_followed
    assert schema.complaint({"id": "A-17"}) is None
    assert schema.complaint({"id": 17}) == "$.id: 17 is not of type 'string'"
    long = schema.complaint({"id": ["x" * 1_000]})
    assert long is not None and len(long) == LONGEST_COMPLAINT_CHARS + 1


def test_arguments_too_deep_to_be_shown_are_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert ToolSchema(ORDER).complaint({"id": deep}) == "they are too deep"


def test_references_within_the_schema_are_followed() -> None:
    schema = ToolSchema(
        {
            "type": "object",
            "properties": {
                "a": {"$ref": "#/$defs/a~1b"},
                "b": {"$ref": "#/$defs/a~1b"},
                "$ref": {"type": "string"},
            },
            "$defs": {"a/b": {"type": "integer"}},
        }
    )
    # A property may be called $ref; whether it is one cannot be told at that depth, so the schema is not followed.
    assert not schema.is_followed
    plain = ToolSchema(
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/a~1b"}, "b": {"$ref": "#/$defs/a~1b"}},
            "$defs": {"a/b": {"type": "integer"}},
        }
    )
    assert plain.complaint({"a": 1, "b": "x"}) == "$.b: 'x' is not of type 'integer'"


DOUBLING = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)} | {
    "a40": {"type": "object"}
}


@pytest.mark.parametrize(
    "part",
    [
        {"$ref": "#"},
        {"$ref": "#/properties/a"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#/%24defs/x"},
        {"$ref": "other.json"},
        {"$ref": 17},
        {"$dynamicRef": "#a"},
        {"$id": "https://example.com/"},
        {"patternProperties": {"(a+)+$": {}}},
        {"$ref": "#/$defs/a0"},
    ],
    ids=str,
)
def test_what_may_cost_without_bound_is_not_followed(part: dict[str, Any]) -> None:
    if part == {"$ref": 17}:
        with pytest.raises(ValueError, match="17"):
            ToolSchema({"type": "object", "properties": {"a": part}})
        return
    schema = ToolSchema({"type": "object", "properties": {"a": part}, "$defs": DOUBLING})
    assert not schema.is_followed
    assert schema.complaint({"a": "a" * 40 + "!"}) is None


def test_a_pattern_is_not_tried() -> None:
    """It would take longer than the universe, and hold every call of the process."""
    schema = ToolSchema({"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}})
    assert schema.complaint({"a": "a" * 60 + "!"}) is None
    assert schema.complaint({"a": 1}) is not None


def test_no_reference_is_ever_fetched() -> None:
    async def check() -> int:
        async with canary() as bird:
            address = f"http://127.0.0.1:{bird.port}/schema.json"
            for part in ({"$ref": address}, {"$schema": address}, {"$id": address, "$ref": "x"}):
                schema = ToolSchema({"type": "object", "properties": {"a": part}})
                await asyncio.to_thread(schema.complaint, {"a": 1})
            return bird.knocks

    assert asyncio.run(check()) == 0
