"""A large `input_audio_buffer.append`, decoded in a worker thread without keeping the event loop waiting.

An append may carry 15 MiB of sound (Realtime reference, section B.0), and no JSON parser lets go of the interpreter
lock while it reads 20 MiB. So the sound is found by searching, cut out, and decoded slice by slice; what is left is
a small event that the parser reads as always. It knows no dialect: all spell this event alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from pipeline import wire_fields as read
from pipeline.events.input_audio import InputAudioBufferAppend
from pipeline.events.refusal import BadEvent
from pipeline.json_text import Text, is_shallow
from pipeline.limits import Limits

HEAD_BYTES = 4 * 1024
"""The sound begins within these, in what every known client sends; else the event is read the general way."""

_AUDIO = re.compile(rb'(?<!\\)"audio"[ \t\r\n]*:[ \t\r\n]*"')
_STAND_IN = "cut out"
"""In place of the sound: not base64, so nobody can have sent it as such."""


class _OtherEscape(Exception):
    """The sound is written with escapes that only a JSON parser knows."""


class _Envelope(msgspec.Struct, tag_field="type", tag="input_audio_buffer.append"):
    audio: str
    event_id: str | None = None


_decoder = msgspec.json.Decoder(_Envelope)


def append_of(text: Text, *, limits: Limits, pause: Callable[[], None]) -> InputAudioBufferAppend | None:
    """The append that `text` spells; None: it is something else, or oddly written.

    `pause` is called between slices: there the thread lets others run. Raises `BadEvent` for sound that is not
    base64 or longer than an append may be.
    """
    found = _AUDIO.search(text, 0, HEAD_BYTES)
    if found is None:
        return None
    begin, end = found.end(), text.find(b'"', found.end())
    if end < 0:
        return None
    cut = text[:begin] + _STAND_IN.encode() + text[end:]
    envelope = _envelope(cut) if is_shallow(cut, limits.depth) else None
    if envelope is None:
        return None
    event_id = read.event_id_of({"event_id": envelope.event_id}, limits)
    try:
        audio = read.decoded(_slices(text, begin, end, pause), "audio", most_bytes=limits.append_bytes)
    except BadEvent as refusal:
        refusal.event_id = event_id
        raise
    except _OtherEscape:
        return None
    return InputAudioBufferAppend(audio=audio, event_id=event_id)


def _envelope(text: Text) -> _Envelope | None:
    try:
        envelope = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return envelope if envelope.audio == _STAND_IN else None  # else it was some other object's field


def _slices(text: Text, begin: int, end: int, pause: Callable[[], None]) -> Iterator[Text]:
    """The base64 between two quotes; some write its "/" with a backslash before it, as JSON allows."""
    while begin < end:
        step = min(begin + read.SLICE_CHARS, end)
        if text[step - 1] == 0x5C:
            step += 1  # a backslash belongs to what follows
        encoded = text[begin:step].replace(b"\\/", b"/")
        if b"\\" in encoded:
            raise _OtherEscape
        yield encoded
        begin = step
        pause()
