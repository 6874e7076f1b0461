"""Headers as RFC 3550 has them; aiortc's reader, which shares no code with ours, is the judge."""

from __future__ import annotations

import struct

import pytest
from aiortc.rtp import RtpPacket
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.webrtc.rtp import HEADER_BYTES, Rtp, header, read_rtp, sequence_ahead_of, timestamp_ahead_of

WORD = st.integers(0, 0xFFFF_FFFF)
SEQUENCE = st.integers(0, 0xFFFF)
PLAIN = header(111, 7, 960, 0xDEAD_BEEF, False)


@st.composite
def nearly_packets(draw: st.DrawFn) -> bytes:
    """Bytes with a header that promises sources, an extension and padding, and may not keep it."""
    first = 0x80 | draw(st.integers(0, 0x3F))
    sources = draw(st.binary(max_size=16))
    extension = struct.pack("!HH", draw(st.sampled_from((0xABAC, 1))), draw(st.integers(0, 4)))
    rest = draw(st.binary(max_size=40))
    return bytes((first, draw(st.integers(0, 255)))) + PLAIN[2:] + sources + extension + rest


def aiortc_reads(data: bytes) -> Rtp | None:
    try:
        packet = RtpPacket.parse(data)
    except ValueError:
        return None
    return Rtp(
        packet.sequence_number,
        packet.timestamp,
        packet.ssrc,
        bool(packet.marker),
        packet.payload_type,
        packet.payload,
    )


@given(st.one_of(nearly_packets(), st.binary(max_size=60)))
@example(b"\x90" + PLAIN[1:] + b"\xab\xac\x00")
@example(b"\xb0" + PLAIN[1:] + b"\xab\xac\x00\x00")
def test_whatever_comes_is_read_as_aiortc_reads_it(data: bytes) -> None:
    # Only what extensions contain is its business and not ours; their profiles are none it knows here.
    if len(data) >= 16 and data[0] & 0x10 and (b"\xbe\xde" in data or b"\x10\x00" in data):
        return
    assert read_rtp(data) == aiortc_reads(data)


@given(st.integers(0, 127), SEQUENCE, WORD, WORD, st.booleans(), st.binary(max_size=100))
def test_what_is_written_is_read(
    number: int, sequence: int, timestamp: int, ssrc: int, marker: bool, payload: bytes
) -> None:
    packet = header(number, sequence, timestamp, ssrc, marker) + payload
    theirs = RtpPacket(number, int(marker), sequence, timestamp, ssrc, payload)
    assert packet == theirs.serialize()
    assert read_rtp(packet) == Rtp(sequence, timestamp, ssrc, marker, number, payload)


def test_numbers_that_were_counted_on_are_written_modulo_their_field() -> None:
    assert header(96, 65_536 + 3, 2**32 + 5, 9, True) == header(96, 3, 5, 9, True)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "nothing"),
        (PLAIN[:-1], "11 bytes"),
        (b"\x40" + PLAIN[1:], "version 1"),
        (b"\x82" + PLAIN[1:] + bytes(7), "two sources, one byte short"),
        (b"\x90" + PLAIN[1:] + bytes(3), "an extension without a length"),
        (b"\x90" + PLAIN[1:] + b"\0\0\0\1" + bytes(3), "an extension past the end"),
        (b"\xa0" + PLAIN[1:] + b"a\0", "padding of no bytes"),
        (b"\xa0" + PLAIN[1:] + b"a\3", "padding longer than what there is"),
        (b"\xa0" + PLAIN[1:-1] + b"\1", "padding inside the header"),
    ],
)
def test_what_is_no_packet_is_none(data: bytes, what: str) -> None:
    assert read_rtp(data) is None, what


def test_sources_extension_and_padding_are_passed_over() -> None:
    data = b"\xb1" + PLAIN[1:] + bytes(4) + b"\xbe\xde\0\1abcd" + b"sound" + b"\0\0\3"
    packet = read_rtp(data)
    assert packet is not None
    assert packet.payload == b"sound"
    assert len(PLAIN) == HEADER_BYTES


@given(SEQUENCE, st.integers(-0x8000, 0x7FFF))
def test_sequence_numbers_go_round(a: int, ahead: int) -> None:
    assert sequence_ahead_of((a + ahead) & 0xFFFF, a) == ahead
    assert sequence_ahead_of(a + 5 * 0x1_0000 + ahead, a) == ahead


@given(WORD, st.integers(-0x8000_0000, 0x7FFF_FFFF))
def test_timestamps_go_round(a: int, ahead: int) -> None:
    assert timestamp_ahead_of((a + ahead) & 0xFFFF_FFFF, a) == ahead
