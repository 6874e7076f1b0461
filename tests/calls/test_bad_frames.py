"""Bad frames: no frame ends a call by itself; a stream of nothing else does."""

from __future__ import annotations

import json

import pytest

from gateway.media_stream.reader import MOST_BAD_FRAMES
from tests.calls.raw_line import ask, connection_of, new_call, offered, raw_line
from tests.calls.support import cascade, running_gateway, spoken
from tests.fakes import FakeModel

pytestmark = pytest.mark.anyio


def media(payload: object = "//8=", timestamp: object = "20") -> str:
    return json.dumps({"event": "media", "streamSid": "MZ1", "media": {"payload": payload, "timestamp": timestamp}})


RUBBISH: tuple[str | bytes, ...] = (
    "",
    " ",
    "\x00",
    "hello",
    "{",
    "[]",
    "null",
    "1e999",
    "NaN",
    '"media"',
    b"\xff\xfe\xfd",
    b'{"event":"media","media":{"payload":"\xff"}}',
    b'{"event":"\xed\xa0\x80"}',
    "{}",
    '{"event":null}',
    '{"event":7}',
    '{"event":["media"]}',
    '{"event":"media"}',
    '{"event":"media","media":null}',
    '{"event":"media","media":"//8="}',
    '{"event":"media","media":{}}',
    '{"event":"media","media":{"payload":[]}}',
    media(payload=""),
    media(payload="!!!!"),
    media(payload="/"),
    media(payload=160),
    media(payload="//8=" * 4_000),
    media(timestamp="-20"),
    media(timestamp="soon"),
    media(timestamp=None),
    media(timestamp=1.5),
    media(timestamp="9" * 400),
    '{"event":"mark"}',
    '{"event":"mark","mark":{}}',
    '{"event":"dtmf"}',
    '{"event":"dtmf","dtmf":{"digit":"E"}}',
    '{"event":"dtmf","dtmf":{"digit":"12"}}',
    '{"event":"start"}',
    '{"event":"start","start":{"streamSid":1}}',
    "[" * 20_000,
    '{"a":' * 10_000,
    '{"event":"media","media":' * 1_000 + "}" * 1_000,
)
"""One of every kind. None may pass for anything."""

ODDITIES: tuple[str, ...] = (
    '{"event":"somethingNew","somethingNew":{}}',
    '{"event":"connected","protocol":"Call","version":"2.0.0"}',
    '{"event":"mark","mark":{"name":"g0:99999999"}}',
    '{"event":"mark","mark":{"name":"of somebody else"}}',
    media(timestamp="999999999"),
    media(timestamp="5") + "\n",
)
"""Well-formed, and of no concern to us."""


REASONS = ("too_long", "wrong_shape", "not_json", "bad_payload", "bad_digit", "unknown_media_format")


async def test_a_live_call_goes_on_through_one_bad_frame_of_every_kind() -> None:
    model = FakeModel("Still here.")
    async with running_gateway(providers=cascade(model=model)) as house:
        call_sid = new_call()
        async with raw_line(await offered(house.url, call_sid), call_sid) as line:
            await line.begin()
            await line.until("mark")
            for frame in (*RUBBISH, *ODDITIES):
                await line.send(frame)
            await line.socket.send(b"\x00" * 160)  # a binary frame
            await line.begin()  # and all from the beginning
            await line.press("42#")
            await line.until("clear")
            await line.until("mark")
            await line.send(line.write.stop())
            assert await line.close_code() in (1000, 1006)
        journal = await house.whole_journal(call_sid)
        bad = sum(house.sample("audio_frames_dropped_total", reason=reason) for reason in REASONS)
    assert spoken(model.prompts[0])[-1] == ("user", "[keypad] 42#")
    assert journal[-2:] == ["stream.ended", "call.ended"]
    assert 40 <= len(RUBBISH) + 1 == bad <= MOST_BAD_FRAMES


async def test_a_peer_that_sends_nothing_but_rubbish_is_closed_and_the_call_is_offered_another_stream() -> None:
    async with running_gateway(providers=cascade()) as house:
        call_sid = new_call()
        url = await offered(house.url, call_sid)
        async with raw_line(url, call_sid) as line:
            await line.begin()
            await line.until("media")
            for _ in range(MOST_BAD_FRAMES + 1):
                await line.send("rubbish")
            assert await line.close_code() == 1003
        back = f"{house.url}/twilio/stream-ended?generation=1"
        again = connection_of(await ask(back, call_sid, CallStatus="in-progress"))
    assert again.stream.url != url
