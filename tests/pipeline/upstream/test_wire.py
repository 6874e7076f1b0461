from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.upstream import wire
from pipeline.upstream.requests import ASKED
from pipeline.upstream.wire import WireFault, decode

R = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 1}
T = "conversation.item.input_audio_transcription."
CALL = {"type": "function_call", "id": "i", "call_id": "c", "name": "f", "arguments": "{}"}
CALLED = wire.Called("r", "i", "c", "f", "{}")


def event(kind: str, **fields: Any) -> bytes:
    return json.dumps({"type": kind, "event_id": "e", "surprise": [1], **fields}).encode()


@pytest.mark.parametrize(
    ("message", "decoded"),
    [
        (event("session.created", session={"expires_at": 17}), wire.Opened(17.0)),
        (event("session.created", session={"expires_at": "soon"}), wire.Opened(None)),
        (event("session.updated", session={}), wire.Updated()),
        (event("input_audio_buffer.committed", item_id="i"), wire.Committed("i")),
        (event(f"{T}delta", item_id="i", delta="a"), wire.Words("i", "a", is_final=False)),
        (event(f"{T}delta", item_id="i"), None),
        (event(f"{T}updated", item_id="i", transcript="a"), wire.Words("i", "a", is_final=False, replaces=True)),
        (event(f"{T}completed", item_id="i", transcript="a"), wire.Words("i", "a", is_final=True, replaces=True)),
        (event(f"{T}failed", item_id="i", error={"message": "why"}), wire.NoWords("i", "why")),
        (event(f"{T}failed", item_id="i"), wire.NoWords("i", "no reason was given")),
        (event(f"{T}segment", item_id="i"), None),
        (event("response.created", response={"id": "r"}), wire.Began("r", None)),
        (event("response.created", response={"id": "r", "metadata": {ASKED: "mine"}}), wire.Began("r", "mine")),
        (event("response.output_item.added", **R, item=CALL), wire.ItemBegan("r", "i", is_call=True)),
        (event("response.output_item.done", **R, item=CALL), CALLED),
        (event("response.output_item.done", **R, item=CALL | {"status": "incomplete"}), None),
        (event("response.output_item.done", **R, item={"type": "message"}), None),
        (event("response.output_audio_transcript.delta", **R, delta="a"), wire.Text("r", "i", "a")),
        (event("response.audio_transcript.delta", **R, delta="a"), wire.Text("r", "i", "a")),
        (event("response.output_text.delta", **R, delta="a"), wire.Text("r", "i", "a")),
        (event("response.output_audio.delta", **R, delta="AAE="), wire.Sound("r", "i", 1, b"\x00\x01")),
        (event("response.audio.delta", **R, delta=""), wire.Sound("r", "i", 1, b"")),
        (event("response.output_audio.done", **R), wire.SoundDone("r")),
        (
            event("error", error={"type": "t", "code": "c", "message": "m", "event_id": "e"}),
            wire.Refused("c", "m", "e", None),
        ),
        (event("error", error={"type": "t", "code": None, "param": "p"}), wire.Refused("t", "", None, "p")),
        (event("ping", timestamp=1), None),
        (event("rate_limits.updated"), None),
    ],
)
def test_events_are_decoded_in_both_spellings_and_strangers_passed_over(
    message: bytes, decoded: wire.RemoteEvent | None
) -> None:
    assert decode(message) == decoded


def test_the_end_of_an_answer_tells_how_it_went_and_what_it_cost() -> None:
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "input_token_details": {"audio_tokens": 6, "cached_tokens": 2},
        "output_token_details": {"audio_tokens": 4},
    }
    done = {"id": "r", "status": "completed", "output": [CALL, {"id": "m", "type": "message"}], "usage": usage}
    assert decode(event("response.done", response=done)) == wire.Ended(
        "r", "completed", "", None, wire.Usage(10, 5, 2, 6, 4), ("i", "m"), (CALLED,)
    )


@pytest.mark.parametrize(
    ("status", "details", "reason", "cut_off"),
    [
        ("incomplete", {"reason": "max_output_tokens"}, "max_output_tokens", "max_output_tokens"),
        ("incomplete", {"reason": "content_filter"}, "content_filter", "content_filter"),
        ("failed", {"error": {"type": "server", "code": "x", "message": "m"}}, "x, server, m", None),
        ("cancelled", {"type": "cancelled", "reason": "turn_detected"}, "turn_detected", None),
        ("failed", None, "", None),
    ],
)
def test_why_an_answer_is_not_complete_is_told(status: str, details: Any, reason: str, cut_off: str | None) -> None:
    done = {"id": "r", "status": status, "status_details": details, "usage": {"input_tokens": True}, "output": 3}
    ended = decode(event("response.done", response=done))
    assert ended == wire.Ended("r", status, reason, cut_off)  # type: ignore[arg-type]  # a parameter


@pytest.mark.parametrize(
    "message",
    [
        b"{",
        b"[]",
        b"\xff",
        event("response.output_audio.delta", **R, delta="not base64!"),
        event("response.output_audio.delta", delta="AAA="),
        event("response.output_audio.delta", **R, delta=3),
        event("session.created"),
        b"{}",
    ],
)
def test_what_the_protocol_does_not_allow_is_a_fault(message: bytes) -> None:
    with pytest.raises(WireFault):
        decode(message)


def test_a_service_may_rewrite_its_words_instead_of_adding_to_them() -> None:
    told = decode(event(f"{T}delta", item_id="i", delta="a"), rewrites_words=True)
    assert told == wire.Words("i", "a", is_final=False, replaces=True)


KEYS = st.sampled_from(
    ["id", "item", "response", "error", "session", "delta", "item_id", "status", "usage", "output"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner),
)


@given(
    st.dictionaries(KEYS, JSON), st.sampled_from(["response.done", "error", "session.created", "response.created"])
)
def test_no_message_breaks_more_than_its_own_decoding(message: dict[str, Any], kind: str) -> None:
    with contextlib.suppress(WireFault):
        decode(json.dumps(message | {"type": kind}))


def test_base64_is_the_only_thing_between_the_sound_and_us() -> None:
    sound = bytes(range(256))
    told = decode(event("response.audio.delta", **R, delta=base64.b64encode(sound).decode()))
    assert isinstance(told, wire.Sound) and told.audio == sound


def test_no_part_of_a_bill_is_more_than_its_whole() -> None:
    details = {"audio_tokens": 60, "cached_tokens": 50, "cached_tokens_details": {"audio_tokens": 40}}
    usage = {"input_tokens": 10, "output_tokens": 5, "input_token_details": details}
    usage["output_token_details"] = {"audio_tokens": 9}
    ended = decode(event("response.done", response={"id": "r", "status": "completed", "usage": usage}))
    assert isinstance(ended, wire.Ended) and ended.usage == wire.Usage(10, 5, 10, 10, 5, 10)
    details |= {"audio_tokens": 6, "cached_tokens": 5}
    ended = decode(event("response.done", response={"id": "r", "status": "completed", "usage": usage}))
    assert isinstance(ended, wire.Ended) and ended.usage == wire.Usage(10, 5, 5, 6, 5, 5)
