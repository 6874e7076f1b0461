"""RTP packets: the header read and written, and arithmetic of numbers that begin again at zero (RFC 3550).

Knows nothing of codecs, of encryption or of what header extensions say: their contents are passed over.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

VERSION: Final = 2
"""The only one there is (RFC 3550, section 5.1)."""

HEADER_BYTES: Final = 12
"""Of a header without contributing sources and extension."""

_HEADER: Final = struct.Struct("!BBHII")
_PLAIN: Final = VERSION << 6
"""First byte of a packet that has no padding, extension or contributing source."""

_PADDING: Final = 0x20
_EXTENSION: Final = 0x10
_SOURCES: Final = 0x0F
_MARKER: Final = 0x80
_NUMBER: Final = 0x7F


class Rtp(NamedTuple):
    """One packet. A named tuple, because one is made fifty times a second for each peer."""

    sequence: int
    """0 to 65,535."""
    timestamp: int
    """0 to 2^32 - 1, in ticks of the codec's clock."""
    ssrc: int
    marker: bool
    number: int
    """The payload type, 0 to 127."""
    payload: bytes


def read_rtp(data: bytes) -> Rtp | None:
    """The packet in `data`, or None if it is not a whole RTP packet of version 2 (RFC 3550, 5.1 and 5.3.1)."""
    size = len(data)
    if size < HEADER_BYTES:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    begin, end = HEADER_BYTES, size
    if first != _PLAIN:
        if first >> 6 != VERSION:
            return None
        begin += 4 * (first & _SOURCES)
        if first & _EXTENSION:
            # "a 16-bit length field that counts the number of 32-bit words in the extension, excluding the
            # four-octet extension header" (5.3.1)
            begin += 4
            if begin > size:
                return None
            begin += 4 * int.from_bytes(data[begin - 2 : begin], "big")
        if first & _PADDING:
            # "The last octet of the padding contains a count of how many padding octets should be ignored,
            # including itself" (5.1): never none.
            if not data[-1]:
                return None
            end -= data[-1]
        if begin > end:
            return None
    return Rtp(sequence, timestamp, ssrc, second >= _MARKER, second & _NUMBER, data[begin:end])


def header(number: int, sequence: int, timestamp: int, ssrc: int, marker: bool) -> bytes:
    """The 12 bytes before a payload. Every number is taken as it fits its field: callers may count on."""
    return _HEADER.pack(
        _PLAIN,
        (_MARKER if marker else 0) | number & _NUMBER,
        sequence & 0xFFFF,
        timestamp & 0xFFFF_FFFF,
        ssrc & 0xFFFF_FFFF,
    )


def sequence_ahead_of(a: int, b: int) -> int:
    """How many packets `a` lies ahead of `b`: -32,768 to 32,767, less than 0 if it lies behind."""
    return ((a - b + 0x8000) & 0xFFFF) - 0x8000


def timestamp_ahead_of(a: int, b: int) -> int:
    """How many ticks of its clock `a` lies ahead of `b`: -2^31 to 2^31 - 1."""
    return ((a - b + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
