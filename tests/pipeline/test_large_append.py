"""Large appends: the same event as by the parser, or a clear no."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events.input_audio import InputAudioBufferAppend
from pipeline.events.refusal import BadEvent
from pipeline.large_append import HEAD_BYTES, append_of
from pipeline.limits import USUAL, Limits
from pipeline.wire_fields import SLICE_CHARS

SOUND = bytes(range(256)) * 3_000
"""Several slices long."""
ENCODED = b64encode(SOUND)


def read(text: bytes | bytearray, limits: Limits = USUAL) -> InputAudioBufferAppend | None:
    return append_of(text, limits=limits, pause=lambda: None)


def event(audio: bytes, rest: bytes = b"") -> bytes:
    return b'{"type":"input_audio_buffer.append","audio":"%s"%s}' % (audio, rest)


@pytest.mark.parametrize(
    "text",
    [
        event(ENCODED, b',"event_id":"e"'),
        b'{"event_id":"e","audio" :\n "%s", "type":"input_audio_buffer.append"}' % ENCODED,
        event(ENCODED.replace(b"/", b"\\/"), b',"event_id":"e"'),
        b'{"type":"input_audio_buffer.append","x":"say \\"audio\\":\\"no\\"","event_id":"e","audio":"%s"}'
        % ENCODED,
    ],
    ids=["plain", "spaced", "escaped slashes", "a look-alike before it"],
)
def test_the_sound_is_found_however_it_is_written(text: bytes) -> None:
    assert read(text) == InputAudioBufferAppend(audio=SOUND, event_id="e")
    assert read(bytearray(text)) == InputAudioBufferAppend(audio=SOUND, event_id="e"), "as a server has it"


@pytest.mark.parametrize(
    "text",
    [
        b'{"type":"input_audio_buffer.commit"}',
        b'{"type":"conversation.item.create","item":{"audio":"%s"}}' % ENCODED,
        b'{"type":"input_audio_buffer.append","x":{"audio":"%s"},"audio":"QUJD"}' % ENCODED,
        b'{"type":"input_audio_buffer.append","x":{"audio":"%s"}}' % ENCODED,
        b'{"type":"input_audio_buffer.append","x":"%s","audio":"QUJD"}' % (b"x" * HEAD_BYTES),
        b'{"type":"input_audio_buffer.append","audio":"%s' % ENCODED,
        b'{"type":"input_audio_buffer.append","audio":"%s"' % ENCODED,
        event(b"QUJD\\u002f"),
        event(ENCODED[:SLICE_CHARS] + b"\\u0041"),
        event(ENCODED, b',"event_id":7'),
        event(ENCODED, b',"event_id":"\xff"'),
        event(ENCODED, b',"x":' + b"[" * 64 + b"]" * 64),
    ],
    ids=[
        "another event",
        "another event with sound",
        "sound of something inside",
        "sound of something inside only",
        "sound that begins late",
        "no closing quote",
        "no closing brace",
        "escapes",
        "escapes in a later slice",
        "event_id that is no string",
        "not UTF-8",
        "deeper than allowed",
    ],
)
def test_what_is_not_plainly_an_append_is_left_to_the_parser(text: bytes) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    "audio",
    [
        b"QQ",
        b"Q",
        b"QUJD QUJD",
        b"QQ==QUJD",
        b"QUJ_",
        b"QUJ\xff",
        b"A" * (SLICE_CHARS - 1) + b"=" + b"QUJD",
        b"A" * 5,
    ],
)
def test_sound_that_is_not_base64_is_refused_with_the_events_id(audio: bytes) -> None:
    with pytest.raises(BadEvent) as caught:
        read(event(audio, b',"event_id":"e"'))
    refusal = caught.value
    assert (refusal.code, refusal.param, refusal.event_id) == ("invalid_value", "audio", "e")


def test_an_escape_may_stand_where_two_slices_meet() -> None:
    encoded = b"A" + b"/" * (SLICE_CHARS + 3)
    assert len(encoded) % 4 == 0
    text = event(encoded.replace(b"/", b"\\/"))
    assert read(text) == InputAudioBufferAppend(audio=b64decode(encoded))


def test_sound_may_be_as_long_as_the_limit() -> None:
    assert read(event(ENCODED), Limits(append_bytes=len(SOUND))) is not None
    with pytest.raises(BadEvent) as caught:
        read(event(ENCODED), Limits(append_bytes=len(SOUND) - 1))
    assert (caught.value.code, caught.value.param) == ("invalid_value", "audio")


def test_an_event_id_past_the_limit_is_refused() -> None:
    with pytest.raises(BadEvent) as caught:
        read(event(ENCODED, b',"event_id":"%s"' % (b"x" * 513)))
    assert (caught.value.param, caught.value.event_id) == ("event_id", None)


def test_others_may_run_after_every_slice() -> None:
    pauses: list[None] = []
    append_of(event(ENCODED), limits=USUAL, pause=lambda: pauses.append(None))
    assert len(pauses) == -(-len(ENCODED) // SLICE_CHARS) > 2


@given(st.binary(max_size=50), st.integers(1, 3))
def test_any_sound_comes_back_whole(sound: bytes, repeat: int) -> None:
    sound = sound * repeat * 2_000
    for encoded in (b64encode(sound), b64encode(sound).replace(b"/", b"\\/")):
        assert read(event(encoded)) == InputAudioBufferAppend(audio=sound)
