"""A response as its first and its last event show it."""

from __future__ import annotations

import msgspec

from pipeline.events.response import (
    ContentPartAdded,
    ResponseDone,
    ResponseSnapshot,
    StatusDetails,
    TextPart,
    Usage,
)


def test_details_say_only_what_there_is_to_say() -> None:
    assert msgspec.to_builtins(StatusDetails(type="cancelled", reason="turn_detected")) == {
        "type": "cancelled",
        "reason": "turn_detected",
    }
    assert msgspec.to_builtins(StatusDetails(type="failed", code="x", message="gone")) == {
        "type": "failed",
        "code": "x",
        "message": "gone",
    }


def test_a_response_that_is_done_has_its_usage_in_numbers() -> None:
    snapshot = ResponseSnapshot(id="resp_1", status="completed", conversation_id="conv_1", usage=Usage())
    wire = msgspec.to_builtins(ResponseDone(event_id="e", response=snapshot))
    assert wire["type"] == "response.done"
    assert wire["response"]["usage"] == {
        "input_tokens": 0,
        "cached_tokens": 0,
        "output_tokens": 0,
        "input_audio_tokens": 0,
        "cached_audio_tokens": 0,
        "output_audio_tokens": 0,
        "used": (),
    }


def test_parts_are_called_text_and_audio_and_not_as_items_call_them() -> None:
    event = ContentPartAdded(
        event_id="e", response_id="resp_1", item_id="a", output_index=0, part=TextPart(text="")
    )
    assert msgspec.to_builtins(event)["part"] == {"type": "text", "text": ""}
