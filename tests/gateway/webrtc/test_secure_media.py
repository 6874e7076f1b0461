from __future__ import annotations

from dataclasses import dataclass, field
from struct import pack
from typing import Any, cast

import pytest
from aioice.ice import Connection
from aiortc import RTCDtlsTransport
from pylibsrtp import Policy, Session

from gateway.webrtc.secure_media import MOST_SSRCS, SecureMedia

KEY = bytes(range(30))


def rtp(number: int, ssrc: int = 7, payload: bytes = b"sound") -> bytes:
    return pack("!BBHLL", 0x80, 111, number, number * 960, ssrc) + payload


def report(ssrc: int = 7) -> bytes:
    return pack("!BBHLQLLL", 0x80, 200, 6, ssrc, 1, 2, 3, 4)


def session(kind: int) -> Session:
    return Session(Policy(key=KEY, ssrc_type=kind, srtp_profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_80))


@dataclass
class Wire:
    """The transport of a nominated pair, and the parts of DTLS and ICE that lead to it."""

    sent: list[tuple[bytes, tuple[str, int]]] = field(default_factory=list)
    fault: Exception | None = None
    remote_addr: tuple[str, int] = ("192.0.2.1", 4_000)

    def __post_init__(self) -> None:
        self.protocol = self.transport = self
        self._nominated: dict[int, Wire] = {1: self}
        self._tx_srtp = session(Policy.SSRC_ANY_OUTBOUND)
        self._rx_srtp: Session | None = session(Policy.SSRC_ANY_INBOUND)
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.media = SecureMedia(
            cast(RTCDtlsTransport, cast(Any, self)),
            cast(Connection, cast(Any, self)),
            on_rtp=self.rtp.append,
            on_rtcp=self.rtcp.append,
        )
        self.theirs = session(Policy.SSRC_ANY_OUTBOUND)

    def sendto(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.fault is not None:
            raise self.fault
        self.sent.append((data, addr))


def test_packets_are_ciphered_and_sent_to_the_nominated_pair() -> None:
    wire = Wire()
    wire.media.send_rtp(rtp(1))
    wire.media.send_rtcp(report())
    theirs = session(Policy.SSRC_ANY_INBOUND)
    (first, to), (second, _) = wire.sent
    assert to == wire.remote_addr
    assert first != rtp(1) and theirs.unprotect(first) == rtp(1)
    assert theirs.unprotect_rtcp(second) == report()
    assert wire.media.unsent == 0


@pytest.mark.parametrize(
    "fault", [OSError("no route"), RuntimeError("the handler is closed"), ValueError("address")]
)
def test_sending_never_raises_and_is_counted(fault: Exception) -> None:
    wire = Wire(fault=fault)
    wire.media.send_rtp(rtp(1))
    wire.media.send_rtcp(report())
    assert (wire.media.unsent, wire.sent) == (2, [])


def test_packets_that_cannot_be_ciphered_are_counted() -> None:
    wire = Wire()
    wire.media.send_rtp(b"")
    wire.media.send_rtp(rtp(1, payload=bytes(2_000)))
    assert (wire.media.unsent, wire.sent) == (2, [])


def test_without_a_nominated_pair_nothing_is_sent() -> None:
    wire = Wire()
    wire._nominated.clear()
    wire.media.send_rtp(rtp(1))
    assert (wire.sent, wire.media.unsent) == ([], 0)


def test_packets_of_the_peer_are_deciphered_and_told_apart() -> None:
    wire = Wire()
    wire.media.receive(wire.theirs.protect(rtp(1)))
    wire.media.receive(wire.theirs.protect_rtcp(report()))
    assert (wire.rtp, wire.rtcp, wire.media.refused) == ([rtp(1)], [report()], 0)


def test_what_was_not_made_with_the_keys_or_comes_twice_is_refused() -> None:
    wire = Wire()
    good = wire.theirs.protect(rtp(1))
    wire.media.receive(rtp(2) + bytes(10))
    wire.media.receive(report() + bytes(14))
    wire.media.receive(good)
    wire.media.receive(good)
    assert (wire.rtp, wire.rtcp, wire.media.refused) == ([rtp(1)], [], 3)


def test_before_the_keys_are_there_nothing_passes() -> None:
    wire = Wire()
    wire._rx_srtp = None
    wire.media.receive(wire.theirs.protect(rtp(1)))
    assert (wire.rtp, wire.media.refused) == ([], 0)


def test_less_than_a_header_is_no_packet() -> None:
    wire = Wire()
    for length in range(1, 12):
        wire.media.receive(b"\x80\xc8"[:length] + bytes(max(0, length - 2)))
    assert (wire.rtp, wire.rtcp, wire.media.refused) == ([], [], 0)


def test_one_peer_may_have_only_so_many_sources() -> None:
    wire = Wire()
    for ssrc in range(MOST_SSRCS + 5):
        wire.media.receive(wire.theirs.protect(rtp(1, ssrc)))
    assert len(wire.rtp) == MOST_SSRCS
    assert wire.media.refused == 5
    wire.media.receive(wire.theirs.protect(rtp(2, 0)))
    assert wire.rtp[-1] == rtp(2, 0)


def test_sources_that_only_a_stranger_claims_do_not_count() -> None:
    wire = Wire()
    for ssrc in range(3 * MOST_SSRCS):
        wire.media.receive(rtp(1, ssrc) + bytes(10))
    wire.media.receive(wire.theirs.protect(rtp(1)))
    assert wire.rtp == [rtp(1)]
