"""The sound of one peer connection by its clock, with a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media_stream.pacer import Pacer
from gateway.webrtc.loudspeaker import LONGEST_QUEUE_MS
from gateway.webrtc.offer import Audio
from gateway.webrtc.payload import FRAME_MS, Codec, Payload
from gateway.webrtc.rtp import header, read_rtp
from gateway.webrtc.track import PLAYED_EVERY, REPORT_EVERY_S, Track
from pipeline.audio.formats import PCMU
from pipeline.session import Session
from tests.virtual_time import VIRTUAL_TIME, VirtualTime

pytestmark = pytest.mark.anyio

SESSION = cast(Session, SimpleNamespace(config=SimpleNamespace(input_format=PCMU, output_format=PCMU)))
FRAME_BYTES = PCMU.bytes_in(FRAME_MS)
SOUND = b"\x20" * FRAME_BYTES
SSRC = 0xFEED


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


@dataclass
class Room:
    """A track in PCMU, and all that came out of it."""

    sent: list[bytes] = field(default_factory=list)
    reports: list[bytes] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    played: list[int] = field(default_factory=list)
    failures: int = 0
    tell: Callable[[int], None] | None = None

    def track(self, *, hears: bool = True, speaks: bool = True) -> Track:
        return Track(
            Audio(mid="0", payload=Payload(Codec.PCMU, 0), hears=hears, speaks=speaks),
            Pacer(),
            ssrc=SSRC,
            name="sess_1",
            send_rtp=self.sent.append,
            send_rtcp=self.reports.append,
            hear=self.heard.append,
            played=self.tell or self.played.append,
            failed=self._fail,
        )

    def _fail(self) -> None:
        self.failures += 1

    @property
    def spoken(self) -> list[bytes]:
        """The payloads that were sound."""
        packets = [read_rtp(packet) for packet in self.sent]
        return [packet.payload for packet in packets if packet is not None and packet.payload[:1] == SOUND[:1]]


def packet(sequence: int) -> bytes:
    """Of the client's voice."""
    return header(0, sequence, sequence * 160, 77, False) + b"\x10" * 160


async def frames(count: float) -> None:
    await asyncio.sleep(count * FRAME_MS / 1000)


async def test_packets_leave_by_the_clock_whether_there_is_sound_or_not() -> None:
    room = Room()
    track = room.track()
    track.begin(SESSION)
    await frames(10)
    assert len(room.sent) in (11, 12)
    track.push(SOUND * 3)
    await frames(10)
    track.stop()
    assert len(room.sent) in (21, 22)
    assert room.spoken == [SOUND] * 3
    sequences = [read.sequence for read in map(read_rtp, room.sent) if read is not None]
    assert [(after - before) % 2**16 for before, after in zip(sequences, sequences[1:], strict=False)] == [1] * (
        len(sequences) - 1
    )
    assert {read.ssrc for read in map(read_rtp, room.sent) if read is not None} == {SSRC}


async def test_nothing_leaves_before_it_begins_or_after_it_stopped() -> None:
    room = Room()
    track = room.track()
    track.push(SOUND)
    track.receive(packet(1))
    assert track.flush() == 0
    await frames(5)
    track.begin(SESSION)
    track.stop()
    track.begin(SESSION)
    track.push(SOUND)
    track.receive(packet(2))
    count = len(room.sent)
    await frames(5)
    assert len(room.sent) == count
    assert (room.heard, room.played, room.spoken) == ([], [], [])


async def test_the_first_of_its_sound_and_the_last_are_told_at_once_and_the_middle_now_and_then() -> None:
    room = Room()
    track = room.track()
    track.begin(SESSION)
    await frames(3)
    count = 2 * PLAYED_EVERY + 2
    track.push(SOUND * count)
    await frames(count + 3)
    track.stop()
    assert room.played[0] == FRAME_BYTES
    assert room.played[-1] == count * FRAME_BYTES
    told = [position // FRAME_BYTES for position in room.played]
    assert told == [1, 1 + PLAYED_EVERY, 1 + 2 * PLAYED_EVERY, count]


async def test_what_is_flushed_has_not_been_played_and_is_not_told_again() -> None:
    room = Room()
    track = room.track()
    track.begin(SESSION)
    track.push(SOUND * 20)
    await frames(5)
    position = track.flush()
    assert position == FRAME_BYTES * len(room.spoken)
    told = len(room.played)
    await frames(10)
    track.stop()
    assert len(room.played) == told
    assert position == FRAME_BYTES * len(room.spoken)


async def test_a_voice_that_is_far_ahead_waits_for_room() -> None:
    room = Room()
    track = room.track()
    track.begin(SESSION)
    await track.room()
    track.push(SOUND * (LONGEST_QUEUE_MS // FRAME_MS + 5))
    waiting = asyncio.create_task(track.room())
    await frames(1)
    assert not waiting.done()
    await frames(8)
    assert waiting.done()
    track.push(SOUND * 10)
    waiting = asyncio.create_task(track.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    track.flush()
    await waiting
    track.push(SOUND * (LONGEST_QUEUE_MS // FRAME_MS + 5))
    track.stop()
    await track.room()


async def test_what_the_client_says_is_heard_in_its_order() -> None:
    room = Room()
    track = room.track()
    track.begin(SESSION)
    for sequence in (1, 3, 2, 4, 5, 6):
        track.receive(packet(sequence))
        await frames(1)
    await frames(20)
    track.stop()
    assert b"".join(room.heard).count(b"\x10") >= 6 * 160


@pytest.mark.parametrize(("hears", "speaks"), [(True, False), (False, True)])
async def test_a_side_that_was_not_agreed_on_is_silent(hears: bool, speaks: bool) -> None:
    room = Room()
    track = room.track(hears=hears, speaks=speaks)
    track.begin(SESSION)
    track.push(SOUND * 5)
    for sequence in range(10):
        track.receive(packet(sequence))
        await frames(1)
    await frames(20)
    track.stop()
    assert bool(room.sent) == speaks
    assert bool(room.heard) == hears
    assert room.played[-1] == 5 * FRAME_BYTES, "the session's clock runs all the same"


async def test_both_sides_are_reported_every_few_seconds() -> None:
    room = Room()
    track = room.track()
    track.begin(SESSION)
    await asyncio.sleep(3 * REPORT_EVERY_S + 0.1)
    track.stop()
    assert len(room.reports) == 3
    # Sender reports are of type 200 (RFC 3550, section 6.4.1).
    assert {report[1] for report in room.reports} == {200}
    assert {int.from_bytes(report[4:8], "big") for report in room.reports} == {SSRC}


async def test_a_fault_of_ours_stops_the_sound_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: int) -> None:
        raise ZeroDivisionError

    room = Room(tell=fail)
    track = room.track()
    track.begin(SESSION)
    track.push(SOUND * 10)
    await frames(5)
    count = len(room.sent)
    await frames(20)
    assert room.failures == 1
    assert len(room.sent) == count
    await track.room()
    assert "fault of ours" in caplog.text


@given(st.lists(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"\x80\x00" + tail), max_size=8))
def test_no_packet_of_a_peer_is_a_fault(packets: list[bytes]) -> None:
    async def receive() -> int:
        room = Room()
        track = room.track()
        track.begin(SESSION)
        for one in packets:
            track.receive(one)
            track.receive_report(one)
            track._tick()
        track.stop()
        return room.failures

    assert asyncio.run(receive()) == 0
