"""A phone call as its side-band sees it: where our side plays the sound, the output buffer has events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from simulator.caller import HangUp, Listen, Wait
from tests.calls.support import LIMIT_S
from tests.protocol.conftest import BEARER, House
from tests.protocol.peer import Peer, connect, names

pytestmark = pytest.mark.anyio

PLAYOUT = {"output_audio_buffer.started", "output_audio_buffer.stopped", "output_audio_buffer.cleared"}


@asynccontextmanager
async def joined_call(house: House) -> AsyncGenerator[Peer, None]:
    """The side-band of a call whose caller has been greeted and says nothing."""
    async with asyncio.TaskGroup() as tasks:
        calling = tasks.create_task(house.running.call(Listen(), Wait(3_000), HangUp()))
        directory = house.running.gateway.directory
        async with asyncio.timeout(LIMIT_S):
            while not (calls := [id for id in directory.ids() if id.startswith("CA")]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        async with connect(f"{house.running.url}/v1/realtime?call_id={calls[0]}", headers=BEARER) as side:
            await side.expect("session.created")
            await side.expect("output_audio_buffer.stopped")
            yield side
    assert not calling.result().complaints


@pytest.mark.proves("B2-output-buffer-played")
async def test_sound_that_we_play_is_told_when_it_begins_and_when_it_was_heard(house: House) -> None:
    async with joined_call(house) as side:
        await side.say("hello")
        await side.send("response.create")
        events = await side.until("output_audio_buffer.stopped")
    (done,) = (event for event in events if event["type"] == "response.done")
    told = [event for event in events if event["type"] in PLAYOUT]
    assert names(told) == ["output_audio_buffer.started", "output_audio_buffer.stopped"]
    assert {event["response_id"] for event in told} == {done["response"]["id"]}
    assert names(events).index("response.content_part.added") < names(events).index("output_audio_buffer.started")
    assert events[-1]["type"] == "output_audio_buffer.stopped" and done["response"]["status"] == "completed"


@pytest.mark.proves("B1-output-clear-played", "B2-output-buffer-played")
async def test_clearing_our_buffer_stops_the_answer_and_keeps_what_was_heard(house: House) -> None:
    async with joined_call(house) as side:
        await side.say("hello")
        await side.send("response.create")
        started = await side.expect("output_audio_buffer.started")
        await side.send("output_audio_buffer.clear")
        cleared = await side.expect("output_audio_buffer.cleared")
        cut = await side.expect("conversation.item.truncated")
        assert cleared["response_id"] == started["response_id"] and cut["audio_end_ms"] >= 0
        await side.send("output_audio_buffer.clear")
        assert not [name for name in names(await side.fence()) if name in PLAYOUT], "nothing was playing"
