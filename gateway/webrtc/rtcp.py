"""Control packets beside the sound (RTCP, RFC 3550): what was sent, what arrived, and how long the way is.

Written: a sender report with our view of the peer's sound, and our name. Read: the same from the peer. What is not
well-formed is as if it had not come. Pure: every time is a parameter, in seconds of one clock unless its name says
otherwise. Knows nothing of encryption, and does not decide what follows from a report.
"""

from __future__ import annotations

import enum
import struct
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.webrtc.rtp import sequence_ahead_of

VERSION: Final = 2
MOST_REPORTS_KEPT: Final = 8
"""Of ours, by which an answer is known: at one in five seconds, answers may be 40 s late."""

MOST_AHEAD: Final = 3_000
"""Packets in a row that may be lost, a minute of sound; a greater jump is a new beginning (RFC 3550, A.1)."""

MOST_BEHIND: Final = 100
"""Packets that one may be late (RFC 3550, A.1)."""

LONGEST_ROUND_TRIP_S: Final = 60.0
"""What claims more counted wrong."""


class _Kind(enum.IntEnum):
    """Packet types (RFC 3550, section 12.1)."""

    SENDER_REPORT = 200
    RECEIVER_REPORT = 201
    DESCRIPTION = 202
    BYE = 203


_CNAME: Final = 1

_FIRST: Final = struct.Struct("!BBH")
_SENDER: Final = struct.Struct("!IQIII")
_SSRC: Final = struct.Struct("!I")
_BLOCK: Final = struct.Struct("!IIIIII")

_NTP_AT_UNIX_0_S: Final = 2_208_988_800
"""From 1900, where NTP begins to count, to 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """What a sender has sent by the time it says (RFC 3550, section 6.4.1)."""

    ssrc: int
    ntp: int
    """The world's time in 2^-32 seconds since 1900."""
    timestamp: int
    """The same time by the clock of its packets."""
    packets: int
    octets: int
    """Of payloads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBlock:
    """What one receiver tells of the packets of one sender (RFC 3550, section 6.4.1)."""

    ssrc: int
    """The sender it is about."""
    fraction_lost: int
    """Of the packets since the report before, in 256ths."""
    lost: int
    """Since the beginning; below 0 where duplicates are more."""
    highest: int
    """Sequence number, with the times it began again at zero above its 16 bits."""
    jitter: int
    """Of the times on the way, in ticks of the packets' clock."""
    last_report: int
    """The middle 32 bits of the time in the last sender report that came; 0 before the first."""
    since_last_report: int
    """In 2^-16 seconds."""


@dataclass(frozen=True, slots=True)
class Bye:
    """Senders that leave (RFC 3550, section 6.6)."""

    ssrcs: tuple[int, ...]


Told: TypeAlias = SenderReport | ReportBlock | Bye


def ntp_of(unix_s: float) -> int:
    """NTP's 64-bit time. It begins again in 2036, which receivers expect (RFC 3550, section 4)."""
    return int((unix_s + _NTP_AT_UNIX_0_S) * 2**32) & 0xFFFF_FFFF_FFFF_FFFF


def write_rtcp(sender: SenderReport, blocks: list[ReportBlock], cname: str) -> bytes:
    """A compound packet: the report first, then our name (RFC 3550, section 6.1). At most 31 blocks."""
    report = _SENDER.pack(sender.ssrc, sender.ntp, sender.timestamp, sender.packets, sender.octets)
    body = report + b"".join(map(_write_block, blocks))
    text = cname.encode()[:255]
    name = _SSRC.pack(sender.ssrc) + bytes((_CNAME, len(text))) + text
    # A null ends the items; with up to three more the chunk is whole words (RFC 3550, section 6.5).
    name += bytes(4 - len(name) % 4)
    return _write_packet(_Kind.SENDER_REPORT, len(blocks), body) + _write_packet(_Kind.DESCRIPTION, 1, name)


def read_rtcp(data: bytes) -> list[Told]:
    """What a compound packet tells, in its order; nothing if any part of it is malformed."""
    told: list[Told] = []
    at = 0
    while at < len(data):
        if at + _FIRST.size > len(data):
            return []
        first, kind, words = _FIRST.unpack_from(data, at)
        end = at + 4 * (words + 1)
        if first >> 6 != VERSION or end > len(data):
            return []
        body = data[at + _FIRST.size : end]
        if first & 0x20:
            # Padding stands at the end of the last packet and says in its last octet how long it is.
            if end != len(data) or not body or not 0 < body[-1] <= len(body):
                return []
            body = body[: -body[-1]]
        part = _read_part(kind, first & 0x1F, body)
        if part is None:
            return []
        told += part
        at = end
    return told


class Reports:
    """Both directions of one connection: feed it what comes, ask it for what to send and what is known."""

    def __init__(self, ssrc: int, cname: str, clock_hz: int) -> None:
        self._ssrc = ssrc
        self._cname = cname
        self._reception = Reception(clock_hz)
        self._sent: OrderedDict[int, float] = OrderedDict()
        """When our last reports were made, by the middle of their NTP times."""
        self._heard: tuple[int, int, float] | None = None
        """The peer's last report: whose, the middle of its NTP time, when it came."""
        self.round_trip_ms: float | None = None
        """As the last answer to a report of ours tells; None before the first."""
        self.fraction_lost: float | None = None
        """Of our packets, 0 to 1, as the peer's last report tells; None before the first."""
        self.lost = 0
        """Of our packets, since the beginning."""
        self.has_left = False
        """The peer has said that it leaves."""

    def note_packet(self, packet: bytes, now_s: float) -> None:
        """A packet of the peer's sound has come: a whole RTP packet, whatever is in it."""
        self._reception.note(packet, now_s)

    def receive(self, packet: bytes, now_s: float) -> None:
        """A control packet has come. Never raises."""
        for told in read_rtcp(packet):
            match told:
                case SenderReport():
                    self.note_sr(told, now_s)
                case ReportBlock() if told.ssrc == self._ssrc:
                    self._note_block(told, now_s)
                case Bye() if self._reception.ssrc in told.ssrcs:
                    self.has_left = True
                case _:
                    pass  # of others

    def note_sr(self, report: SenderReport, now_s: float) -> None:
        """The peer's report, to tell it when we had it: so it knows how long the way is."""
        self._heard = (report.ssrc, _middle(report.ntp), now_s)

    def made(self, now_s: float, sender: SenderReport) -> bytes:
        """The compound packet to send now."""
        self._sent[_middle(sender.ntp)] = now_s
        if len(self._sent) > MOST_REPORTS_KEPT:
            self._sent.popitem(last=False)
        last, since = 0, 0
        if self._heard is not None and self._heard[0] == self._reception.ssrc:
            last, since = self._heard[1], min(int((now_s - self._heard[2]) * 2**16), 0xFFFF_FFFF)
        block = self._reception.block(last, since)
        return write_rtcp(sender, [] if block is None else [block], self._cname)

    def _note_block(self, block: ReportBlock, now_s: float) -> None:
        self.fraction_lost = block.fraction_lost / 256
        self.lost = block.lost
        # By our own clock, not by the time in the packet: whoever answers a report we never made tells nothing.
        made_s = self._sent.get(block.last_report)
        if made_s is None:
            return
        round_trip_s = now_s - made_s - block.since_last_report / 2**16
        if round_trip_s <= LONGEST_ROUND_TRIP_S:
            # The peer's clock may run a little differently.
            self.round_trip_ms = max(0.0, round_trip_s * 1000)


class Reception:
    """What has come of the peer's packets, as RFC 3550 counts it (A.1, A.3 and A.8)."""

    _HEADER: Final = struct.Struct("!xxHII")

    def __init__(self, clock_hz: int) -> None:
        self._clock_hz = clock_hz
        self.ssrc: int | None = None
        """Whose packets; None before the first."""
        self._begin(0)

    def _begin(self, sequence: int) -> None:
        self._first = self._highest = sequence
        """Counted on over the 16 bits of a packet's number."""
        self._received = 0
        self._expected_before = self._received_before = 0
        """At the last report."""
        self._after_jump: int | None = None
        """Number that would show a jump to be a new beginning."""
        self._transit: int | None = None
        self._jitter = 0.0

    def note(self, packet: bytes, now_s: float) -> None:
        """A packet has come; what is too short to be one has not."""
        if len(packet) < 12:
            return
        sequence, timestamp, ssrc = self._HEADER.unpack_from(packet)
        if ssrc != self.ssrc:
            self.ssrc = ssrc
            self._begin(sequence)
        elif not self._follows(sequence):
            return
        self._received += 1
        transit = (int(now_s * self._clock_hz) - timestamp) & 0xFFFF_FFFF
        if self._transit is not None:
            step = ((transit - self._transit + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
            self._jitter += (abs(step) - self._jitter) / 16
        self._transit = transit

    def _follows(self, sequence: int) -> bool:
        """Whether this number belongs to what came before, or begins anew; else it is not counted, yet."""
        ahead = sequence_ahead_of(sequence, self._highest & 0xFFFF)
        if -MOST_BEHIND <= ahead < MOST_AHEAD:
            self._highest = max(self._highest, self._highest + ahead)
            return True
        if sequence == self._after_jump:
            self._begin(sequence)
            return True
        self._after_jump = (sequence + 1) & 0xFFFF
        return False

    def block(self, last_report: int, since_last_report: int) -> ReportBlock | None:
        """The block for the next report; None before the first packet."""
        if self.ssrc is None:
            return None
        expected = self._highest - self._first + 1
        expected_since = expected - self._expected_before
        lost_since = expected_since - (self._received - self._received_before)
        self._expected_before, self._received_before = expected, self._received
        lost = max(-0x80_0000, min(expected - self._received, 0x7F_FFFF))
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=min(255, (lost_since << 8) // expected_since) if lost_since > 0 else 0,
            lost=lost,
            highest=self._highest & 0xFFFF_FFFF,
            jitter=min(int(self._jitter), 0xFFFF_FFFF),
            last_report=last_report,
            since_last_report=since_last_report,
        )


def _middle(ntp: int) -> int:
    return ntp >> 16 & 0xFFFF_FFFF


def _write_packet(kind: int, count: int, body: bytes) -> bytes:
    return _FIRST.pack(VERSION << 6 | count, kind, len(body) // 4) + body


def _write_block(block: ReportBlock) -> bytes:
    return _BLOCK.pack(
        block.ssrc,
        block.fraction_lost << 24 | block.lost & 0xFF_FFFF,
        block.highest,
        block.jitter,
        block.last_report,
        block.since_last_report,
    )


def _read_part(kind: int, count: int, body: bytes) -> list[Told] | None:
    """One packet of a compound one; None if it is malformed. Kinds that tell us nothing are passed over."""
    match kind:
        case _Kind.SENDER_REPORT:
            if len(body) < _SENDER.size + count * _BLOCK.size:
                return None
            ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
            report = SenderReport(ssrc=ssrc, ntp=ntp, timestamp=timestamp, packets=packets, octets=octets)
            return [report, *_read_blocks(body, _SENDER.size, count)]
        case _Kind.RECEIVER_REPORT:
            if len(body) < _SSRC.size + count * _BLOCK.size:
                return None
            return list(_read_blocks(body, _SSRC.size, count))
        case _Kind.BYE:
            if len(body) < count * _SSRC.size:
                return None
            return [Bye(tuple(_SSRC.unpack_from(body, _SSRC.size * nth)[0] for nth in range(count)))]
        case _:
            return []


def _read_blocks(body: bytes, begin: int, count: int) -> list[ReportBlock]:
    blocks = []
    for nth in range(count):
        ssrc, losses, highest, jitter, last_report, since = _BLOCK.unpack_from(body, begin + nth * _BLOCK.size)
        lost = losses & 0xFF_FFFF
        blocks.append(
            ReportBlock(
                ssrc=ssrc,
                fraction_lost=losses >> 24,
                lost=lost - 0x100_0000 if lost & 0x80_0000 else lost,
                highest=highest,
                jitter=jitter,
                last_report=last_report,
                since_last_report=since,
            )
        )
    return blocks
