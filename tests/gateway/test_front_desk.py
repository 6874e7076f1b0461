from __future__ import annotations

import asyncio
import logging
from xml.etree import ElementTree

import pytest

from gateway.auth import SignatureCheck
from gateway.calls.admission import Admission
from gateway.calls.call import Call, EndReason
from gateway.calls.store import ABANDONED_AFTER_S, MemoryStore
from gateway.front_desk import FrontDesk
from gateway.gate import Gate
from gateway.metrics import Metrics
from tests.gateway.signed import CALL, SETTINGS, VOICE, House
from twiml.webhooks import read_voice

pytestmark = pytest.mark.anyio


async def taken_in(house: House) -> Call:
    return await house.desk.open_call(read_voice(VOICE))


async def events(house: House) -> list[dict[str, object]]:
    journal = await house.store.journal(CALL)
    assert journal is not None
    return journal.recent()


async def test_a_call_is_taken_in_offered_a_stream_and_signed_out() -> None:
    house = House()
    call = await taken_in(house)
    await house.desk.offer_stream(call)
    assert house.sample("calls_active") == 1
    house.clock.now_s += 42
    assert await house.desk.end_call(CALL, EndReason.COMPLETED)
    assert house.sample("calls_active") == 0
    assert house.sample("calls_total", ended_reason="completed") == 1
    assert house.sample("call_duration_seconds_sum") == 42
    assert await events(house) == [
        {
            "event": "call.started",
            "at_s": 100.0,
            "from": "+1 415 ••• 0134",
            "to": "+14155550100",
            "agent": "reception",
        },
        {"event": "stream.offered", "at_s": 100.0, "generation": 1},
        {"event": "call.ended", "at_s": 142.0, "reason": "completed", "seconds": 42.0},
    ]


async def test_a_call_is_signed_out_once_and_with_the_reason_it_was_given_first() -> None:
    house = House()
    call = await taken_in(house)
    call.finish(EndReason.AGENT_HUNG_UP, house.clock())
    assert await house.desk.end_call(CALL, EndReason.COMPLETED)
    assert not await house.desk.end_call(CALL, EndReason.FAILED)
    assert not await house.desk.end_call("CA" + "9" * 32, EndReason.FAILED)
    assert house.sample("calls_total", ended_reason="agent_hung_up") == 1
    assert house.sample("calls_active") == 0


async def test_the_document_names_the_media_socket_and_the_way_back() -> None:
    house = House()
    call = await taken_in(house)
    root = ElementTree.fromstring(await house.desk.offer_stream(call))
    stream = root[0][0]
    assert stream.attrib["url"] == f"wss://voice.example/twilio/media/{call.token}"
    assert stream.attrib["statusCallback"] == "https://voice.example/twilio/stream"
    assert [child.attrib for child in stream] == [
        {"name": "agent", "value": "reception"},
        {"name": "generation", "value": "1"},
        {"name": "from", "value": "+14155550134"},
        {"name": "to", "value": "+14155550100"},
    ]
    way_back = "https://voice.example/twilio/stream-ended?generation=1"
    assert (root[0].attrib["action"], root[1].text) == (way_back, way_back)


async def test_a_forgotten_call_is_signed_out_and_told_of() -> None:
    house = House()
    await taken_in(house)
    house.clock.now_s += ABANDONED_AFTER_S
    await house.desk.sweep()
    assert house.sample("calls_total", ended_reason="abandoned") == 1
    assert house.sample("calls_active") == 0
    assert house.completed == [CALL]
    assert (await events(house))[-1]["event"] == "call.ended"


async def test_an_event_of_a_call_nobody_knows_is_dropped() -> None:
    house = House()
    await house.desk.record(CALL, "twilio.stream-started")
    assert await house.store.journal(CALL) is None


async def test_a_desk_without_a_hook_tells_nobody() -> None:
    clock = House().clock
    desk = FrontDesk(
        settings=SETTINGS,
        store=MemoryStore(),
        signatures=SignatureCheck(SETTINGS),
        metrics=Metrics("test"),
        now=clock,
        gate=Gate(admission=Admission(), now=clock),
    )
    await desk.open_call(read_voice(VOICE))
    clock.now_s += ABANDONED_AFTER_S
    await desk.sweep()
    assert await desk.store.live_count() == 0


async def test_no_number_is_logged_in_full(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    with caplog.at_level(logging.DEBUG):
        call = await taken_in(house)
        await house.desk.offer_stream(call)
        await house.desk.end_call(CALL, EndReason.COMPLETED)
    assert call.token is None
    assert [record.getMessage() for record in caplog.records] == ["call started", "call ended"]
    assert not [record for record in caplog.records if "4155550134" in str(vars(record))]


async def test_followers_of_a_call_are_let_go_when_it_ends() -> None:
    house = House()
    await taken_in(house)
    journal = await house.store.journal(CALL)
    assert journal is not None
    await house.desk.end_call(CALL, EndReason.COMPLETED)
    async with asyncio.timeout(5):
        assert [event["event"] async for event in journal.follow()] == ["call.started", "call.ended"]
