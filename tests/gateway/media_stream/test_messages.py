"""The codec of Media Streams: every message Twilio sends, whatever else may come, and only the keys it allows."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.media_stream.messages import (
    LONGEST_MESSAGE,
    LONGEST_PAYLOAD,
    LONGEST_TIME_DIGITS,
    Bad,
    Connected,
    Dtmf,
    Ignored,
    Mark,
    Media,
    Message,
    Start,
    Stop,
    StreamWriter,
    decode,
)
from pipeline.audio.formats import PCMA, PCMU

STREAM = "MZ" + "c" * 32
CALL = "CA" + "b" * 32
ACCOUNT = "AC" + "a" * 32
SOUND = bytes(range(160))
PAYLOAD = b64encode(SOUND).decode()


def start(**media_format: Any) -> dict[str, Any]:
    return {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": STREAM,
        "start": {
            "accountSid": ACCOUNT,
            "streamSid": STREAM,
            "callSid": CALL,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1} | media_format,
            "customParameters": {"agent": "reception"},
        },
    }


def media(payload: object = PAYLOAD, timestamp: object = "20") -> dict[str, Any]:
    part = {"track": "inbound", "chunk": "2", "timestamp": timestamp, "payload": payload}
    return {"event": "media", "sequenceNumber": "3", "streamSid": STREAM, "media": part}


def dtmf(digit: object) -> dict[str, Any]:
    part = {"track": "inbound_track", "digit": digit}
    return {"event": "dtmf", "streamSid": STREAM, "sequenceNumber": "5", "dtmf": part}


STARTED = Start(STREAM, CALL, ACCOUNT, PCMU, {"agent": "reception"})

KNOWN: list[tuple[dict[str, Any], Message]] = [
    ({"event": "connected", "protocol": "Call", "version": "1.0.0"}, Connected()),
    (start(), STARTED),
    (start(sampleRate="8000", channels="1"), STARTED),
    (start(encoding="audio/x-alaw"), Start(STREAM, CALL, ACCOUNT, PCMA, {"agent": "reception"})),
    (media(), Media(SOUND, "20")),
    (media(timestamp=20), Media(SOUND, 20)),
    (media(timestamp="0"), Media(SOUND, "0")),
    ({"event": "media", "media": {"payload": PAYLOAD}}, Media(SOUND, 0)),
    ({"event": "mark", "sequenceNumber": 4, "streamSid": STREAM, "mark": {"name": "g0:800"}}, Mark("g0:800")),
    ({"event": "mark", "mark": {"name": ""}}, Mark("")),
    *[(dtmf(digit), Dtmf(digit)) for digit in "0123456789*#ABCD"],
    ({"event": "stop", "streamSid": STREAM, "stop": {"accountSid": ACCOUNT, "callSid": CALL}}, Stop()),
    ({"event": "stop"}, Stop()),
    ({"event": "weather", "weather": {"is": "fine"}}, Ignored("weather")),
    ({"event": ""}, Ignored("")),
]


@pytest.mark.parametrize(("wire", "message"), KNOWN)
def test_every_message_of_twilio_is_understood_in_both_spellings_of_its_numbers(
    wire: dict[str, Any], message: Message
) -> None:
    assert decode(json.dumps(wire)) == message
    assert decode(json.dumps(wire).encode()) == message


@pytest.mark.parametrize("timestamp", ["1240", 1240])
def test_a_timestamp_is_a_number_of_milliseconds_however_it_is_written(timestamp: str | int) -> None:
    heard = decode(json.dumps(media(timestamp=timestamp)))
    assert isinstance(heard, Media)
    assert heard.timestamp_ms == 1240


def without(wire: dict[str, Any], part: str) -> dict[str, Any]:
    return {name: value for name, value in wire.items() if name != part}


def start_without(name: str) -> dict[str, Any]:
    wire = start()
    del wire["start"][name]
    return wire


BAD_SHAPES: list[object] = [
    {},
    [],
    None,
    7,
    "media",
    {"event": None},
    {"event": 7},
    {"event": ["media"]},
    without(media(), "media"),
    without(start(), "start"),
    without(dtmf("1"), "dtmf"),
    {"event": "mark"},
    {"event": "mark", "mark": {}},
    {"event": "mark", "mark": {"name": 7}},
    {"event": "mark", "mark": "g0:800"},
    {"event": "dtmf", "dtmf": {}},
    dtmf(1),
    {"event": "media", "media": None},
    {"event": "media", "media": {}},
    media(payload=None),
    media(payload=7),
    media(payload="no base64!"),
    media(payload=PAYLOAD[:-1]),
    media(payload=" " + PAYLOAD),
    media(payload=PAYLOAD.replace("+", "-") + "="),
    media(timestamp=None),
    media(timestamp=1.5),
    media(timestamp=True),
    *[start_without(name) for name in ("streamSid", "callSid", "accountSid", "mediaFormat")],
    start() | {"start": "now"},
    start() | {"streamSid": 7},
    start(encoding=None),
]


@pytest.mark.parametrize("wire", BAD_SHAPES)
def test_a_message_that_lacks_a_part_or_has_a_wrong_one_is_bad_and_no_more(wire: object) -> None:
    assert decode(json.dumps(wire)) == Bad("wrong_shape")


@pytest.mark.parametrize(
    "wire",
    [
        media(payload=""),
        media(payload=b64encode(bytes(LONGEST_PAYLOAD + 1)).decode()),
        media(timestamp=""),
        media(timestamp="-1"),
        media(timestamp="1.5"),
        media(timestamp="²"),
        media(timestamp="9" * (LONGEST_TIME_DIGITS + 1)),
        media(timestamp=-1),
        media(timestamp=10**LONGEST_TIME_DIGITS),
        media(timestamp=10**400),
    ],
)
def test_sound_of_no_length_too_much_length_or_no_time_is_bad(wire: dict[str, Any]) -> None:
    assert decode(json.dumps(wire)) == Bad("bad_payload")


@pytest.mark.parametrize("timestamp", ["9" * LONGEST_TIME_DIGITS, 10**LONGEST_TIME_DIGITS - 1])
def test_the_largest_payload_at_the_latest_time_is_sound_as_any(timestamp: str | int) -> None:
    loudest = bytes(LONGEST_PAYLOAD)
    heard = decode(json.dumps(media(b64encode(loudest).decode(), timestamp)))
    assert isinstance(heard, Media)
    assert (heard.payload, heard.timestamp_ms) == (loudest, 10**LONGEST_TIME_DIGITS - 1)


@pytest.mark.parametrize("digit", ["", "E", "a", "12", "١", "\x00"])
def test_a_key_no_telephone_has_is_bad(digit: str) -> None:
    assert decode(json.dumps(dtmf(digit))) == Bad("bad_digit")


@pytest.mark.parametrize(
    "media_format",
    [
        {"encoding": "audio/opus"},
        {"sampleRate": 16000},
        {"sampleRate": "16000"},
        {"sampleRate": "8000 "},
        {"channels": 2},
        {"channels": "2"},
    ],
)
def test_sound_in_a_format_a_telephone_does_not_have_is_bad(media_format: dict[str, Any]) -> None:
    assert decode(json.dumps(start(**media_format))) == Bad("unknown_media_format")


NO_JSON: list[bytes | str] = [
    "",
    " ",
    "hello",
    "{",
    '{"event":"stop"',
    '{"event":"stop"}}',
    "{'event':'stop'}",
    '{"event":NaN}',
    b"\xff\xfe",
    b'{"event":"\xff"}',
    '{"event":"\\ud800"}',
    '{"event":"\ud800"}',
    '{"x":' + "[" * 60_000,
]


@pytest.mark.parametrize("text", NO_JSON, ids=range(len(NO_JSON)))
def test_what_is_no_json_is_bad(text: bytes | str) -> None:
    assert decode(text) == Bad("not_json")


def test_a_message_longer_than_any_of_twilios_is_not_even_read() -> None:
    stop = '{"event":"stop"}'
    assert decode(stop.ljust(LONGEST_MESSAGE)) == Stop()
    assert decode(stop.ljust(LONGEST_MESSAGE + 1)) == Bad("too_long")
    assert decode(stop.encode().ljust(LONGEST_MESSAGE + 1)) == Bad("too_long")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["media", "start", "mark", "dtmf", "connected", "stop", "clear", "weather"])
PARTS = st.sampled_from([part for wire, _ in KNOWN for name, part in wire.items() if name == wire["event"]])


@st.composite
def nearly_messages(draw: st.DrawFn) -> dict[str, Any]:
    """Messages with an event of Twilio's and a part of some event's, of which something may be replaced."""
    event = draw(NAMES)
    part = dict(draw(PARTS))
    if draw(st.booleans()) and part:
        part[draw(st.sampled_from(sorted(part)))] = draw(JSON)
    return {"event": event, draw(st.just(event) | NAMES): part, "streamSid": draw(st.just(STREAM) | JSON)}


def check_is_a_message(heard: Message) -> None:
    """Whoever reads it may use every field, and answer on a stream of that name."""
    match heard:
        case Media():
            assert 0 < len(heard.payload) <= LONGEST_PAYLOAD
            assert 0 <= heard.timestamp_ms < 10**LONGEST_TIME_DIGITS
        case Start():
            assert json.loads(StreamWriter(heard.stream_sid).clear)["streamSid"] == heard.stream_sid
        case _:
            assert isinstance(heard, Mark | Dtmf | Stop | Connected | Ignored | Bad)


@given(st.text() | st.binary())
@example("\ud800")
@example("[" * 60_000)
def test_whatever_text_or_bytes_come_nothing_is_raised(text: str | bytes) -> None:
    check_is_a_message(decode(text))


@given(JSON | nearly_messages())
@example(media(timestamp=10**400))
def test_whatever_json_comes_nothing_is_raised_and_what_is_understood_can_be_used(wire: object) -> None:
    check_is_a_message(decode(json.dumps(wire)))


ODD_SIDS = ["", STREAM, 'MZ"quoted"', "MZ\\", "MZ{sid}", "MZ\n\t\x00", "MZé💥", "%s{0}"]


@pytest.mark.parametrize("stream_sid", ODD_SIDS)
@given(sound=st.binary(max_size=2_000), position=st.integers(0, 10**9), generation=st.integers(0, 10**6))
def test_messages_to_twilio_have_the_keys_it_allows_and_no_other(
    stream_sid: str, sound: bytes, position: int, generation: int
) -> None:
    # Twilio, "Media Streams: WebSocket messages", messages from your server: an extra key is error 31951.
    writer = StreamWriter(stream_sid)
    name = f"g{generation}:{position}"
    assert json.loads(writer.clear) == {"event": "clear", "streamSid": stream_sid}
    assert json.loads(writer.mark(name)) == {"event": "mark", "streamSid": stream_sid, "mark": {"name": name}}
    spoken = json.loads(writer.media(sound))
    assert b64decode(spoken["media"].pop("payload"), validate=True) == sound
    assert spoken == {"event": "media", "streamSid": stream_sid, "media": {}}


def test_a_second_of_sound_is_a_message_we_ourselves_would_read() -> None:
    sound = bytes(LONGEST_PAYLOAD)
    assert decode(StreamWriter(STREAM).media(sound)) == Media(sound, 0)
