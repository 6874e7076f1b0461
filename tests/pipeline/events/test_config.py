"""A session's configuration: complete, and within bounds."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.events.config import SemanticVad, ServerVad, SessionConfig


def test_the_defaults_of_turn_detection_are_the_protocols() -> None:
    """Realtime reference, session object: server_vad."""
    rule = SessionConfig().turn_detection
    assert isinstance(rule, ServerVad)
    assert (rule.threshold, rule.prefix_padding_ms, rule.silence_duration_ms) == (0.5, 300, 500)
    assert rule.create_response and rule.interrupt_response and rule.idle_timeout_ms is None


def test_the_defaults_of_semantic_turn_detection_are_the_protocols() -> None:
    rule = SemanticVad()
    assert (rule.eagerness, rule.create_response, rule.interrupt_response) == ("auto", True, True)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("threshold", -0.01, "turn_detection.threshold: expected 0 to 1, got -0.01"),
        ("threshold", 1.01, "turn_detection.threshold: expected 0 to 1, got 1.01"),
        ("prefix_padding_ms", -1, "turn_detection.prefix_padding_ms: expected 0 to 10000 milliseconds, got -1"),
        (
            "silence_duration_ms",
            10_001,
            "turn_detection.silence_duration_ms: expected 0 to 10000 milliseconds, got 10001",
        ),
        (
            "idle_timeout_ms",
            4_999,
            "turn_detection.idle_timeout_ms: expected 5000 to 30000 milliseconds, got 4999",
        ),
        (
            "idle_timeout_ms",
            30_001,
            "turn_detection.idle_timeout_ms: expected 5000 to 30000 milliseconds, got 30001",
        ),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        ServerVad(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prefix_padding_ms", 0),
        ("prefix_padding_ms", 10_000),
        ("silence_duration_ms", 0),
        ("silence_duration_ms", 10_000),
        ("idle_timeout_ms", 5_000),
        ("idle_timeout_ms", 30_000),
        ("idle_timeout_ms", None),
    ],
)
def test_the_bounds_themselves_are_within(field: str, value: Any) -> None:
    assert getattr(ServerVad(**{field: value}), field) == value


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_always_and_never_are_thresholds_too(value: float) -> None:
    """Realtime reference, section C.2: 0 to 1."""
    assert ServerVad(threshold=value).threshold == value
