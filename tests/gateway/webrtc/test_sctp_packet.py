from __future__ import annotations

from struct import pack

import pytest
from aiortc.rtcsctptransport import (
    DataChunk,
    HeartbeatChunk,
    InitChunk,
    ReconfigChunk,
    SackChunk,
    parse_packet,
    serialize_packet,
)
from google_crc32c import value as crc32c
from hypothesis import given
from hypothesis import strategies as st

from gateway.webrtc.sctp_packet import is_readable

HEADER = pack("!HHLL", 5000, 5000, 1, 0)


def chunk(kind: int, body: bytes, claimed_bytes: int | None = None) -> bytes:
    length = 4 + len(body) if claimed_bytes is None else claimed_bytes
    return pack("!BBH", kind, 0, length) + body + bytes(-len(body) % 4)


def test_what_aiortc_writes_is_readable() -> None:
    init = InitChunk()
    init.params = [(0x8008, b"\xc0\x82"), (0xC000, b"")]
    heartbeat = HeartbeatChunk()
    heartbeat.params = [(1, b"abc")]
    reset = ReconfigChunk()
    reset.params = [(13, bytes(14))]
    for wanted in (init, heartbeat, reset, DataChunk(), SackChunk()):
        assert is_readable(serialize_packet(5000, 5000, 1, wanted))


def test_several_chunks_may_share_a_packet() -> None:
    assert is_readable(HEADER + chunk(0, b"x" * 13) + chunk(3, bytes(12)) + chunk(4, pack("!HH", 1, 4)))


@pytest.mark.parametrize("kind", [4, 5, 6, 9, 130])
@pytest.mark.parametrize("length", [0, 1, 3, 9])
def test_a_parameter_with_a_length_that_cannot_be_is_not_readable(kind: int, length: int) -> None:
    parameter = pack("!HH", 1, length) + b"1234"
    assert not is_readable(HEADER + chunk(kind, parameter))
    assert is_readable(HEADER + chunk(kind, pack("!HH", 1, 8) + b"1234"))


@pytest.mark.parametrize("kind", [1, 2])
def test_parameters_of_an_init_come_after_its_fields(kind: int) -> None:
    assert is_readable(HEADER + chunk(kind, bytes(16)))
    assert is_readable(HEADER + chunk(kind, bytes(16) + pack("!HH", 1, 4)))
    assert not is_readable(HEADER + chunk(kind, bytes(16) + pack("!HH", 1, 0)))
    assert not is_readable(HEADER + chunk(kind, bytes(12)))


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        HEADER,
        HEADER + b"\0\0\0",
        HEADER + chunk(0, b"1234", claimed_bytes=0),
        HEADER + chunk(0, b"1234", claimed_bytes=3),
        HEADER + chunk(0, b"1234", claimed_bytes=9),
        HEADER + chunk(0, b"1234") + chunk(3, b"1234", claimed_bytes=2),
    ],
)
def test_a_chunk_that_does_not_end_in_the_packet_is_not_readable(packet: bytes) -> None:
    assert not is_readable(packet)


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 9, 130, 192, 77]), st.binary(max_size=40)),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_is_readable_is_read_by_aiortc_to_its_end(chunks: list[tuple[int, bytes]]) -> None:
    packet = HEADER + b"".join(chunk(kind, body) for kind, body in chunks)
    if is_readable(packet):
        checked = packet[:8] + pack("<L", crc32c(packet)) + packet[12:]
        try:
            parse_packet(checked)  # without an end for those that are not
        except Exception as fault:
            assert "unpack_from" in str(fault)  # too short for its fields, which the channel takes for a fault
