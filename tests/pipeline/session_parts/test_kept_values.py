"""Values that are kept as the client wrote them, once their shape is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.events.refusal import BadEvent
from pipeline.session_parts import kept_values
from pipeline.session_parts.field import KEPT_BYTES, Field

RETENTION = {"type": "retention_ratio", "retention_ratio": 0.8}
LOGPROBS = "item.input_audio_transcription.logprobs"
Read = Callable[[Field], object]


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (kept_values.read_tracing, None),
        (kept_values.read_tracing, "auto"),
        (kept_values.read_tracing, {}),
        (kept_values.read_tracing, {"workflow_name": "w", "group_id": "g", "metadata": {"a": 1}}),
        (kept_values.read_truncation, "auto"),
        (kept_values.read_truncation, "disabled"),
        (kept_values.read_truncation, RETENTION),
        (kept_values.read_truncation, {**RETENTION, "retention_ratio": 0, "token_limits": {}}),
        (kept_values.read_truncation, {**RETENTION, "token_limits": {"post_instructions": 0}}),
        (kept_values.read_prompt, None),
        (kept_values.read_prompt, {"id": "p"}),
        (kept_values.read_prompt, {"id": "p", "version": "2", "variables": {"name": "x"}}),
        (kept_values.read_reasoning, {}),
        (kept_values.read_reasoning, {"effort": "minimal"}),
    ],
)
def test_what_has_the_right_shape_is_kept_as_it_is(read: Read, value: Any) -> None:
    assert read(Field(value, "x")) == value


@pytest.mark.parametrize(
    ("read", "value", "code", "param"),
    [
        (kept_values.read_tracing, "on", "invalid_value", "x"),
        (kept_values.read_tracing, True, "invalid_value", "x"),
        (kept_values.read_tracing, {"workflow_name": 3}, "invalid_value", "x.workflow_name"),
        (kept_values.read_tracing, {"metadata": "m"}, "invalid_value", "x.metadata"),
        (kept_values.read_tracing, {"metadata": {"a": "x" * KEPT_BYTES}}, "invalid_value", "x"),
        (kept_values.read_truncation, "on", "invalid_value", "x"),
        (kept_values.read_truncation, [], "invalid_value", "x"),
        (
            kept_values.read_truncation,
            {"type": "retention_ratio"},
            "missing_required_parameter",
            "x.retention_ratio",
        ),
        (kept_values.read_truncation, {"retention_ratio": 0.5}, "missing_required_parameter", "x.type"),
        (kept_values.read_truncation, {**RETENTION, "type": "auto"}, "invalid_value", "x.type"),
        (kept_values.read_truncation, {**RETENTION, "retention_ratio": 1.1}, "invalid_value", "x.retention_ratio"),
        (kept_values.read_truncation, {**RETENTION, "token_limits": 3}, "invalid_value", "x.token_limits"),
        (
            kept_values.read_truncation,
            {**RETENTION, "token_limits": {"post_instructions": -1}},
            "invalid_value",
            "x.token_limits.post_instructions",
        ),
        (kept_values.read_prompt, "p", "invalid_value", "x"),
        (kept_values.read_prompt, {}, "missing_required_parameter", "x.id"),
        (kept_values.read_prompt, {"id": ""}, "invalid_value", "x.id"),
        (kept_values.read_prompt, {"id": "p", "version": 2}, "invalid_value", "x.version"),
        (kept_values.read_prompt, {"id": "p", "variables": []}, "invalid_value", "x.variables"),
        (kept_values.read_include, LOGPROBS, "invalid_value", "x"),
        (kept_values.read_include, [LOGPROBS, "y"], "invalid_value", "x[1]"),
        (kept_values.read_reasoning, "low", "invalid_value", "x"),
        (kept_values.read_reasoning, {"effort": "great"}, "invalid_value", "x.effort"),
    ],
)
def test_another_shape_is_refused_at_its_path(read: Read, value: Any, code: str, param: str) -> None:
    with pytest.raises(BadEvent) as caught:
        read(Field(value, "x"))
    assert (caught.value.code, caught.value.param) == (code, param)


def test_what_is_to_be_included_is_named_once() -> None:
    assert kept_values.read_include(Field([LOGPROBS, LOGPROBS], "x")) == (LOGPROBS,)
    assert kept_values.read_include(Field([], "x")) == ()


def provider_data(value: Any, present: dict[str, Any] | None = None) -> dict[str, Any]:
    return kept_values.read_provider_data(Field(value, "x"), present)


@pytest.mark.parametrize(
    ("present", "new", "expected"),
    [
        (None, {}, {}),
        (None, {"auto_tool_response": False, "mine": [1]}, {"auto_tool_response": False, "mine": [1]}),
        ({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}}, {"a": {"b": 9, "c": 2}, "d": 3}),
        ({"a": 1}, {"a": {"b": None, "c": 2}}, {"a": {"c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"stt": {"prompt": "p"}}, {"stt": None}, {"stt": {"prompt": "p"}}),
    ],
)
def test_provider_data_is_laid_over_what_is_there(
    present: dict[str, Any] | None, new: dict[str, Any], expected: dict[str, Any]
) -> None:
    before = repr(present)
    assert provider_data(new, present) == expected
    assert repr(present) == before


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ([], "x"),
        ({"auto_tool_response": "no"}, "x.auto_tool_response"),
        ({"stt": "x"}, "x.stt"),
        ({"metadata": []}, "x.metadata"),
    ],
)
def test_provider_data_is_refused_at_its_path(value: Any, param: str) -> None:
    with pytest.raises(BadEvent) as caught:
        provider_data(value)
    assert (caught.value.code, caught.value.param) == ("invalid_value", param)


def test_provider_data_grows_up_to_its_limit_however_often_it_is_added_to() -> None:
    present = {"a": "x" * 1_000}
    around = len('{"a":"' + "x" * 1_000 + '","b":""}')
    for spare in (1, 0):
        assert len(provider_data({"b": "y" * (KEPT_BYTES - around - spare)}, present)) == 2
    with pytest.raises(BadEvent, match="with what is there already"):
        provider_data({"b": "y" * (KEPT_BYTES - around + 1)}, present)
