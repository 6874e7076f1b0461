from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.messages import Clear, Complaint, Mark, Media, MessageWriter, read_message
from simulator.sound import Codec

SID = "MZ" + "0" * 32
MEDIA = {"event": "media", "streamSid": SID, "media": {"payload": "AAE="}}


def read(message: Any) -> Any:
    return read_message(json.dumps(message), SID)


def test_the_three_messages_a_gateway_may_send_are_read() -> None:
    assert read(MEDIA) == Media(b"\x00\x01")
    assert read({"event": "mark", "streamSid": SID, "mark": {"name": "g1:800"}}) == Mark("g1:800")
    assert read({"event": "clear", "streamSid": SID}) == Clear()


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ([], "not a JSON object"),
        ({"streamSid": SID}, "unknown event None"),
        ({"event": "dtmf", "streamSid": SID, "dtmf": {"digit": "1"}}, "unknown event 'dtmf'"),
        ({"event": ["media"]}, "unknown event"),
        ({"event": "media", "streamSid": SID}, "the message lacks media"),
        ({**MEDIA, "sequenceNumber": "1"}, "extra field sequenceNumber"),
        ({**MEDIA, "streamSid": "MZ1"}, "streamSid is 'MZ1'"),
        ({"event": "clear"}, "the message lacks streamSid"),
        ({"event": "clear", "streamSid": SID, "clear": {}}, "extra field clear"),
        ({"event": "mark", "streamSid": SID, "mark": "x"}, "mark is not an object"),
        ({"event": "mark", "streamSid": SID, "mark": {}}, "mark lacks name"),
        ({"event": "mark", "streamSid": SID, "mark": {"name": 1}}, "mark.name is not a string"),
        ({"event": "media", "streamSid": SID, "media": {"payload": "AAE=", "track": "x"}}, "extra field track"),
        ({"event": "media", "streamSid": SID, "media": {"payload": "A"}}, "not base64"),
        ({"event": "media", "streamSid": SID, "media": {"payload": "ä"}}, "not base64"),
    ],
)
def test_a_wrong_message_is_31951_and_says_what_is_wrong(message: Any, fault: str) -> None:
    complaint = read(message)
    assert isinstance(complaint, Complaint)
    assert complaint.code == 31951 and fault in complaint.message


def test_a_binary_frame_is_31950_and_text_that_is_not_json_31951() -> None:
    binary, text = read_message(b"\x00" * 160, SID), read_message("hello" * 100, SID)
    assert isinstance(binary, Complaint) and (binary.code, "160 bytes" in binary.message) == (31950, True)
    assert isinstance(text, Complaint) and text.code == 31951
    assert len(text.message) < 300


@given(
    st.text(),
    st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    ),
)
def test_no_frame_makes_the_reader_raise(text: str, value: Any) -> None:
    for frame in (text, json.dumps(value), json.dumps({"event": "media", "streamSid": SID, "media": value})):
        assert isinstance(read_message(frame, SID), Media | Mark | Clear | Complaint)


def test_messages_to_the_gateway_have_twilios_fields_with_numbers_as_strings() -> None:
    writer = MessageWriter("AC1", "CA1", SID)
    written = [
        writer.connected(),
        writer.start(Codec.PCMA, {"line": "main"}),
        writer.media(b"\xff" * 160, 0),
        writer.dtmf("5"),
        writer.mark("m"),
        writer.media(b"\xff" * 160, 20),
        writer.stop(),
    ]
    payload = base64.b64encode(b"\xff" * 160).decode()
    assert [json.loads(one) for one in written] == [
        {"event": "connected", "protocol": "Call", "version": "1.0.0"},
        {
            "event": "start",
            "sequenceNumber": "1",
            "streamSid": SID,
            "start": {
                "accountSid": "AC1",
                "streamSid": SID,
                "callSid": "CA1",
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-alaw", "sampleRate": 8000, "channels": 1},
                "customParameters": {"line": "main"},
            },
        },
        {
            "event": "media",
            "sequenceNumber": "2",
            "streamSid": SID,
            "media": {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": payload},
        },
        {
            "event": "dtmf",
            "sequenceNumber": "3",
            "streamSid": SID,
            "dtmf": {"track": "inbound_track", "digit": "5"},
        },
        {"event": "mark", "sequenceNumber": "4", "streamSid": SID, "mark": {"name": "m"}},
        {
            "event": "media",
            "sequenceNumber": "5",
            "streamSid": SID,
            "media": {"track": "inbound", "chunk": "2", "timestamp": "20", "payload": payload},
        },
        {
            "event": "stop",
            "sequenceNumber": "6",
            "streamSid": SID,
            "stop": {"accountSid": "AC1", "callSid": "CA1"},
        },
    ]
