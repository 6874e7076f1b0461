"""The application: its routes of operation, what lives as long as it does, and what it is made of."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from gateway.app import (
    SWEEP_EVERY_S,
    Gateway,
    _chores,
    _sweep,
    create_gateway,
    id_maker,
)
from gateway.backend import cascade_of
from gateway.calls.call import Call, EndReason
from gateway.calls.load_sensor import PERIOD_S
from gateway.calls.standing import Standing, put_together
from gateway.calls.store import ABANDONED_AFTER_S
from gateway.house import build_version
from gateway.operations import metrics_app
from gateway.settings import Settings
from pipeline.agent import Agent, AgentFileError
from pipeline.provider import ProviderError
from pipeline.providers.stub import StubModel, StubTranscriber, StubVoice
from pipeline.responder import Cascade
from tests.fakes import FakeModel, FakeTranscriber, FakeVoice
from tests.gateway.signed import CALL, FORM_TYPE, PUBLIC_URL, SETTINGS, STREAM, VOICE, House, sign
from tests.virtual_time import virtual_loop

STUBS = replace(SETTINGS, stt=("stub",), llm=("stub",), tts=("stub",))
AGENT = Agent(name="test", greeting="Hello there.", voice="anna")
HERE = ("127.0.0.1", 50_000)
LIMIT_S = 20.0


def gateway(**settings: Any) -> Gateway:
    return create_gateway(replace(STUBS, **settings), agent=AGENT)


@contextmanager
def answering(house: Gateway, client: tuple[str, int] = HERE) -> Iterator[TestClient]:
    """The gateway between its start and its stop."""
    with TestClient(house.app, client=client) as asking:
        yield asking


def sample(house: Gateway, name: str, **labels: str) -> float | None:
    return house.desk.metrics.registry.get_sample_value(f"switchboard_{name}", labels)


def ring(client: TestClient, call_sid: str = CALL) -> str:
    """The TwiML a new call is answered with."""
    form = VOICE | {"CallSid": call_sid}
    signed = {"X-Twilio-Signature": sign(f"{PUBLIC_URL}/twilio/voice", form), "Content-Type": FORM_TYPE}
    answer = client.post("/twilio/voice", data=form, headers=signed)
    assert answer.status_code == 200
    return answer.text


# Operations.


def test_it_is_healthy_as_long_as_it_answers() -> None:
    house = gateway()
    with answering(house) as client:
        house.drain()
        answer = client.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_alone_it_is_ready_full_or_not_and_no_more_once_it_drains() -> None:
    house = gateway(max_calls=2)
    with answering(house) as client:
        seen: list[tuple[int, object]] = []
        for step in ("nobody", "one", "two", "drain"):
            match step:
                case "one" | "two":
                    ring(client, "CA" + f"{len(seen):032x}")
                case "drain":
                    house.drain()
            answer = client.get("/readyz")
            seen.append((answer.status_code, answer.json()))
        assert seen == [
            (200, {"status": "ready", "calls": 0, "sessions": 0}),
            (200, {"status": "ready", "calls": 1, "sessions": 0}),
            (200, {"status": "full", "calls": 2, "sessions": 0}),  # who else should speak to callers?
            (503, {"status": "draining", "calls": 2, "sessions": 0}),
        ]


def test_full_it_is_not_ready_while_two_others_have_room() -> None:
    house = gateway(max_calls=1)
    with answering(house) as client:
        seen: list[tuple[int, str]] = []
        for spare in (2, 1, 0):
            house.desk.gate.hear(put_together([Standing(room=1)] * spare, live=2))
            house.desk.gate.resume(CALL, line="+1")
            answer = client.get("/readyz")
            seen.append((answer.status_code, answer.json()["status"]))
        assert seen == [(503, "full"), (200, "ready"), (200, "full")]


def test_who_drains_takes_no_call_in_and_says_so_in_the_metrics() -> None:
    house = gateway()
    with answering(house) as client:
        before = sample(house, "draining")
        assert "<Stream" in ring(client)
        house.drain()
        assert "<Stream" not in ring(client, "CA" + "9" * 32)
        assert (before, sample(house, "draining")) == (0, 1)
        assert asyncio.run(house.live_calls()) == 1


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("203.0.113.7", {}, 404),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.7"}, 404),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 404),
    ],
)
def test_metrics_on_the_main_port_are_for_this_machine_alone(
    host: str, headers: dict[str, str], status: int
) -> None:
    with answering(gateway(), (host, 50_000)) as client:
        answer = client.get("/metrics", headers=headers)
        assert answer.status_code == status
        assert ("switchboard_calls_active 0.0" in answer.text) == (status == 200)


def test_nobody_of_no_address_sees_the_metrics() -> None:
    async def ask() -> int:
        statuses: list[int] = []

        async def send(message: Any) -> None:
            statuses.extend([message["status"]] if "status" in message else [])

        async def receive() -> Any:
            return {"type": "http.request"}

        scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/metrics", "headers": [], "client": None}
        await gateway().app(scope | {"query_string": b"", "root_path": ""}, receive, send)
        return statuses[0]

    assert asyncio.run(ask()) == 404


def test_metrics_with_a_port_of_their_own_are_found_there_only() -> None:
    house = gateway(metrics_port=9_090)
    with answering(house) as client:
        answer = client.get("/metrics")
        assert (answer.status_code, "SWITCHBOARD_METRICS_PORT" in answer.text) == (404, True)
    with TestClient(metrics_app(house.desk.metrics), client=("203.0.113.7", 1)) as other:
        answer = other.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=")
        assert f'version="{build_version()}"' in answer.text
        assert other.get("/readyz").status_code == 404


def test_a_version_that_is_not_installed_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert build_version()[0].isdigit()
    monkeypatch.setattr("gateway.house.version", _not_installed)
    assert build_version() == "0+unknown"


def _not_installed(_name: str) -> str:
    raise PackageNotFoundError


# What lives as long as the process.


@pytest.mark.anyio
async def test_what_is_started_is_stopped_again() -> None:
    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    house = gateway()
    async with house.app.router.lifespan_context(house.app):
        assert len(asyncio.all_tasks() - tasks) >= 2
        assert "speech-activity" in {thread.name for thread in threading.enumerate()}
    assert asyncio.all_tasks() == tasks
    left = {thread.name for thread in set(threading.enumerate()) - threads}
    assert not [name for name in left if not name.startswith("asyncio_")]


@pytest.mark.anyio
async def test_a_provider_that_wants_to_prepare_does_so_before_the_first_call() -> None:
    prepared: list[str] = []

    class Slow(FakeVoice):  # a stand-in for one that loads a model
        async def prepare(self) -> None:
            prepared.append(self.name)

    cascade = Cascade(FakeTranscriber(), FakeModel(), Slow())
    house = create_gateway(STUBS, agent=AGENT, cascade=cascade)
    assert prepared == []
    async with house.app.router.lifespan_context(house.app):
        assert prepared == ["fake-tts"]


def test_the_times_of_calls_are_unix_times_so_that_other_workers_can_compare_them() -> None:
    assert gateway().desk.now() == pytest.approx(time.time(), abs=LIMIT_S)


def test_abandoned_calls_are_looked_for_every_few_seconds() -> None:
    async def main() -> tuple[list[str], float]:
        here = House()
        ended: list[str] = []
        here.desk.now = asyncio.get_running_loop().time
        here.desk.on_completed = ended.append
        call = Call(call_sid=CALL, from_="", to="", agent="", started_at_s=0.0)
        await here.store.open(call)
        sweeping = asyncio.create_task(_sweep(here.desk))
        await asyncio.sleep(ABANDONED_AFTER_S + 2 * SWEEP_EVERY_S)
        sweeping.cancel()
        assert call.ended_at_s is not None
        return ended, call.ended_at_s

    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        ended, at_s = runner.run(main())
    assert ended == [CALL]
    assert ABANDONED_AFTER_S <= at_s <= ABANDONED_AFTER_S + SWEEP_EVERY_S


def test_a_sweep_that_fails_by_a_fault_of_ours_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    async def main() -> None:
        here = House()

        async def sweep(_now_s: float) -> list[Call]:
            tries.append(1)
            raise ValueError("a fault of ours")

        monkeypatch.setattr(here.store, "sweep", sweep)
        async with _chores(here.desk):
            await asyncio.sleep(2.5 * SWEEP_EVERY_S)

    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        runner.run(main())
    assert len(tries) == 2


def test_how_late_the_event_loop_is_is_measured_all_the_time() -> None:
    house = gateway()
    name = "switchboard_event_loop_lag_seconds"

    async def main() -> None:
        async with _chores(house.desk):
            await asyncio.sleep(20.5 * PERIOD_S)

    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        runner.run(main())
    count = house.desk.metrics.registry.get_sample_value(f"{name}_count")
    assert count is not None
    assert count >= 20


# What it is made of.


def test_ids_are_short_unique_and_say_what_they_are_of() -> None:
    make, other = id_maker(), id_maker()
    prefixes = ("event", "item", "resp", "conv", "sess", "call")
    made = [maker(prefix) for maker in (make, other) for prefix in prefixes for _ in range(1_000)]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"(event|item|resp|conv|sess|call)_[0-9a-f]+", one) for one in made)
    assert max(map(len, made)) <= 32


def test_the_providers_are_those_of_the_settings() -> None:
    cascade = cascade_of(STUBS, AGENT)
    made = (type(cascade.transcriber), type(cascade.model), type(cascade.voice), cascade.voice_name)
    assert made == (StubTranscriber, StubModel, StubVoice, "anna")


@pytest.mark.parametrize("role", ["stt", "llm", "tts"])
def test_a_provider_nobody_knows_stops_the_start(role: str) -> None:
    with pytest.raises(ProviderError, match="nobody"):
        gateway(**{role: ("nobody",)})


def test_an_agent_nobody_wrote_stops_the_start() -> None:
    with pytest.raises(AgentFileError, match=r"nowhere\.toml"):
        create_gateway(replace(STUBS, agent="nowhere.toml"))


def test_the_agent_of_the_settings_is_the_one_that_answers() -> None:
    settings: Settings = replace(STUBS, agent="reception")
    with answering(create_gateway(settings)) as client:
        assert 'name="agent" value="reception"' in ring(client)


def test_the_media_socket_stands_behind_its_path() -> None:
    house = gateway()
    with answering(house) as client:
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/twilio/media/guessed"):
            pass
        found = re.search(r'url="wss://voice\.example(/twilio/media/[^"]+)"', ring(client))
        assert found is not None
        path = found[1]
        signed = {"X-Twilio-Signature": sign(f"wss://voice.example{path}")}
        with client.websocket_connect(path, headers=signed) as socket:
            start = {"streamSid": STREAM, "callSid": CALL, "accountSid": "AC" + "a" * 32}
            media_format = {"mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}}
            socket.send_text(json.dumps({"event": "start", "start": start | media_format}))
            assert json.loads(socket.receive_text())["event"] == "media"
            socket.send_text(json.dumps({"event": "stop"}))
            deadline_s = time.monotonic() + LIMIT_S
            while client.get("/readyz").json()["calls"] and time.monotonic() < deadline_s:
                pass  # each question lets the gateway take a step
    assert sample(house, "calls_total", ended_reason=EndReason.CALLER_HUNG_UP.value) == 1
    assert sample(house, "webhook_rejected_total", reason="media_no_signature") == 1
