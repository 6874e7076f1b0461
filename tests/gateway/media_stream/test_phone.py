"""The phone as a transport: order, what a flush takes back, room, and a peer that stops reading."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gateway.media_stream.messages import StreamWriter
from gateway.media_stream.pacer import TICK_S, Pacer
from gateway.media_stream.phone import WRITE_STALL_S, Phone
from gateway.media_stream.playback import LONGEST_QUEUE_MS, MARKS_MISSING_S, PIECE_MS, Playback
from gateway.media_stream.tap import Tap
from gateway.metrics import Metrics
from pipeline.audio.formats import PCMU
from pipeline.events.backchannel import BackchannelAudioDelta
from pipeline.events.event import ServerEvent
from pipeline.events.response import OutputAudioDelta, OutputAudioDone
from pipeline.reports import Played, Report
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s, settle

pytestmark = pytest.mark.anyio

LEAD_MS = 300
PIECE = PCMU.bytes_in(PIECE_MS)
STREAM = "MZ" + "c" * 32


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


@dataclass
class Peer:
    """The other end: what reached it, in order, and whether it reads."""

    texts: list[str] = field(default_factory=list)
    at_s: list[float] = field(default_factory=list)
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    takes_direct: bool = True
    direct_writes: int = 0
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.reads.set()

    async def send_text(self, text: str) -> None:
        await self.reads.wait()
        if self.error is not None:
            raise self.error
        self.take(text)

    def send_now(self, texts: Sequence[str | bytes]) -> bool:
        if not (self.takes_direct and self.reads.is_set()):
            return False
        self.direct_writes += 1
        for text in texts:
            assert isinstance(text, str), "Media Streams are written as text"
            self.take(text)
        return True

    def listen(self, listener: object, *, takes_binary: bool = False) -> None:
        raise AssertionError("a phone does not listen")

    def allow(self, most_bytes: int) -> None:
        raise AssertionError("a phone does not listen")

    def pause(self) -> None:
        raise AssertionError("a phone does not listen")

    def resume(self) -> None:
        raise AssertionError("a phone does not listen")

    def cut(self) -> None:
        raise AssertionError("a phone leaves that to the owner of its socket")

    def take(self, text: str) -> None:
        self.texts.append(text)
        self.at_s.append(now_s())

    @property
    def messages(self) -> list[str]:
        """The kind of each message, with the mark's name."""
        shown = []
        for text in self.texts:
            message = json.loads(text)
            shown.append(message["mark"]["name"] if message["event"] == "mark" else message["event"])
        return shown

    @property
    def sound(self) -> bytes:
        spoken = [json.loads(text) for text in self.texts]
        return b"".join(b64decode(m["media"]["payload"]) for m in spoken if m["event"] == "media")


@dataclass
class Conversation:
    """A phone, the peer it speaks to, and what it reported."""

    phone: Phone
    peer: Peer
    metrics: Metrics
    played: list[Report] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)

    def speak(self, sound: bytes) -> None:
        self.phone.send(delta(sound))

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"switchboard_{name}", labels)


def delta(sound: bytes) -> ServerEvent:
    return OutputAudioDelta(event_id="event", response_id="resp_1", item_id="item_1", output_index=0, delta=sound)


def sound(ms: float) -> bytes:
    return bytes(at // 3 % 256 for at in range(PCMU.bytes_in(ms)))


@asynccontextmanager
async def conversation(
    *, direct: bool, reports: bool = True, tap: Tap | None = None
) -> AsyncGenerator[Conversation, None]:
    """A phone whose writer runs, over a server that has the short way or has not."""
    peer, metrics = Peer(), Metrics("test")
    call: Conversation
    phone = Phone(
        StreamWriter(STREAM),
        Playback(PCMU, LEAD_MS),
        Pacer(),
        metrics,
        peer.send_text,
        lambda: call.lost.append(now_s()),
        peer if direct else None,
        tap,
    )
    call = Conversation(phone, peer, metrics)
    if reports:
        phone.report_to(call.played.append)
    writing = asyncio.create_task(phone.write())
    try:
        yield call
    finally:
        writing.cancel()
        await asyncio.wait([writing])


both_ways = pytest.mark.parametrize("direct", [True, False])


@both_ways
async def test_sound_leaves_as_media_and_marks_in_order_and_paced(direct: bool) -> None:
    async with conversation(direct=direct) as call:
        call.speak(sound(500))
        call.speak(sound(1_000)[PCMU.bytes_in(500) :])
        await settle()
        assert call.peer.messages == ["media", "g0:800", "media", "g0:1600", "media", "g0:2400"]
        await asyncio.sleep(2)
        marks = [f"g0:{PIECE * (number + 1)}" for number in range(10)]
        assert call.peer.messages == [name for mark in marks for name in ("media", mark)]
        assert call.peer.sound == sound(1_000)
        assert call.sample("audio_frames_total", direction="out") == 10
        for number, at_s in enumerate(call.peer.at_s[::2]):
            due = max(0.0, ((number + 1) * PIECE_MS - LEAD_MS) / 1000)
            assert due - TICK_S - 1e-6 <= at_s <= due + TICK_S


@both_ways
async def test_other_events_than_sound_are_nothing_to_a_phone(direct: bool) -> None:
    async with conversation(direct=direct) as call:
        call.phone.send(OutputAudioDone(event_id="event", response_id="resp_1", item_id="item_1", output_index=0))
        await settle()
        assert call.peer.texts == []


async def test_what_the_server_takes_at_once_needs_no_task() -> None:
    async with conversation(direct=True) as call:
        call.speak(sound(100))
        assert call.peer.messages == ["media", "g0:800"]
        assert call.peer.direct_writes == 1


async def test_order_is_kept_while_the_server_takes_things_at_once_and_then_does_not() -> None:
    async with conversation(direct=True) as call:
        for number in range(20):
            call.peer.takes_direct = number % 3 != 1
            call.speak(sound(2_000)[number * PIECE : (number + 1) * PIECE])
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        assert call.peer.sound == sound(2_000)
        assert [name for name in call.peer.messages if name != "media"] == [
            f"g0:{PIECE * (number + 1)}" for number in range(20)
        ]


async def test_what_waits_for_the_task_goes_before_what_the_server_would_take_at_once() -> None:
    async with conversation(direct=True) as call:
        call.peer.takes_direct = False
        call.speak(sound(200)[:PIECE])
        call.peer.takes_direct = True
        call.speak(sound(200)[PIECE:])
        assert call.peer.messages == ["media", "g0:800", "media", "g0:1600"]
        await settle()
        assert call.peer.sound == sound(200)


async def test_nothing_overtakes_a_message_that_is_being_written() -> None:
    async with conversation(direct=True) as call:
        call.peer.reads.clear()
        call.speak(sound(300)[: 2 * PIECE])
        await settle()  # the task hangs in the first message
        call.peer.reads.set()
        call.speak(sound(300)[2 * PIECE :])
        assert call.peer.texts == []
        await settle()
        assert call.peer.sound == sound(300)


@both_ways
async def test_a_flush_drops_what_was_not_sent_and_clears_what_was(direct: bool) -> None:
    async with conversation(direct=direct) as call:
        call.speak(sound(3_000))
        await asyncio.sleep(0.5)
        sent = len(call.peer.sound)
        position = call.phone.flush()
        assert position == pytest.approx(PCMU.bytes_in(500), abs=1)
        await asyncio.sleep(5)
        assert call.peer.messages[-1] == "clear"
        assert call.peer.messages.count("clear") == 1
        assert len(call.peer.sound) == sent


@both_ways
async def test_a_flush_takes_back_what_a_slow_peer_has_not_read(direct: bool) -> None:
    async with conversation(direct=direct) as call:
        call.peer.reads.clear()
        call.speak(sound(1_000))
        await settle()
        call.phone.flush()
        call.peer.reads.set()
        await settle()
        # The message that was being written cannot be taken back; its sound is cleared right behind it.
        assert call.peer.messages == (["media", "clear"])


@both_ways
async def test_sound_after_a_flush_is_of_the_next_generation(direct: bool) -> None:
    async with conversation(direct=direct) as call:
        call.speak(sound(1_000))
        await asyncio.sleep(0.1)
        position = call.phone.flush()
        call.speak(sound(100))
        await settle()
        assert call.peer.messages[-3:] == ["clear", "media", f"g1:{position + PIECE}"]


async def test_marks_that_come_back_are_reported_as_played_once() -> None:
    async with conversation(direct=True) as call:
        call.speak(sound(200))
        for name in ("g0:800", "g0:800", "g9:1600", "hello", "g0:1600"):
            call.phone.marked(name)
        assert call.played == [Played(800), Played(1_600)]


async def test_sound_whose_marks_never_come_is_reported_as_played_in_the_end() -> None:
    async with conversation(direct=True) as call:
        call.speak(sound(200))
        await asyncio.sleep(0.2 + MARKS_MISSING_S - TICK_S)
        assert call.played == []
        await asyncio.sleep(3 * TICK_S)
        assert call.played == [Played(1_600)]
        await asyncio.sleep(60)
        assert call.played == [Played(1_600)]


async def test_a_phone_nobody_listens_to_plays_all_the_same() -> None:
    async with conversation(direct=True, reports=False) as call:
        call.speak(sound(200))
        call.phone.marked("g0:800")
        await asyncio.sleep(5)
        assert call.peer.sound == sound(200)


@both_ways
async def test_a_voice_that_is_far_ahead_waits_for_room(direct: bool) -> None:
    async with conversation(direct=direct) as call:
        await asyncio.wait_for(call.phone.room(), 0.001)
        call.speak(sound(LONGEST_QUEUE_MS + LEAD_MS))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call.phone.room(), 0.001)
        began = now_s()
        await call.phone.room()
        assert now_s() - began == pytest.approx(PIECE_MS / 1000, abs=2 * TICK_S)


async def test_a_flush_makes_room() -> None:
    async with conversation(direct=True) as call:
        call.speak(sound(3 * LONGEST_QUEUE_MS))
        waiting = asyncio.create_task(call.phone.room())
        await settle()
        assert not waiting.done()
        call.phone.flush()
        await settle()
        assert waiting.done()


async def test_a_hole_in_speech_is_counted() -> None:
    async with conversation(direct=True) as call:
        call.speak(sound(200))
        await asyncio.sleep(0.3)
        call.speak(sound(200))
        assert call.sample("playout_underruns_total") == 1


@both_ways
async def test_a_peer_that_reads_nothing_is_given_up_after_three_seconds_and_once(direct: bool) -> None:
    async with conversation(direct=direct) as call:
        call.speak(sound(500))
        await asyncio.sleep(1)
        call.peer.reads.clear()
        call.speak(sound(60_000))
        stalled = now_s()
        await asyncio.sleep(WRITE_STALL_S - 0.1)
        assert call.lost == []
        await asyncio.sleep(60)
        (lost,) = call.lost
        assert stalled + WRITE_STALL_S < lost <= stalled + WRITE_STALL_S + PIECE_MS / 1000 + 2 * TICK_S


async def test_a_peer_whose_marks_stop_coming_in_mid_speech_is_given_up_though_the_kernel_takes_everything() -> (
    None
):
    async with conversation(direct=True) as call:
        call.speak(sound(60_000))
        call.phone.marked("g0:800")
        await asyncio.sleep(0.1 + WRITE_STALL_S - PIECE_MS / 1000)
        assert call.lost == []
        await asyncio.sleep(60)
        (lost,) = call.lost
        assert lost <= 0.1 + WRITE_STALL_S + PIECE_MS / 1000 + 2 * TICK_S


async def test_a_peer_that_never_sends_marks_is_believed() -> None:
    async with conversation(direct=True) as call:
        call.speak(sound(10_000))
        await asyncio.sleep(12)
        assert call.lost == []
        assert call.peer.sound == sound(10_000)


async def test_a_peer_that_reads_slowly_is_not_given_up() -> None:
    async with conversation(direct=False) as call:
        call.speak(sound(10_000))
        for _ in range(6):
            call.peer.reads.clear()
            await asyncio.sleep(WRITE_STALL_S - 1)
            call.peer.reads.set()
            await settle()
        await asyncio.sleep(10)
        assert call.lost == []
        assert call.peer.sound == sound(10_000)


@pytest.mark.parametrize(("error", "tells"), [(OSError("gone"), False), (RuntimeError("closed by us"), True)])
async def test_a_socket_that_is_gone_closes_the_phone_and_tells_whoever_would_not_know(
    error: Exception, tells: bool
) -> None:
    async with conversation(direct=False) as call:
        call.peer.error = error
        call.speak(sound(10_000))
        await asyncio.sleep(20)
        # Of a lost connection the reader is told; of one the server has closed nobody is.
        assert (call.lost == [pytest.approx(0, abs=TICK_S)]) if tells else (call.lost == [])
        await asyncio.wait_for(call.phone.room(), 0.001)
        assert call.peer.texts == []


@both_ways
async def test_a_closed_phone_says_nothing_more_and_holds_nobody_up(direct: bool) -> None:
    async with conversation(direct=direct) as call:
        call.speak(sound(10_000))
        await settle()
        said = len(call.peer.texts)
        call.phone.close()
        call.speak(sound(100))
        await asyncio.wait_for(call.phone.room(), 0.001)
        await asyncio.sleep(20)
        assert len(call.peer.texts) == said


async def test_a_murmur_is_played_in_the_lines_own_format_and_nothing_once_it_is_closed() -> None:
    async with conversation(direct=True) as call:
        murmur = BackchannelAudioDelta(event_id="e", backchannel_id="b", delta=bytes(4_800), line=sound(100))
        call.phone.send(murmur)
        assert call.peer.sound == sound(100)
        call.phone.send(BackchannelAudioDelta(event_id="e", backchannel_id="b", delta=bytes(4_800)))
        call.phone.close()
        call.phone.send(murmur)
        assert call.peer.sound == sound(100)


@dataclass
class Ledger:
    """A tap that writes down what passes."""

    lines: list[tuple[object, ...]] = field(default_factory=list)

    def hear(self, audio: bytes, timestamp_ms: int, now_s: float) -> None:
        raise AssertionError("a phone does not listen")

    def sent(self, audio: bytes, position: int, now_s: float) -> None:
        self.lines.append(("sent", len(audio), position))

    def played(self, position: int, now_s: float, *, by_mark: bool) -> None:
        self.lines.append(("played", position, by_mark))

    def flushed(self, position: int, now_s: float) -> None:
        self.lines.append(("flushed", position))

    def returned(self, position: int, now_s: float) -> None:
        self.lines.append(("returned", position))


async def test_whoever_listens_in_is_told_what_was_sent_and_played_and_thrown_away() -> None:
    ledger = Ledger()
    async with conversation(direct=True, tap=ledger) as call:
        call.speak(sound(PIECE_MS * 2))
        call.phone.marked(f"g0:{PIECE}")
        call.phone.marked("g7:1")
        position = call.phone.flush()
        call.phone.marked(f"g0:{2 * PIECE}")
        call.speak(sound(PIECE_MS))
        await asyncio.sleep(PIECE_MS / 1000 + MARKS_MISSING_S + 2 * TICK_S)
    assert ledger.lines == [
        ("sent", PIECE, PIECE),
        ("sent", PIECE, 2 * PIECE),
        ("played", PIECE, True),
        ("flushed", position),
        ("returned", 2 * PIECE),
        ("sent", PIECE, position + PIECE),
        ("played", position + PIECE, False),
    ]
