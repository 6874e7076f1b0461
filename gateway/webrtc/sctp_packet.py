"""Whether a packet of SCTP can be read to its end: its lengths, before anything is made of it (RFC 9260).

aiortc walks parameters by the length they claim, and one that claims none keeps it walking for ever.
"""

from __future__ import annotations

from struct import unpack_from
from typing import Final

_COMMON_HEADER_BYTES: Final = 12
_HEADER_BYTES: Final = 4
"""Of a chunk, and of a parameter: kind, flags or none, length with this header."""

_PARAMETERS_FROM: Final = {
    1: 20,  # INIT
    2: 20,  # INIT ACK
    4: 4,  # HEARTBEAT
    5: 4,  # HEARTBEAT ACK
    6: 4,  # ABORT
    9: 4,  # ERROR
    130: 4,  # RE-CONFIG (RFC 6525)
}
"""Chunks that carry parameters, by their type: where in the chunk these begin."""


def is_readable(packet: bytes) -> bool:
    """Whether every chunk and every parameter has at least the length of its header, and ends inside the packet."""
    place, end = _COMMON_HEADER_BYTES, len(packet)
    if end < place + _HEADER_BYTES:
        return False
    while place <= end - _HEADER_BYTES:
        kind, _, length = unpack_from("!BBH", packet, place)
        if length < _HEADER_BYTES or place + length > end:
            return False
        start = _PARAMETERS_FROM.get(kind)
        if start is not None and not _are_readable(packet, place + start, place + length):
            return False
        place += length + -length % 4
    return True


def _are_readable(packet: bytes, place: int, end: int) -> bool:
    if place > end:
        return False
    while place <= end - _HEADER_BYTES:
        (length,) = unpack_from("!H", packet, place + 2)
        # "The length of a parameter includes the Type and Length fields" (RFC 9260, section 3.2.1).
        if length < _HEADER_BYTES or place + length > end:
            return False
        place += length + -length % 4
    return True
