"""A session's configuration: complete, and within bounds."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.events.config import ServerVad, SessionConfig


def test_the_defaults_of_turn_detection_are_the_protocols() -> None:
    """Realtime reference, session object: server_vad."""
    rule = SessionConfig().turn_detection
    assert rule is not None
    assert (rule.threshold, rule.prefix_padding_ms, rule.silence_duration_ms) == (0.5, 300, 500)
    assert rule.create_response and rule.interrupt_response


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("threshold", 0.0, "turn_detection.threshold: expected 0 to 1, got 0.0"),
        ("threshold", 1.0, "turn_detection.threshold: expected 0 to 1, got 1.0"),
        ("prefix_padding_ms", -1, "turn_detection.prefix_padding_ms: expected 0 to 10000 milliseconds, got -1"),
        (
            "silence_duration_ms",
            10_001,
            "turn_detection.silence_duration_ms: expected 0 to 10000 milliseconds, got 10001",
        ),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        ServerVad(**{field: value})


@pytest.mark.parametrize("field", ["prefix_padding_ms", "silence_duration_ms"])
@pytest.mark.parametrize("value", [0, 10_000])
def test_the_bounds_themselves_are_within(field: str, value: Any) -> None:
    assert getattr(ServerVad(**{field: value}), field) == value
