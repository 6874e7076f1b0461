"""How sessions end: by the clock, by a client that leaves or does not read, by a gateway that stops."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import socket
from typing import Any, Final

import pytest

from gateway.realtime.peer import MOST_WAITING_BYTES
from pipeline.session import Session
from tests.calls.support import LIMIT_S, cascade, tasks_gone
from tests.fakes import STALL, FakeModel, failure
from tests.realtime.support import GAP, OPERATOR_TOKEN, Service, service, speech

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024


async def until(holds: Any) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not holds():  # noqa: ASYNC110 - what other tasks do
            await asyncio.sleep(0.01)


def ended(gateway: Service, reason: str, dialect: str = "ga") -> float:
    return gateway.running.sample(
        "realtime_sessions_total", dialect=dialect, transport="websocket", ended_reason=reason
    )


async def test_a_session_that_had_its_time_is_told_so_and_closed() -> None:
    model = FakeModel(["Well", STALL])
    async with service(cascade(model=model), realtime_session_s="1") as gateway:
        async with gateway.session(output_modalities=["text"]) as client:
            await client.say_text("hi")
            await client.say("response.create")
            code, reason = await client.closed()
        text = "Your session hit the maximum duration of 1 seconds."
        assert (code, reason) == (1001, text)
        error = client.frames[-1]["error"]
        assert (error["type"], error["code"], error["message"]) == (
            "invalid_request_error",
            "session_expired",
            text,
        )
        assert client.types[-2:] == ["response.done", "error"]
        await until(lambda: ended(gateway, "expired") == 1)


async def test_the_end_of_a_session_is_told_in_the_session() -> None:
    async with service(realtime_session_s="3600") as gateway, gateway.connected() as client:
        created = await client.hear("session.created")
        directory = gateway.running.gateway.directory
        (id,) = directory.ids()
        assert created["session"]["id"] == id
        assert created["session"]["expires_at"] > 3600


@pytest.mark.parametrize("leaves", ["says goodbye", "breaks"])
async def test_a_client_that_leaves_in_the_middle_of_everything_leaves_nothing_behind(leaves: str) -> None:
    model = FakeModel(["Well.", STALL])
    async with service(cascade(model=model)) as gateway:
        before = asyncio.all_tasks()
        async with (
            gateway.session() as client,
            gateway.connected(
                f"/v1/realtime?call_id={client.of('session.created')[0]['session']['id']}"
            ) as side_band,
        ):
            await side_band.hear("session.created")
            await client.say_text("hi")
            await client.say("response.create")
            await client.hear("response.created")
            await client.speak(speech()[:30_000])
            await client.append(os.urandom(4 * MIB))
            if leaves == "breaks":
                client.socket.transport.abort()
            else:
                await client.socket.close()
            await side_band.closed()
        await until(lambda: ended(gateway, "client_left") == 1)
        assert await tasks_gone(before) == set()
        assert gateway.running.gateway.directory.ids() == []
        assert gateway.running.gateway.directory.seated == 0
        assert gateway.running.sample("realtime_sessions_active") == 0
        assert model.running == 0


async def test_a_gateway_that_leaves_closes_its_sessions_so_that_clients_come_back() -> None:
    async with service() as gateway, gateway.session() as client:
        gateway.running.gateway.drain()
        gateway.running.server.should_exit = True
        # Codes after which clients reconnect (Realtime reference, section A.5).
        assert (await client.closed())[0] in (1001, 1012)
        await until(lambda: ended(gateway, "stopping") == 1)


async def test_a_log_tells_when_and_why_and_nothing_that_was_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "gateway")
    async with service() as gateway:
        async with gateway.session(output_modalities=["text"]) as client:
            await client.say_text("a secret between us")
            await client.say("response.create")
            await client.hear("response.done")
            await client.speak(speech() + GAP)
            await client.hear("response.done")
        await until(lambda: ended(gateway, "client_left") == 1)
    opened, closed = (
        next(record for record in caplog.records if record.message == f"realtime session {what}")
        for what in ("opened", "closed")
    )
    assert (opened.__dict__["owner"], opened.__dict__["dialect"]) == ("operator", "ga")
    assert closed.__dict__["reason"] == "client_left"
    assert closed.__dict__["seconds"] > 0
    said = " ".join(record.getMessage() for record in caplog.records)
    assert "secret between us" not in said
    assert OPERATOR_TOKEN not in said


async def raw_client(gateway: Service, path: str) -> socket.socket:
    """A socket with a small buffer, its hands shaken, that nobody reads from now on."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    port = int(gateway.running.url.rpartition(":")[2])
    raw.setblocking(False)
    try:
        raw.connect(("127.0.0.1", port))
    except BlockingIOError:
        pass
    handshake = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {OPERATOR_TOKEN}\r\n\r\n"
    )
    await until(lambda: raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0)
    await asyncio.get_running_loop().sock_sendall(raw, handshake.encode())
    return raw


def masked(event: dict[str, Any]) -> bytes:
    """A text frame with a mask of zeroes."""
    payload = json.dumps(event).encode()
    length = len(payload)
    head = bytes([0x81, 0x80 | length]) if length < 126 else bytes([0x81, 0xFE]) + length.to_bytes(2, "big")
    return head + bytes(4) + payload


LONG: Final = {
    "type": "message",
    "role": "user",
    "id": "long",
    "content": [{"type": "input_text", "text": "x" * 60_000}],
}


async def test_a_client_that_does_not_read_is_given_up_and_others_are_unharmed() -> None:
    async with service(realtime_events_per_s="0") as gateway:
        loop = asyncio.get_running_loop()
        raw = await raw_client(gateway, "/v1/realtime?model=m")
        try:
            await until(lambda: gateway.running.gateway.directory.seated == 1)
            before_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

            async def ask() -> None:
                """Each question has an answer of sixty kilobytes."""
                await loop.sock_sendall(raw, masked({"type": "conversation.item.create", "item": LONG}))
                for _ in range(2_000):
                    await loop.sock_sendall(raw, masked({"type": "conversation.item.retrieve", "item_id": "long"}))

            asking = asyncio.create_task(ask())
            async with gateway.session(output_modalities=["text"]) as other:
                await until(lambda: ended(gateway, "slow_reader") == 1)
                await other.say_text("hi")
                await other.say("response.create")
                await other.hear("response.done")
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            grown_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before_bytes
            assert grown_bytes < 4 * MOST_WAITING_BYTES
        finally:
            raw.close()


async def test_a_side_band_that_does_not_read_is_given_up_and_the_session_goes_on() -> None:
    async with service(realtime_events_per_s="0") as gateway, gateway.session() as client:
        id = client.of("session.created")[0]["session"]["id"]
        raw = await raw_client(gateway, f"/v1/realtime?call_id={id}")
        try:
            await until(lambda: gateway.running.sample("realtime_side_bands_active") == 1)
            await client.say("conversation.item.create", item=LONG)
            async with asyncio.timeout(LIMIT_S):
                while gateway.running.sample("realtime_side_bands_active"):
                    await client.say("conversation.item.retrieve", item_id="long")
                    await client.hear("conversation.item.retrieved")
            await client.say("input_audio_buffer.clear")
            await client.hear("input_audio_buffer.cleared")
        finally:
            raw.close()


@pytest.mark.parametrize("pad", ["", "x" * 100_000], ids=["small", "large"])
async def test_a_fault_of_ours_ends_the_session_it_is_in_and_no_other(
    pad: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    receive = Session.receive

    def fail(self: Session, event: Any) -> Any:
        if event.event_id == "fatal":
            raise ZeroDivisionError
        return receive(self, event)

    monkeypatch.setattr(Session, "receive", fail)
    async with service() as gateway, gateway.session() as other:
        async with gateway.session() as client:
            await client.say("response.cancel", event_id="fatal", pad=pad)
            assert await client.closed() == (1011, "server_error.internal_error")
        await until(lambda: ended(gateway, "fault") == 1)
        await other.say("input_audio_buffer.clear")
        await other.hear("input_audio_buffer.cleared")
    assert "fault of ours" in caplog.text


async def test_a_fault_of_ours_in_a_side_band_ends_that_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = Session.receive

    def fail(self: Session, event: Any) -> Any:
        if event.event_id == "fatal":
            raise ZeroDivisionError
        return receive(self, event)

    monkeypatch.setattr(Session, "receive", fail)
    async with service() as gateway, gateway.session() as client:
        id = client.of("session.created")[0]["session"]["id"]
        async with gateway.connected(f"/v1/realtime?call_id={id}") as side_band:
            await side_band.say("response.cancel", event_id="fatal", pad="x" * 100_000)
            assert await side_band.closed() == (1011, "server_error.internal_error")
        await client.say("input_audio_buffer.clear")
        await client.hear("input_audio_buffer.cleared")


async def test_a_provider_that_keeps_failing_ends_no_session() -> None:
    model = FakeModel(*[[failure()] for _ in range(8)], "At last.")
    async with service(cascade(model=model)) as gateway, gateway.session(output_modalities=["text"]) as client:
        states = []
        for _ in range(9):
            await client.say("response.create")
            states.append((await client.hear("response.done"))["response"]["status"])
        assert states == ["failed"] * 8 + ["completed"]
