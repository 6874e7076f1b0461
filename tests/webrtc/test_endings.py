"""How sessions over a peer connection end, and that nothing is left of any of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from gateway.webrtc.link import Link
from simulator.webrtc_client import WebRtcClient
from simulator.webrtc_exchange import Shape
from tests.calls.support import tasks_gone
from tests.protocol.providers import HANG
from tests.realtime.support import KEY, OPERATOR_TOKEN, OTHER_KEY, SUPERVISOR, keys_file
from tests.webrtc.support import Rtc, error_of, hasty_rtc, of, open_files, rtc, say_text, until

pytestmark = pytest.mark.anyio

BRISK = {"consent_limit_s": 0.6, "consent_every_s": 0.1, "connect_limit_s": 0.5}


@pytest.fixture(scope="module")
async def brisk(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Rtc, None]:
    """A gateway that soon misses who is silent, with API keys of several people."""
    keys = keys_file(tmp_path_factory.mktemp("keys"))
    async with hasty_rtc(limits=BRISK, api_keys=keys) as opened:
        yield opened


async def in_the_middle(client: WebRtcClient) -> None:
    """Until an answer is being heard that will never be done by itself."""
    await say_text(client, HANG)
    await client.expect("output_audio_buffer.started")


async def test_a_page_that_is_closed_ends_its_session(brisk: Rtc) -> None:
    async with (
        brisk.leaving_nothing("client_left"),
        brisk.client(leaves_early=True) as client,
    ):
        await in_the_middle(client)


async def test_a_client_that_vanishes_is_missed(brisk: Rtc) -> None:
    async with brisk.leaving_nothing("connection_lost"), brisk.client(leaves_early=True) as client:
        await in_the_middle(client)
        client.vanish()
        await until(lambda: brisk.is_empty)


async def test_a_client_that_never_comes_is_not_waited_for_long(brisk: Rtc) -> None:
    async with brisk.leaving_nothing("never_connected"):
        assert (await brisk.offer()).status_code == 201
        assert brisk.seated == 1


async def test_a_session_that_is_hung_up_on_is_over_for_its_client(brisk: Rtc) -> None:
    async with brisk.leaving_nothing("hung_up"), brisk.client(key=KEY, leaves_early=True) as client:
        await in_the_middle(client)
        await client.hang_up()
        await client.ended()


@pytest.mark.proves("A2-hang-up")
async def test_it_is_hung_up_on_by_either_of_its_names(brisk: Rtc) -> None:
    async with brisk.leaving_nothing("hung_up"), brisk.client(key=KEY) as client:
        await client.expect("session.created")
        client.call_id = client.session_id
        await client.hang_up()
        await client.ended()


async def test_only_its_key_and_who_may_steer_calls_hang_up(brisk: Rtc) -> None:
    asked = {"Authorization": f"Bearer {KEY}"}
    minted = await brisk.ask("POST", "/v1/realtime/client_secrets", asked, json={"session": {"type": "realtime"}})
    secret = minted.json()["value"]
    async with brisk.leaving_nothing("hung_up"), brisk.client(key=secret) as client:
        await client.expect("session.created")
        path = f"/v1/realtime/calls/{client.call_id}/hangup"
        # Not with a secret, not even with its own: a browser's token must not end another browser's session.
        for key, status in ((OTHER_KEY, 404), (secret, 403), ("nobody's", 401), (SUPERVISOR, 200)):
            answer = await brisk.ask("POST", path, {"Authorization": f"Bearer {key}"})
            assert answer.status_code == status, key
            assert status == 200 or error_of(answer)["message"]
        assert answer.content == b""
        await client.ended()


async def test_what_does_not_run_cannot_be_hung_up_on(brisk: Rtc) -> None:
    for name in ("rtc_nobody", "sess_nobody", "CA" + "0" * 32):
        answer = await brisk.ask("POST", f"/v1/realtime/calls/{name}/hangup")
        assert (answer.status_code, error_of(answer)["code"]) == (404, "call_not_found")


async def test_an_offer_that_is_hung_up_on_before_anybody_came_is_over(brisk: Rtc) -> None:
    async with brisk.leaving_nothing("hung_up"):
        answer = await brisk.offer()
        assert (await brisk.ask("POST", f"{answer.headers['location']}/hangup")).status_code == 200


async def test_a_session_that_had_its_time_is_told_so() -> None:
    async with (
        rtc(realtime_session_s="1") as gateway,
        gateway.leaving_nothing("expired"),
        gateway.client(leaves_early=True) as client,
    ):
        await in_the_middle(client)
        error = (await client.expect("error"))["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "session_expired")
        assert error["message"] == "Your session hit the maximum duration of 1 seconds."
        await client.ended()
        assert client.frames[-1]["type"] == "error"
        assert of(client, "response.done")


async def test_a_gateway_that_stops_tells_each_client_how_to_go_on() -> None:
    async with rtc() as gateway:
        running = gateway.service.running
        async with (
            gateway.leaving_nothing("stopping"),
            gateway.client(leaves_early=True) as client,
            gateway.service.session() as other,
        ):
            await in_the_middle(client)
            running.gateway.drain()
            await running.gateway.stop_sessions()
            error = (await client.expect("error"))["error"]
            assert (error["type"], error["code"]) == ("server_error", "server_stopping")
            assert f"?session_id={client.session_id}" in error["message"]
            await client.ended()
            assert await other.closed() == (1001, "server_stopping")
            assert other.of("error")[0]["error"]["code"] == "server_stopping"
        assert (await gateway.refused()).status == 503


async def test_a_gateway_stops_although_clients_are_connected_or_still_connecting() -> None:
    before = asyncio.all_tasks()
    async with WebRtcClient() as client:
        async with rtc() as gateway:
            await client.connect(gateway.url, OPERATOR_TOKEN)
            await in_the_middle(client)
            assert (await gateway.offer()).status_code == 201
        await client.ended()
        assert gateway.is_empty
        assert gateway.ended("stopping") == 2
        assert of(client, "error")[0]["error"]["code"] == "server_stopping"
    assert await tasks_gone(before) == set()


async def test_twenty_sessions_leave_nothing_behind(brisk: Rtc) -> None:
    async def talk(shape: Shape) -> None:
        async with WebRtcClient() as client:
            await client.connect(brisk.url, OPERATOR_TOKEN, shape=shape)
            await client.expect("session.created")
            await say_text(client, "hi")
            await client.expect("response.done")

    async with brisk.leaving_nothing():
        files = open_files()
        for _ in range(4):
            async with asyncio.TaskGroup() as talks:
                for shape in list(Shape)[:5]:
                    talks.create_task(talk(shape))
        await until(lambda: open_files() <= files)


async def test_a_fault_of_ours_ends_the_call_it_is_in_and_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(self: Link, offer: object) -> None:
        raise ZeroDivisionError

    async with rtc() as gateway, gateway.leaving_nothing("client_left"), gateway.client() as other:
        await other.expect("session.created")
        with monkeypatch.context() as broken:
            broken.setattr(Link, "connect", fail)
            assert (await gateway.offer()).status_code == 201
            await until(lambda: gateway.ended("fault") == 1)
        await say_text(other, "still there?")
        await other.expect("output_audio_buffer.stopped")
    assert "fault of ours" in caplog.text


async def test_a_connection_that_breaks_while_it_is_made_is_one_that_never_was(
    brisk: Rtc, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with brisk.leaving_nothing("never_connected"), WebRtcClient() as client:

        async def vanish() -> None:
            client.vanish()

        monkeypatch.setattr(client, "_until_connected", vanish)
        await client.connect(brisk.url, OPERATOR_TOKEN)
        assert brisk.seated == 1
        await brisk.empty()
