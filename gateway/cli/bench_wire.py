"""What crossed the sockets of the load, as the system counts it: bytes and segments of TCP, each way.

Read from Linux (`TCP_INFO`, https://man7.org/linux/man-pages/man7/tcp.7.html) of all connections of this process to
one port. The bytes are those that TCP carries: WebSocket headers are in them, headers of TCP and IP are not.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

_COUNTERS: Final = struct.Struct("=QQIIIIII")
"""Bytes acknowledged by the peer and received from it, segments out and in, bytes not sent, the least round trip,
segments with data in and out: `struct tcp_info` of linux/tcp.h from its 120th byte on."""

_COUNTERS_AT: Final = 120
_INFO_BYTES: Final = _COUNTERS_AT + _COUNTERS.size


@dataclass(frozen=True, slots=True)
class Crossed:
    """On one connection, or on several: from the load's end."""

    bytes_out: int = 0
    bytes_in: int = 0
    data_segments_out: int = 0
    data_segments_in: int = 0
    segments: int = 0
    """Both ways, those without data among them."""


Sockets: TypeAlias = Mapping[int, Crossed]
"""Each by its inode."""


def sockets_to(port: int) -> Sockets:
    """All connections of this process to that port, whoever opened them."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        # The folder's own descriptor is in the list, and closed by now.
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                with socket.socket(fileno=os.dup(int(name))) as one:
                    if one.family == socket.AF_INET and one.getpeername()[1] == port:
                        found[os.fstat(one.fileno()).st_ino] = _crossed(one)
    return found


def _crossed(one: socket.socket) -> Crossed:
    info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    acked, received, out, into, _, _, data_in, data_out = _COUNTERS.unpack_from(info, _COUNTERS_AT)
    return Crossed(acked, received, data_out, data_in, out + into)


def between(before: Sockets, after: Sockets) -> Crossed:
    """On the connections that were there at both moments."""
    both = [(before[inode], after[inode]) for inode in before if inode in after]
    return Crossed(
        bytes_out=sum(now.bytes_out - then.bytes_out for then, now in both),
        bytes_in=sum(now.bytes_in - then.bytes_in for then, now in both),
        data_segments_out=sum(now.data_segments_out - then.data_segments_out for then, now in both),
        data_segments_in=sum(now.data_segments_in - then.data_segments_in for then, now in both),
        segments=sum(now.segments - then.segments for then, now in both),
    )
