"""The floor: a server that answers the same webhook and does nothing but echo."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn
from starlette.testclient import TestClient

from gateway.cli import bench_floor
from gateway.server import WS_MAX_BYTES
from simulator.twiml_reader import Connect, read_twiml


def test_it_answers_the_voice_webhook_with_a_stream_on_itself() -> None:
    with TestClient(bench_floor.app) as client:
        answer = client.post("/twilio/voice", data={"CallSid": "CA1"})
        document = read_twiml(
            answer.content, content_type=answer.headers["content-type"], base_url="http://127.0.0.1/twilio/voice"
        )
        connect = document.verbs[0]
        assert isinstance(connect, Connect)
        assert connect.stream.url == f"ws://127.0.0.1:{bench_floor.PORT}/echo"
        assert client.get("/readyz").json() == {"status": "ready"}


def test_every_text_comes_back_as_it_is_until_the_peer_leaves() -> None:
    with TestClient(bench_floor.app) as client, client.websocket_connect("/echo") as socket:
        for text in ("", "hello", "é" * 1_000):
            socket.send_text(text)
            assert socket.receive_text() == text


def test_it_runs_on_the_server_the_gateway_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[uvicorn.Config] = []

    async def note(server: uvicorn.Server) -> None:
        served.append(server.config)

    monkeypatch.setattr(uvicorn.Server, "serve", note)
    asyncio.run(bench_floor.serve(bench_floor.app))
    (config,) = served
    assert config.app is bench_floor.app
    assert (config.port, config.ws, config.ws_max_size) == (bench_floor.PORT, "websockets-sansio", WS_MAX_BYTES)
    assert (config.ws_per_message_deflate, config.access_log) == (False, False)
