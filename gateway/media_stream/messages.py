"""Twilio Media Streams messages, both ways, as two pure functions a direction. Opens nothing, closes nothing.

Source: Twilio, "Media Streams: WebSocket messages". Twilio is not consistent about numbers: most arrive as
strings, `mediaFormat`'s as numbers; both are accepted everywhere. Unknown events are ignored by whoever reads,
because Twilio adds some; nothing raises past `decode`, because one bad frame must never end a call.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from pipeline.audio.formats import PCMA, PCMU, AudioFormat

LONGEST_MESSAGE = 65_536
"""Bytes. A media message of 20 ms has about 380; custom parameters stay below 500 each."""

LONGEST_PAYLOAD = 8_192
"""Bytes of sound in one message: a second of G.711. Twilio sends 160."""

LONGEST_TIME_DIGITS = 15
"""Of a timestamp in ms: thirty thousand years, and still exact as a float."""

_ENCODINGS: dict[str, AudioFormat] = {"audio/x-mulaw": PCMU, "audio/x-alaw": PCMA}


class Media(msgspec.Struct, frozen=True):
    """Sound of the caller. Not a dataclass like the others, because it is what the hot path is made of."""

    payload: bytes
    """In the stream's format; the decoder reads base64, and only valid base64: junk would make the sound slip."""
    timestamp: str | int = 0

    @property
    def timestamp_ms(self) -> int:
        """From the stream's start to the first sample of the payload."""
        return int(self.timestamp)


class _MediaFormat(msgspec.Struct, rename="camel"):
    encoding: str
    sample_rate: str | int = 8000
    channels: str | int = 1


class _Start(msgspec.Struct, rename="camel"):
    stream_sid: str
    call_sid: str
    account_sid: str
    media_format: _MediaFormat
    custom_parameters: dict[str, str] = {}


class _Name(msgspec.Struct):
    name: str


class _Digit(msgspec.Struct):
    digit: str


class _Message(msgspec.Struct, rename="camel"):
    """Any message; which part is present depends on `event`."""

    event: str
    stream_sid: str = ""
    media: Media | None = None
    start: _Start | None = None
    mark: _Name | None = None
    dtmf: _Digit | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    pass


@dataclass(frozen=True, slots=True)
class Start:
    stream_sid: str
    call_sid: str
    account_sid: str
    audio_format: AudioFormat
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Mark:
    name: str


@dataclass(frozen=True, slots=True)
class Dtmf:
    digit: str


@dataclass(frozen=True, slots=True)
class Stop:
    pass


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event this version does not know."""

    event: str


@dataclass(frozen=True, slots=True)
class Bad:
    """Something that is not a message; `reason` is for the log and the metrics."""

    reason: str


Message: TypeAlias = Connected | Start | Media | Mark | Dtmf | Stop | Ignored | Bad

_decoder = msgspec.json.Decoder(_Message)


def decode(text: bytes | bytearray | str) -> Message:
    """What Twilio says with this text frame."""
    if len(text) > LONGEST_MESSAGE:
        return Bad("too_long")
    try:
        message = _decoder.decode(text)
        if message.event == "media":
            return _media(message.media)
    except msgspec.ValidationError:
        return Bad("wrong_shape")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Bad("not_json")
    match message.event:
        case "mark" if message.mark is not None:
            return Mark(message.mark.name)
        case "dtmf" if message.dtmf is not None:
            return _dtmf(message.dtmf.digit)
        case "start" if message.start is not None:
            return _start(message.start)
        case "connected":
            return Connected()
        case "stop":
            return Stop()
        case "mark" | "dtmf" | "start":
            return Bad("wrong_shape")
        case unknown:
            return Ignored(unknown)


def _media(media: Media | None) -> Media | Bad:
    if media is None:
        return Bad("wrong_shape")
    timestamp = media.timestamp
    if isinstance(timestamp, str):
        is_time = timestamp.isdecimal() and len(timestamp) <= LONGEST_TIME_DIGITS
    else:
        is_time = 0 <= timestamp < 10**LONGEST_TIME_DIGITS
    if not is_time or not 0 < len(media.payload) <= LONGEST_PAYLOAD:
        return Bad("bad_payload")
    return media


def _dtmf(digit: str) -> Message:
    return Dtmf(digit) if len(digit) == 1 and digit in "0123456789*#ABCD" else Bad("bad_digit")


def _start(start: _Start) -> Message:
    audio_format = _ENCODINGS.get(start.media_format.encoding)
    if audio_format is None or str(start.media_format.sample_rate) != str(audio_format.rate_hz):
        return Bad("unknown_media_format")
    if str(start.media_format.channels) != "1":
        return Bad("unknown_media_format")
    return Start(start.stream_sid, start.call_sid, start.account_sid, audio_format, start.custom_parameters)


class StreamWriter:
    """The messages to one stream. Twilio refuses any key it does not know, so these are all there are."""

    def __init__(self, stream_sid: str) -> None:
        # The head and tail are the same for every message of the stream: encode them once.
        sid = msgspec.json.encode(stream_sid).decode()
        self._media_head = f'{{"event":"media","streamSid":{sid},"media":{{"payload":"'
        self._mark_head = f'{{"event":"mark","streamSid":{sid},"mark":{{"name":"'
        self.clear = f'{{"event":"clear","streamSid":{sid}}}'
        """Empties Twilio's buffer; outstanding marks come back at once."""

    def media(self, payload: bytes) -> str:
        """Sound to play after all sent before; any length."""
        return f'{self._media_head}{b64encode(payload).decode("ascii")}"}}}}'

    def mark(self, name: str) -> str:
        """Comes back when all sound sent before has been played. `name` holds no character JSON escapes."""
        return f'{self._mark_head}{name}"}}}}'
