"""SRTP and SRTCP of one connection, with the keys of its DTLS: both ways at once, without a queue or a task.

aiortc would parse each packet, and have it pass a queue and a coroutine; a session does its own reading.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pylibsrtp
from aioice.ice import Connection
from aiortc import RTCDtlsTransport

MOST_SSRCS: Final = 16
"""Sources that one peer may send as: libsrtp keeps a context for each, for ever. Browsers use one or two."""

_SHORTEST_BYTES: Final = 12
"""The header of RTP (RFC 3550, section 5.1), and less than any SRTCP (RFC 3711, section 3.4)."""

_COMPONENT: Final = 1


class SecureMedia:
    """See the module's docstring. Before DTLS has ended and the peer's fingerprint was checked, nothing passes."""

    def __init__(
        self,
        dtls: RTCDtlsTransport,
        connection: Connection,
        *,
        on_rtp: Callable[[bytes], None],
        on_rtcp: Callable[[bytes], None],
    ) -> None:
        self._dtls = dtls
        self._connection = connection
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._ssrcs: set[bytes] = set()
        self.refused = 0
        """Packets that were not made with the keys, came twice, or are of one source too many."""
        self.unsent = 0
        """Packets that could not be sent."""

    def send_rtp(self, packet: bytes) -> None:
        """Needs DTLS to be up."""
        self._send(self._dtls._tx_srtp.protect, packet)

    def send_rtcp(self, packet: bytes) -> None:
        """Needs DTLS to be up."""
        self._send(self._dtls._tx_srtp.protect_rtcp, packet)

    def _send(self, protect: Callable[[bytes], bytes], packet: bytes) -> None:
        pair = self._connection._nominated.get(_COMPONENT)
        if pair is None:
            return
        try:
            # Over a relay this is aioice's own transport, which binds a channel first, in a task that it keeps.
            pair.protocol.transport.sendto(protect(packet), pair.remote_addr)
        except (pylibsrtp.Error, ValueError, OSError, RuntimeError):  # the last is uvloop's, of a closed socket
            self.unsent += 1

    def receive(self, data: bytes) -> None:
        """A datagram of a validated source whose first byte is that of RTP or RTCP."""
        srtp = self._dtls._rx_srtp
        if srtp is None or len(data) < _SHORTEST_BYTES:
            return
        # "RTCP packet types in the range 192-223" show in the second byte (RFC 5761, section 4).
        is_rtcp = 192 <= data[1] <= 223
        ssrc = data[4:8] if is_rtcp else data[8:12]
        if ssrc not in self._ssrcs and len(self._ssrcs) >= MOST_SSRCS:
            self.refused += 1
            return
        try:
            packet = srtp.unprotect_rtcp(data) if is_rtcp else srtp.unprotect(data)
        except pylibsrtp.Error:
            self.refused += 1
            return
        self._ssrcs.add(ssrc)
        (self._on_rtcp if is_rtcp else self._on_rtp)(packet)
