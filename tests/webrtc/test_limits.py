"""What one client may send and how fast, and that nobody else notices."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from pipeline.dialects import Dialect
from simulator.webrtc_client import WebRtcClient
from simulator.webrtc_exchange import Exchange, Shape
from tests.realtime.support import OPERATOR_TOKEN
from tests.webrtc.support import Rtc, hasty_rtc, judge, of, say_text, types, until

pytestmark = pytest.mark.anyio

MANY = 2_000


def note(text: str, id: str = "note") -> dict[str, Any]:
    return {"type": "message", "role": "user", "id": id, "content": [{"type": "input_text", "text": text}]}


@pytest.fixture(scope="module")
async def gateway(anyio_backend: str) -> AsyncGenerator[Rtc, None]:
    """One that lets clients send as fast as they like."""
    async with hasty_rtc(limits={}, realtime_events_per_s="0", realtime_responses_per_min="0") as opened:
        yield opened


async def still_served(client: WebRtcClient) -> None:
    await say_text(client, "still there?")
    await client.expect("output_audio_buffer.stopped")


async def test_two_thousand_events_at_once_are_all_answered_in_their_order(gateway: Rtc) -> None:
    async with gateway.client() as client:
        await client.expect("conversation.created")
        for number in range(MANY // 2):
            await client.send("conversation.item.create", item=note("x", f"note_{number}"))
            await client.send("conversation.item.delete", item_id=f"note_{number}")
        await until(lambda: len(of(client, "conversation.item.deleted")) == MANY // 2 or client.has_ended)
        told = [event["item"]["id"] for event in of(client, "conversation.item.done")]
        gone = [event["item_id"] for event in of(client, "conversation.item.deleted")]
        assert told == gone == [f"note_{number}" for number in range(MANY // 2)]
        await still_served(client)


async def test_who_sends_faster_than_is_heard_is_cut_and_others_do_not_notice() -> None:
    """A data channel cannot be made to wait."""
    async with (
        hasty_rtc(limits={}, realtime_events_per_s="10") as gateway,
        gateway.leaving_nothing("too_fast"),
        gateway.client() as other,
    ):
        async with WebRtcClient() as client:
            await client.connect(gateway.url, OPERATOR_TOKEN)
            for _ in range(MANY):
                await client.send("input_audio_buffer.clear")
            await client.ended()
            judge(client.frames, Dialect.GA)
            assert 0 < len(of(client, "input_audio_buffer.cleared")) < MANY
        await until(lambda: gateway.ended("too_fast") == 1)
        await still_served(other)


async def test_a_message_of_64_kib_is_heard_and_a_longer_one_ends_the_session(gateway: Rtc) -> None:
    async with gateway.leaving_nothing("too_large"), WebRtcClient() as client:
        await client.connect(gateway.url, OPERATOR_TOKEN)
        frame = {"type": "conversation.item.create", "item": note("")}
        text = "x" * (65_536 - len(json.dumps(frame)))
        await client.send("conversation.item.create", item=note(text))
        await client.expect("conversation.item.done")
        # aiortc keeps to what our answer told; a hostile client does not.
        assert client.peer.sctp is not None
        client.peer.sctp._remote_max_message_size = 0
        await client.send("conversation.item.create", item=note(text + "x", "longer"))
        await client.ended()


@pytest.mark.parametrize(
    "message", ["no json", "{", "[]", "null", '{"type": 1}', '{"type": "nothing"}', b"\xff\x00", ""]
)
async def test_what_is_no_event_is_refused_and_the_session_lives(gateway: Rtc, message: str | bytes) -> None:
    async with gateway.client() as client:
        await client.expect("conversation.created")
        await client.send_text(message)
        assert (await client.expect("error"))["error"]["type"] == "invalid_request_error"
        await client.send("input_audio_buffer.clear")
        await client.expect("input_audio_buffer.cleared")


async def test_a_binary_message_of_json_is_an_event(gateway: Rtc) -> None:
    async with gateway.client() as client:
        await client.send_text(json.dumps({"type": "input_audio_buffer.clear"}).encode())
        await client.expect("input_audio_buffer.cleared")


async def test_an_event_that_the_peer_cannot_take_is_replaced_by_an_error(
    gateway: Rtc, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Exchange.offer

    async def offer_small(self: Exchange, sdp: str, *rest: Any) -> Any:
        small = re.sub(r"a=max-message-size:\d+", "a=max-message-size:3000", sdp)
        assert small != sdp
        return await usual(self, small, *rest)

    monkeypatch.setattr(Exchange, "offer", offer_small)
    async with gateway.client() as client:
        await client.expect("conversation.created")
        await client.send("conversation.item.create", item=note("x" * 4_000))
        for _ in range(2):
            error = (await client.expect("error"))["error"]
            assert (error["type"], error["code"]) == ("server_error", "event_too_large")
            assert "at most 3000" in error["message"]
            assert "?call_id=" in error["message"]
        assert "conversation.item.added" not in types(client.frames)
        await client.send("input_audio_buffer.clear")
        await client.expect("input_audio_buffer.cleared")


async def test_a_long_conversation_is_told_in_messages_that_stock_clients_take(gateway: Rtc) -> None:
    async with gateway.client(
        shape=Shape.VISION_AGENTS, session={"type": "realtime"}, dialect=Dialect.IW
    ) as client:
        long = "x" * 30_000
        await client.send("conversation.item.create", item=note(long))
        await client.expect("conversation.item.done")
        for _ in range(20):
            await client.send("conversation.item.retrieve", item_id="note")
        while len(of(client, "conversation.item.retrieved")) < 20:
            await client.next()
        assert {
            len(event["item"]["content"][0]["text"]) for event in of(client, "conversation.item.retrieved")
        } == {30_000}
