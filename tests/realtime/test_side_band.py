"""A side-band: joining a session, or a phone call, that runs (Realtime reference, section E.1)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from gateway.realtime.directory import MOST_SIDE_BANDS
from simulator.caller import HangUp, Listen, Say, Wait
from tests.calls.support import LIMIT_S, cascade, clip
from tests.fakes import FakeModel
from tests.realtime.support import KEY, OTHER_KEY, SUPERVISOR, Client, Service, keys_file, service

pytestmark = pytest.mark.anyio


def session_id(client: Client) -> str:
    id: str = client.of("session.created")[0]["session"]["id"]
    return id


async def test_a_side_band_is_shown_the_session_as_it_is_and_both_hear_all_and_may_speak() -> None:
    model = FakeModel("One.", "Two.")
    async with service(cascade(model=model)) as gateway:
        async with gateway.session(output_modalities=["text"], instructions="Be brief.") as client:
            path = f"/v1/realtime?call_id={session_id(client)}"
            async with gateway.connected(path) as side_band:
                created = await side_band.next()
                assert created["type"] == "session.created"
                assert created["session"]["id"] == session_id(client)
                assert created["session"]["instructions"] == "Be brief."
                client.frames.clear()
                side_band.frames.clear()
                await client.say_text("from the client")
                await client.say("response.create")
                for one in (client, side_band):
                    await one.hear("response.done")
                await side_band.say_text("from the side")
                await side_band.say("response.create")
                for one in (client, side_band):
                    await one.hear("response.done")
                assert side_band.types == client.types
                ids = [frame["event_id"] for frame in client.frames if frame["type"] != "rate_limits.updated"]
                assert [frame["event_id"] for frame in side_band.frames if frame["event_id"] in ids] == ids
            await client.say("input_audio_buffer.clear")  # the session goes on
            await client.hear("input_audio_buffer.cleared")


async def test_what_one_does_wrong_is_told_to_that_one_alone() -> None:
    async with service() as gateway, gateway.session() as client:
        async with gateway.connected(f"/v1/realtime?call_id={session_id(client)}") as side_band:
            await side_band.say("response.cancel", event_id="theirs")
            assert (await side_band.hear("error"))["error"]["event_id"] == "theirs"
            await side_band.socket.send("no json")
            await side_band.hear("error")
            await client.say("response.cancel", event_id="ours")
            assert (await client.hear("error"))["error"]["event_id"] == "ours"
            await side_band.say("input_audio_buffer.clear")
            for one in (client, side_band):
                await one.hear("input_audio_buffer.cleared")
            assert (len(client.of("error")), len(side_band.of("error"))) == (1, 2)


async def test_a_side_band_ends_with_what_it_joined() -> None:
    async with service() as gateway:
        async with gateway.session() as client:
            async with gateway.connected(f"/v1/realtime?call_id={session_id(client)}") as side_band:
                await side_band.hear("session.created")
                await client.socket.close()
                assert await side_band.closed() == (1000, "session_over")
        assert gateway.running.sample("realtime_side_bands_active") == 0


async def test_a_session_is_joined_with_its_own_key_or_by_who_may_steer_calls(tmp_path: Path) -> None:
    async with service(api_keys=keys_file(tmp_path)) as gateway, gateway.session(key=KEY) as client:
        path = f"/v1/realtime?call_id={session_id(client)}"
        for key in (KEY, SUPERVISOR):
            async with gateway.connected(path, key=key) as side_band:
                assert (await side_band.next())["type"] == "session.created"
        async with gateway.connected(path, key=OTHER_KEY) as stranger:
            assert (await stranger.closed())[0] == 4000
            assert stranger.frames[0]["error"]["code"] == "call_not_found"


async def test_a_session_takes_so_many_side_bands_and_no_more() -> None:
    async with service() as gateway, gateway.session() as client:
        path = f"/v1/realtime?call_id={session_id(client)}"
        async with asyncio.timeout(LIMIT_S):
            opened = [gateway.connected(path) for _ in range(MOST_SIDE_BANDS)]
            joined = [await one.__aenter__() for one in opened]
            async with gateway.connected(path) as one_more:
                assert (await one_more.closed())[0] == 1013
            for one in opened:
                await one.__aexit__(None, None, None)
        assert len(joined) == MOST_SIDE_BANDS
        await until_joined(gateway, 0)
        async with gateway.connected(path) as again:
            await again.hear("session.created")


async def until_joined(gateway: Service, count: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        while gateway.running.sample("realtime_side_bands_active") != count:  # noqa: ASYNC110 - a metric
            await asyncio.sleep(0.01)


async def live_call(gateway: Service) -> str:
    """The CallSid of the one call that streams."""
    directory = gateway.running.gateway.directory
    async with asyncio.timeout(LIMIT_S):
        while not (calls := [id for id in directory.ids() if id.startswith("CA")]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return calls[0]


async def test_a_phone_call_is_joined_by_its_sid_by_who_may_steer_calls(tmp_path: Path) -> None:
    model = FakeModel("Certainly.", "Said by the side.")
    async with service(cascade(model=model), api_keys=keys_file(tmp_path)) as gateway, asyncio.TaskGroup() as tasks:
        steps = (Listen(), Say(clip("hello")), Listen(), Wait(2_000), HangUp())
        calling = tasks.create_task(gateway.running.call(*steps))
        path = f"/v1/realtime?call_id={await live_call(gateway)}"
        with pytest.raises(InvalidStatus, match="403"):
            async with gateway.connected(path, key=KEY):
                pass
        async with gateway.connected(path, key=SUPERVISOR) as supervisor:
            created = await supervisor.next()
            assert created["session"]["audio"]["output"]["format"]["type"] == "audio/pcmu"
            await supervisor.hear("input_audio_buffer.speech_started")
            await supervisor.hear("conversation.item.input_audio_transcription.completed")
            await supervisor.hear("response.done")
            await supervisor.say_text("Tell the caller something.")
            await supervisor.say("response.create")
            await supervisor.hear("response.done")
            assert (await supervisor.closed())[0] == 1000
        result = await calling
    assert len(result.agent_utterances) >= 2
    assert len(model.prompts) == 2
    assert not gateway.running.gateway.directory.ids()
