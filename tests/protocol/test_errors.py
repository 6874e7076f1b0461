"""Each documented error: its code, its param, the event it is about, and a session that lives on."""

from __future__ import annotations

import json

import pytest

from pipeline.dialects import Dialect
from tests.protocol.conftest import BEARER, House
from tests.protocol.peer import Event, message

pytestmark = pytest.mark.anyio

WAYS: dict[Dialect, tuple[str, dict[str, str]]] = {
    Dialect.GA: ("/v1/realtime?model=m", BEARER),
    Dialect.BETA: ("/v1/realtime?model=m", {**BEARER, "OpenAI-Beta": "realtime=v1"}),
    Dialect.IW: ("/api/v1/realtime/session?key=k&protocol=realtime", BEARER),
    Dialect.SEED: ("/api/v1/realtime/session", BEARER),
}

ERRORS: list[tuple[Event, str, str | None, str]] = [
    ({}, "invalid_event", None, "The 'type' field is missing."),
    ({"type": None}, "invalid_event", None, "The 'type' field is missing."),
    ({"type": "session.renew"}, "invalid_value", "type", "Invalid value: 'session.renew'. Supported values are: '"),
    ({"type": "conversation.item.sing"}, "invalid_value", "type", "Invalid value: 'conversation.item.sing'."),
    ({"type": 7}, "invalid_value", "type", "Invalid value: 7. Supported values are: '"),
    (
        {"type": "session.update"},
        "missing_required_parameter",
        "session",
        "Missing required parameter: 'session'.",
    ),
    ({"type": "session.update", "session": {"type": "realtime", "tool_choice": 3}}, "invalid_value",
     "session.tool_choice", "Invalid value"),
    ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio", "Missing required"),
    ({"type": "input_audio_buffer.append", "audio": "%"}, "invalid_value", "audio", "Invalid value"),
    (
        {"type": "input_audio_buffer.commit"},
        "input_audio_buffer_commit_empty",
        None,
        "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer only "
        "has 0.00ms of audio.",
    ),
    ({"type": "conversation.item.create"}, "missing_required_parameter", "item", "Missing required"),
    ({"type": "conversation.item.create", "item": message("x"), "previous_item_id": "gone"},
     "item_create_invalid_previous_item_id", "previous_item_id", ""),
    ({"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c", "output": "x"}},
     "invalid_value", "item.call_id", "Invalid value: 'c'."),
    ({"type": "conversation.item.retrieve"}, "missing_required_parameter", "item_id", "Missing required parameter"),
    ({"type": "conversation.item.retrieve", "item_id": "gone"}, "item_retrieve_invalid_item_id", "item_id",
     ""),
    ({"type": "conversation.item.delete", "item_id": "gone"}, "item_delete_invalid_item_id", "item_id",
     ""),
    ({"type": "conversation.item.truncate", "item_id": "gone", "content_index": 0, "audio_end_ms": 0},
     "item_truncate_invalid_item_id", "item_id", ""),
    ({"type": "conversation.item.truncate", "item_id": "gone"}, "missing_required_parameter", "audio_end_ms",
     "Missing required parameter"),
    ({"type": "response.create", "response": {"conversation": 3}}, "invalid_value", "response.conversation",
     "Invalid value: 3. Supported values are: 'auto', 'none'."),
    ({"type": "response.create", "response": {"input": [{"type": "item_reference", "id": "gone"}]}},
     "invalid_value", "response.input[0].id", "Invalid value: 'gone'."),
    (
        {"type": "response.cancel"},
        "response_cancel_not_active",
        None,
        "Cancellation failed: no active response found",
    ),
]  # fmt: skip


@pytest.mark.proves("H1-shape", "D14-errors", "B1-no-type", "B1-unknown-type", "B1-create-bad-place")
@pytest.mark.parametrize(("event", "code", "param", "words"), ERRORS, ids=[f"{one[1]}-{one[2]}" for one in ERRORS])
async def test_an_error_names_its_code_its_place_and_its_event(
    house: House, event: Event, code: str, param: str | None, words: str
) -> None:
    async with house.session() as peer:
        await peer.send_text(json.dumps({"event_id": "mine_1", **event}))
        error = (await peer.expect("error"))["error"]
        assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
        assert error["event_id"] == "mine_1"
        assert error["message"].startswith(words)
        assert (await peer.update(instructions="Alive."))["instructions"] == "Alive."


@pytest.mark.proves("H1-shape", "D14-errors")
@pytest.mark.parametrize("dialect", Dialect)
async def test_errors_are_the_same_in_all_dialects(house: House, dialect: Dialect) -> None:
    path, headers = WAYS[dialect]
    async with house.session(path, headers=headers, dialect=dialect) as peer:
        error = await peer.refused("conversation.item.delete", item_id="gone")
        assert (error["code"], error["param"]) == ("item_delete_invalid_item_id", "item_id")
        await peer.say("Alive")


@pytest.mark.proves("B0-event-id-length", "H1-shape")
async def test_an_event_id_of_up_to_512_characters_comes_back(house: House) -> None:
    async with house.session() as peer:
        for length in (1, 512):
            await peer.send("response.cancel", event_id="e" * length)
            assert (await peer.expect("error"))["error"]["event_id"] == "e" * length
        await peer.send("input_audio_buffer.clear", event_id="e" * 513)
        error = (await peer.expect("error"))["error"]
        assert (error["code"], error["param"], error["event_id"]) == ("invalid_value", "event_id", None)
        await peer.send("response.cancel")
        assert (await peer.expect("error"))["error"]["event_id"] is None


@pytest.mark.proves("D14-errors", "B0-server-event-id")
async def test_a_conversation_survives_an_error_between_any_two_events(house: House) -> None:
    async with house.text_session() as peer:
        for _ in range(3):
            await peer.refused("conversation.item.delete", item_id="gone")
            await peer.say("Hello")
            await peer.refused("input_audio_buffer.commit")
            await peer.send("response.create")
            assert (await peer.answer())[-1]["response"]["status"] == "completed"
    ids = [event["event_id"] for event in peer.frames]
    assert len(set(ids)) == len(ids)
