"""Control packets beside the sound; aiortc's reader and writer are the judge of both directions."""

from __future__ import annotations

import struct

import pytest
from aiortc.rtp import (
    RtcpByePacket,
    RtcpPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
)
from hypothesis import given
from hypothesis import strategies as st

from gateway.webrtc.rtcp import (
    Bye,
    Reception,
    ReportBlock,
    Reports,
    SenderReport,
    ntp_of,
    read_rtcp,
    write_rtcp,
)
from gateway.webrtc.rtp import header

OURS, THEIRS = 0x0A0B0C0D, 0xFACE
U32 = st.integers(0, 2**32 - 1)

senders = st.builds(SenderReport, ssrc=U32, ntp=st.integers(0, 2**64 - 1), timestamp=U32, packets=U32, octets=U32)
blocks = st.builds(
    ReportBlock,
    ssrc=U32,
    fraction_lost=st.integers(0, 255),
    lost=st.integers(-(2**23), 2**23 - 1),
    highest=U32,
    jitter=U32,
    last_report=U32,
    since_last_report=U32,
)


def _sender(ntp: int = 0) -> SenderReport:
    return SenderReport(ssrc=OURS, ntp=ntp, timestamp=5, packets=6, octets=7)


def _judged(sender: SenderReport) -> RtcpSenderInfo:
    return RtcpSenderInfo(
        ntp_timestamp=sender.ntp,
        rtp_timestamp=sender.timestamp,
        packet_count=sender.packets,
        octet_count=sender.octets,
    )


def _judged_block(block: ReportBlock) -> RtcpReceiverInfo:
    return RtcpReceiverInfo(
        ssrc=block.ssrc,
        fraction_lost=block.fraction_lost,
        packets_lost=block.lost,
        highest_sequence=block.highest,
        jitter=block.jitter,
        lsr=block.last_report,
        dlsr=block.since_last_report,
    )


def _reports() -> Reports:
    return Reports(OURS, "switchboard", 8_000)


def _rtp(sequence: int, timestamp: int, ssrc: int = THEIRS) -> bytes:
    return header(0, sequence, timestamp, ssrc, False) + b"\xff" * 160


def _block_of(compound: bytes) -> RtcpReceiverInfo:
    report = RtcpPacket.parse(compound)[0]
    assert isinstance(report, RtcpSrPacket)
    (block,) = report.reports
    return block


def _answer(ntp: int, *, since: int = 0, ssrc: int = OURS, fraction_lost: int = 0, lost: int = 0) -> bytes:
    """A receiver report of the peer about the report of ours with this time."""
    block = RtcpReceiverInfo(ssrc, fraction_lost, lost, 0, 0, ntp >> 16 & 0xFFFF_FFFF, since)
    return bytes(RtcpRrPacket(THEIRS, [block]))


@given(senders, st.lists(blocks, max_size=31), st.text(max_size=63))
def test_another_reader_finds_what_we_wrote(sender: SenderReport, told: list[ReportBlock], cname: str) -> None:
    report, names = RtcpPacket.parse(write_rtcp(sender, told, cname))
    assert isinstance(report, RtcpSrPacket)
    assert (report.ssrc, report.sender_info) == (sender.ssrc, _judged(sender))
    assert report.reports == [_judged_block(block) for block in told]
    assert isinstance(names, RtcpSdesPacket)
    assert [(chunk.ssrc, chunk.items) for chunk in names.chunks] == [(sender.ssrc, [(1, cname.encode())])]


@given(senders, st.lists(blocks, max_size=31), st.lists(U32, min_size=1, max_size=31))
def test_we_find_what_another_wrote(sender: SenderReport, told: list[ReportBlock], leaving: list[int]) -> None:
    judged = [_judged_block(block) for block in told]
    compound = (
        bytes(RtcpSrPacket(sender.ssrc, _judged(sender), judged))
        + bytes(RtcpRrPacket(1, judged))
        + bytes(RtcpByePacket(leaving))
    )
    assert read_rtcp(compound) == [sender, *told, *told, Bye(tuple(leaving))]


def test_padding_at_the_end_is_no_part_of_a_packet() -> None:
    plain = bytes(RtcpRrPacket(1, []))
    padded = bytes([0xA0 | 1, 203, 0, 2]) + struct.pack("!I", THEIRS) + b"\x00\x00\x00\x04"
    assert read_rtcp(plain + padded) == [Bye((THEIRS,))]


_GOOD = write_rtcp(_sender(), [], "x")

MALFORMED = {
    "less than a header": _GOOD + b"\x80\xc8\x00",
    "longer than it is": b"\x80\xc8\x00\xff" + bytes(24),
    "another version": b"\x40" + _GOOD[1:],
    "a sender report without its numbers": b"\x80\xc8\x00\x01" + bytes(4),
    "a sender report without its block": b"\x81\xc8\x00\x06" + bytes(24),
    "a receiver report without its block": b"\x81\xc9\x00\x01" + bytes(4),
    "a bye without who": b"\x82\xcb\x00\x01" + bytes(4),
    "no padding where some is said to be": b"\xa0\xcb\x00\x01" + bytes(4),
    "more padding than packet": b"\xa0\xcb\x00\x01" + b"\x00\x00\x00\x05",
    "padding of nothing": b"\xa0\xcb\x00\x00",
    "padding before the end": b"\xa0\xcb\x00\x01\x00\x00\x00\x04" + _GOOD,
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=list(MALFORMED))
def test_malformed_packets_tell_nothing(data: bytes) -> None:
    assert read_rtcp(data) == []
    assert read_rtcp(_GOOD + data) == []


def test_packets_of_kinds_that_tell_us_nothing_are_passed_over() -> None:
    feedback = b"\x81\xce\x00\x02" + bytes(8)  # a picture loss indication, RFC 4585
    assert read_rtcp(feedback + bytes(RtcpByePacket([THEIRS]))) == [Bye((THEIRS,))]


@given(st.binary(max_size=120), st.sampled_from([200, 201, 202, 203, 205]), st.integers(0, 31))
def test_no_bytes_make_reading_raise(data: bytes, kind: int, count: int) -> None:
    reports = _reports()
    reports.receive(data, 0.0)
    framed = bytes((0x80 | count, kind)) + struct.pack("!H", len(data) // 4) + data
    reports.receive(framed, 0.0)
    reports.note_packet(data, 0.0)
    assert RtcpPacket.parse(reports.made(1.0, _sender()))


def test_ntp_counts_from_1900_in_fractions_of_a_second() -> None:
    # 2024-01-01 00:00:00 UTC; RFC 5905's Figure 4 has 1999-12-31 as 3,155,587,200.
    assert ntp_of(1_704_067_200.25) == (3_913_056_000 << 32) + (1 << 30)
    assert ntp_of(946_598_400) >> 32 == 3_155_587_200
    assert ntp_of(2_085_978_496) == 0


def test_before_the_first_packet_of_the_peer_there_is_nothing_to_report_on() -> None:
    report, names = RtcpPacket.parse(_reports().made(0.0, _sender()))
    assert isinstance(report, RtcpSrPacket) and report.reports == []
    assert isinstance(names, RtcpSdesPacket) and names.chunks[0].items == [(1, b"switchboard")]


def test_lost_packets_are_told_since_the_beginning_and_since_the_last_report() -> None:
    reports = _reports()
    for n in (65_533, 65_534, 65_535, 0, 2, 3, 5, 6):
        reports.note_packet(_rtp(n, 160 * n), 0.02)
    block = _block_of(reports.made(1.0, _sender()))
    assert (block.ssrc, block.packets_lost, block.fraction_lost) == (THEIRS, 2, 2 * 256 // 10)
    assert block.highest_sequence == 65_536 + 6

    for n in (7, 8, 4):
        reports.note_packet(_rtp(n, 160 * n), 0.02)
    block = _block_of(reports.made(6.0, _sender()))
    assert (block.packets_lost, block.fraction_lost, block.highest_sequence) == (1, 0, 65_536 + 8)


def test_when_nothing_came_since_the_last_report_no_share_of_it_was_lost() -> None:
    reports = _reports()
    reports.note_packet(_rtp(1, 0), 0.0)
    reports.made(1.0, _sender())
    assert _block_of(reports.made(6.0, _sender())).fraction_lost == 0


def test_all_but_everything_lost_fits_into_its_field() -> None:
    reception = Reception(8_000)
    reception.note(_rtp(0, 0), 0.0)
    reception.block(0, 0)
    for n in range(2_999, 60_000, 2_999):
        reception.note(_rtp(n, 0), 0.0)
    block = reception.block(0, 0)
    assert block is not None and (block.fraction_lost, block.lost) == (255, 59_980 - 20)


@pytest.mark.parametrize("stray", [5_000, 40_000])
def test_a_great_jump_counts_once_a_second_packet_confirms_it(stray: int) -> None:
    reports = _reports()
    for n in (10, 11, stray, 12):
        reports.note_packet(_rtp(n, 0), 0.0)
    block = _block_of(reports.made(1.0, _sender()))
    assert (block.highest_sequence, block.packets_lost) == (12, 0)

    for n in (50_000, 50_001, 50_002):
        reports.note_packet(_rtp(n, 0), 0.0)
    block = _block_of(reports.made(6.0, _sender()))
    assert (block.highest_sequence, block.packets_lost) == (50_002, 0)


def test_another_sender_begins_anew() -> None:
    reports = _reports()
    for n in (1, 5):
        reports.note_packet(_rtp(n, 0), 0.0)
    reports.note_packet(_rtp(7, 0, ssrc=9), 0.0)
    block = _block_of(reports.made(1.0, _sender()))
    assert (block.ssrc, block.highest_sequence, block.packets_lost) == (9, 7, 0)


def test_jitter_follows_by_a_sixteenth_what_times_on_the_way_differ() -> None:
    reports = _reports()
    # 10 ms late are 80 ticks of 8 kHz; timestamps begin again at zero in between.
    told = []
    for n, late_s in enumerate((0.0, 0.0, 0.0, 0.010, 0.0)):
        reports.note_packet(_rtp(n, (2**32 - 160 + 160 * n) % 2**32), 100 + n * 0.02 + late_s)
        told.append(_block_of(reports.made(101.0, _sender())).jitter)
    assert told == [0, 0, 0, 5, int(5 + (80 - 5) / 16)]


def test_the_peer_learns_when_its_report_came() -> None:
    reports = _reports()
    reports.note_packet(_rtp(1, 0), 9.0)
    theirs = RtcpSenderInfo(ntp_timestamp=0x1111_2222_3333_4444, rtp_timestamp=0, packet_count=1, octet_count=1)
    reports.receive(bytes(RtcpSrPacket(THEIRS, theirs)), 10.0)
    block = _block_of(reports.made(11.5, _sender()))
    assert (block.lsr, block.dlsr) == (0x2222_3333, 3 << 15)


def test_a_report_of_another_sender_than_the_sounds_is_not_answered() -> None:
    reports = _reports()
    reports.note_packet(_rtp(1, 0), 9.0)
    reports.note_sr(SenderReport(ssrc=77, ntp=2**40, timestamp=0, packets=0, octets=0), 10.0)
    block = _block_of(reports.made(11.5, _sender()))
    assert (block.lsr, block.dlsr) == (0, 0)


def test_the_round_trip_is_told_by_the_answer_to_our_report() -> None:
    reports = _reports()
    assert (reports.round_trip_ms, reports.fraction_lost) == (None, None)
    ntp = ntp_of(1_800_000_000.0)
    reports.made(100.0, _sender(ntp))
    reports.receive(_answer(ntp, since=1 << 15, fraction_lost=64, lost=12), 100.58)
    assert reports.round_trip_ms == pytest.approx(80)
    assert (reports.fraction_lost, reports.lost) == (0.25, 12)


def test_an_answer_that_claims_to_be_older_than_the_question_took_no_time() -> None:
    reports = _reports()
    reports.made(100.0, _sender(2**40))
    reports.receive(_answer(2**40, since=1 << 17), 101.0)
    assert reports.round_trip_ms == 0


@pytest.mark.parametrize(
    ("ntp", "ssrc", "came_s"),
    [(2**41, OURS, 100.1), (0, OURS, 100.1), (2**40, OURS + 1, 100.1), (2**40, OURS, 200.0)],
    ids=["no report of ours", "none at all", "about another", "a minute and more"],
)
def test_what_answers_no_report_of_ours_tells_no_round_trip(ntp: int, ssrc: int, came_s: float) -> None:
    reports = _reports()
    reports.made(100.0, _sender(2**40))
    reports.receive(_answer(ntp, ssrc=ssrc), came_s)
    assert reports.round_trip_ms is None


def test_answers_to_reports_long_past_are_not_known_any_more() -> None:
    reports = _reports()
    for n in range(1, 10):
        reports.made(5.0 * n, _sender(n << 40))
    reports.receive(_answer(1 << 40), 46.0)
    assert reports.round_trip_ms is None
    reports.receive(_answer(2 << 40), 46.0)
    assert reports.round_trip_ms == pytest.approx(36_000)


def test_a_bye_counts_from_whom_we_hear() -> None:
    reports = _reports()
    reports.note_packet(_rtp(1, 0), 0.0)
    seen = []
    for ssrc in (OURS, THEIRS):
        reports.receive(bytes(RtcpByePacket([ssrc])), 1.0)
        seen.append(reports.has_left)
    assert seen == [False, True]
