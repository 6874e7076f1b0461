"""The endpoint on a server without the short way for frames: plain ASGI, as Starlette's test client speaks it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from gateway.app import Gateway, create_gateway
from pipeline.agent import Agent
from tests.gateway.signed import CONTROL_TOKEN, SETTINGS

HERE = ("127.0.0.1", 50_000)
STUBS = replace(SETTINGS, stt=("stub",), llm=("stub",), tts=("stub",), realtime_max_event_mib=1)
HEADERS = {"Authorization": f"Bearer {CONTROL_TOKEN}"}
MIB = 1024 * 1024


@contextmanager
def joined(**settings: Any) -> Iterator[tuple[Gateway, WebSocketTestSession]]:
    house = create_gateway(replace(STUBS, **settings), agent=Agent(name="test", greeting="Hello."))
    with TestClient(house.app, client=HERE) as client:
        with client.websocket_connect("/v1/realtime?model=m", headers=HEADERS) as socket:
            assert [json.loads(socket.receive_text())["type"] for _ in range(2)] == [
                "session.created",
                "conversation.created",
            ]
            yield house, socket


def hear(socket: WebSocketTestSession, type: str) -> dict[str, Any]:
    while (event := json.loads(socket.receive_text()))["type"] != type:
        pass
    assert isinstance(event, dict)
    return event


def test_a_turn_by_texts_and_by_bytes() -> None:
    with joined() as (house, socket):
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
        socket.send_text(json.dumps({"type": "conversation.item.create", "item": item}))
        ask = {"type": "response.create", "response": {"output_modalities": ["text"]}}
        socket.send_bytes(json.dumps(ask).encode())
        assert hear(socket, "response.done")["response"]["status"] == "completed"
        assert house.directory.seated == 1


def test_a_large_event_is_heard_in_its_order_and_a_larger_one_ends_the_connection() -> None:
    with joined() as (_, socket):
        pad = "x" * (MIB - 200)
        for number in range(3):
            socket.send_text(json.dumps({"type": "response.cancel", "event_id": str(number), "pad": pad}))
        told = [hear(socket, "error")["error"]["event_id"] for _ in range(3)]
        assert told == ["0", "1", "2"]
        socket.send_text(json.dumps({"type": "response.cancel", "pad": "x" * MIB}))
        with pytest.raises(WebSocketDisconnect) as closed:
            hear(socket, "error")
        assert closed.value.code == 1009


def test_many_events_at_once_wait_their_turn() -> None:
    with joined(realtime_events_per_s=100) as (_, socket):
        for number in range(500):
            socket.send_text(json.dumps({"type": "response.cancel", "event_id": str(number)}))
        told = [hear(socket, "error")["error"]["event_id"] for _ in range(500)]
        assert told == [str(number) for number in range(500)]


def test_no_session_is_left_when_its_client_is_gone() -> None:
    with joined() as (house, socket):
        socket.close()
    assert house.directory.seated == 0
    assert house.directory.ids() == []


def test_what_a_session_took_is_told_with_its_turns_and_logged_at_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="gateway.realtime.own_session")
    with joined() as (_, socket):
        socket.send_json({"type": "response.create", "response": {"output_modalities": ["text"]}})
        told = hear(socket, "response.done")["response"]["usage"]["switchboard"]["providers"]
        socket.close()
        # The test client cuts off what still runs when it leaves.
        for _ in range(1_000):
            if "realtime session used" in caplog.text:
                break
            time.sleep(0.01)  # the server runs in a thread of its own, and has no event for us
    logged = [vars(record) for record in caplog.records if record.getMessage() == "realtime session used"]
    assert [(one["kind"], one["provider"], one["requests"]) for one in logged] == [
        (one["kind"], one["provider"], one["requests"]) for one in told
    ]
    assert [one["kind"] for one in told] == ["llm"]
    assert logged[0]["cost_usd"] is None
