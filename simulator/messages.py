"""The messages of a media stream, from Twilio's end: what it sends, and how strictly it reads.

Pure: text in, text out. Numbers inside messages are strings, as in the reference; only `sampleRate` and `channels`
are JSON numbers. Source: https://www.twilio.com/docs/voice/media-streams/websocket-messages
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from simulator.sound import RATE_HZ, Codec

MALFORMED_MESSAGE = 31950
"""https://www.twilio.com/docs/api/errors/31950: the frame is not text."""
INVALID_MESSAGE = 31951
"""https://www.twilio.com/docs/api/errors/31951: not JSON, unknown type, missing or extra field, wrong streamSid."""
_SHOWN_CHARACTERS = 120
"""How much of a wrong message a complaint quotes."""
_FIELDS: dict[str, dict[str, type]] = {
    "media": {"payload": str},
    "mark": {"name": str},
    "clear": {},
}
"""What stands inside the object that bears the event's name; `clear` has none."""


@dataclass(frozen=True, slots=True)
class Media:
    audio: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    pass


@dataclass(frozen=True, slots=True)
class Complaint:
    """What Twilio would write into its debugger."""

    code: int
    message: str


Heard: TypeAlias = Media | Mark | Clear


def read_message(frame: str | bytes, stream_sid: str) -> Heard | Complaint:
    """One frame from the gateway, or what is wrong with it. Never raises."""
    if isinstance(frame, bytes):
        return Complaint(MALFORMED_MESSAGE, f"a binary frame of {len(frame)} bytes; only text frames are read")
    try:
        message = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        return _invalid(f"not JSON: {error}", frame)
    if not isinstance(message, dict):
        return _invalid("not a JSON object", frame)
    event = message.get("event")
    if not isinstance(event, str) or event not in _FIELDS:
        return _invalid(f"unknown event {event!r}; known are {', '.join(_FIELDS)}", frame)
    wanted = {"event", "streamSid"} | ({event} if _FIELDS[event] else set())
    if fault := _fault_of_keys("the message", message, wanted):
        return _invalid(fault, frame)
    if message["streamSid"] != stream_sid:
        return _invalid(f"streamSid is {message['streamSid']!r}, this stream is {stream_sid!r}", frame)
    return _read_body(event, message.get(event), frame)


def _read_body(event: str, body: object, frame: str) -> Heard | Complaint:
    fields = _FIELDS[event]
    if not fields:
        return Clear()
    if not isinstance(body, dict):
        return _invalid(f"{event} is not an object", frame)
    if fault := _fault_of_keys(event, body, set(fields)):
        return _invalid(fault, frame)
    for name, kind in fields.items():
        if not isinstance(body[name], kind):
            return _invalid(f"{event}.{name} is not a string", frame)
    if event == "mark":
        return Mark(body["name"])
    try:
        return Media(base64.b64decode(body["payload"], validate=True))
    except (binascii.Error, ValueError) as error:
        return _invalid(f"media.payload is not base64: {error}", frame)


def _fault_of_keys(where: str, found: Mapping[str, object], wanted: set[str]) -> str:
    missing, extra = sorted(wanted - found.keys()), sorted(found.keys() - wanted)
    faults = [f"{where} lacks {', '.join(missing)}"] if missing else []
    if extra:
        faults.append(f"{where} has the extra field {', '.join(extra)}")
    return "; ".join(faults)


def _invalid(fault: str, frame: str) -> Complaint:
    shown = frame if len(frame) <= _SHOWN_CHARACTERS else frame[:_SHOWN_CHARACTERS] + "…"
    return Complaint(INVALID_MESSAGE, f"{fault} - in {shown}")


class MessageWriter:
    """Writes one stream's messages in order; owns `sequenceNumber` and `chunk`, so no message is written twice."""

    def __init__(self, account_sid: str, call_sid: str, stream_sid: str) -> None:
        self._account_sid = account_sid
        self._call_sid = call_sid
        self._stream_sid = stream_sid
        self._sequence = 0
        self._chunk = 0

    def connected(self) -> str:
        return '{"event":"connected","protocol":"Call","version":"1.0.0"}'

    def start(self, codec: Codec, parameters: Mapping[str, str]) -> str:
        body = {
            "accountSid": self._account_sid,
            "streamSid": self._stream_sid,
            "callSid": self._call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": codec.encoding, "sampleRate": RATE_HZ, "channels": 1},
            "customParameters": dict(parameters),
        }
        return self._numbered("start", body)

    def media(self, law: bytes, timestamp_ms: int) -> str:
        """`timestamp_ms`: when the frame's first sample was spoken, since the stream's start."""
        self._chunk += 1
        body = {
            "track": "inbound",
            "chunk": str(self._chunk),
            "timestamp": str(timestamp_ms),
            "payload": base64.b64encode(law).decode(),
        }
        return self._numbered("media", body)

    def dtmf(self, digit: str) -> str:
        return self._numbered("dtmf", {"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> str:
        return self._numbered("mark", {"name": name})

    def stop(self) -> str:
        return self._numbered("stop", {"accountSid": self._account_sid, "callSid": self._call_sid})

    def _numbered(self, event: str, body: Mapping[str, object]) -> str:
        self._sequence += 1
        message = {
            "event": event,
            "sequenceNumber": str(self._sequence),
            "streamSid": self._stream_sid,
            event: body,
        }
        return msgspec.json.encode(message).decode()
