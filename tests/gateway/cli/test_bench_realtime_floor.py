"""The floor: a server that takes a Realtime client's frames and does nothing but echo."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn
from starlette.testclient import TestClient

from gateway.cli import bench_floor, bench_realtime_floor
from gateway.cli.bench_floor import PORT
from gateway.server import WS_MAX_BYTES


def test_every_event_comes_back_as_it_is_on_the_path_of_a_session() -> None:
    with TestClient(bench_realtime_floor.app) as client:
        assert client.get("/readyz").json() == {"status": "ready"}
        with client.websocket_connect("/v1/realtime?model=m", headers={"Authorization": "Bearer k"}) as socket:
            for text in ('{"type":"input_audio_buffer.append","audio":""}', "é" * 13_000):
                socket.send_text(text)
                assert socket.receive_text() == text


def test_it_runs_on_the_server_the_gateway_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[uvicorn.Config] = []

    async def note(server: uvicorn.Server) -> None:
        served.append(server.config)

    monkeypatch.setattr(uvicorn.Server, "serve", note)
    asyncio.run(bench_floor.serve(bench_realtime_floor.app))
    (config,) = served
    assert config.app is bench_realtime_floor.app
    assert (config.port, config.ws, config.ws_max_size) == (PORT, "websockets-sansio", WS_MAX_BYTES)
    assert (config.ws_per_message_deflate, config.access_log) == (False, False)
