"""Reading a stream: what is heard, how it ends, and that neither depends on which way the frames come."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from gateway.fast_lane import Listener
from gateway.media_stream.pacer import TICK_S, Pacer
from gateway.media_stream.phone import Phone
from gateway.media_stream.reader import (
    BAD_FRAMES_WINDOW_S,
    FRAMES_PER_COUNT,
    MOST_BAD_FRAMES,
    QUIET_S,
    Reader,
    StreamEnd,
)
from gateway.media_stream.tap import Tap
from gateway.media_stream.timeline import Timeline
from gateway.metrics import Metrics
from pipeline.audio.formats import PCMU
from pipeline.engine import Engine
from pipeline.reports import DigitPressed, Report
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s, settle

pytestmark = pytest.mark.anyio

FRAME_MS = 20


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


@dataclass
class Ears:
    """An engine and a phone as far as a reader sees them; and a socket, with the short way or without."""

    heard: list[bytes] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    tapped: list[tuple[bytes, int]] = field(default_factory=list)
    stops: int = 0
    listener: Listener | None = None
    incoming: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)

    def hear(self, audio: bytes, timestamp_ms: int | None = None, now_s: float = 0.0) -> None:
        """An engine's, and a tap's."""
        if timestamp_ms is None:
            self.heard.append(audio)
        else:
            self.tapped.append((audio, timestamp_ms))

    def report(self, report: Report) -> None:
        self.reports.append(report)

    def stop(self) -> None:
        self.stops += 1

    def marked(self, name: str) -> None:
        self.marks.append(name)

    def listen(self, listener: Listener, *, takes_binary: bool = False) -> None:
        self.listener = listener

    def allow(self, most_bytes: int) -> None:
        raise AssertionError("media messages are small")

    def pause(self) -> None:
        raise AssertionError("media keeps its own pace")

    def resume(self) -> None:
        raise AssertionError("media keeps its own pace")

    def send_now(self, texts: Sequence[str | bytes]) -> bool:
        raise AssertionError("a reader does not speak")

    def cut(self) -> None:
        raise AssertionError("a reader leaves that to the owner of its socket")

    async def receive(self) -> dict[str, Any]:
        return await self.incoming.get()


class Stream:
    """A reader that reads, and the peer that feeds it."""

    def __init__(self, *, direct: bool, tap: Ears | None = None) -> None:
        self.ears = Ears()
        self.metrics = Metrics("test")
        self.pacer = Pacer()
        self.reader = Reader(
            cast(Engine, self.ears),
            cast(Phone, self.ears),
            Timeline(PCMU),
            self.pacer,
            self.metrics,
            self.ears.receive,
            self.ears if direct else None,
            cast(Tap | None, tap),
        )
        self.reading = asyncio.create_task(self.reader.read())

    async def say(self, *messages: object) -> None:
        for message in messages:
            text = message if isinstance(message, str) else json.dumps(message)
            if self.ears.listener is not None:
                self.ears.listener(text.encode())
            else:
                self.ears.incoming.put_nowait({"type": "websocket.receive", "text": text})
        await settle()

    async def speak(self, number: int) -> None:
        await self.say(media(number))

    async def hang_up(self) -> None:
        self.ears.incoming.put_nowait({"type": "websocket.disconnect", "code": 1005})
        await settle()

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"switchboard_{name}", labels)


def sound(number: int) -> bytes:
    return bytes([number % 100]) * PCMU.bytes_in(FRAME_MS)


def media(number: int) -> dict[str, Any]:
    payload = b64encode(sound(number)).decode()
    return {"event": "media", "media": {"payload": payload, "timestamp": str(number * FRAME_MS)}}


async def begun(*, direct: bool, tap: Ears | None = None) -> Stream:
    stream = Stream(direct=direct, tap=tap)
    await settle()
    return stream


both_ways = pytest.mark.parametrize("direct", [True, False])
STOP = {"event": "stop"}


@both_ways
async def test_sound_keys_and_marks_go_where_they_belong_until_twilio_says_stop(direct: bool) -> None:
    stream = await begun(direct=direct)
    await stream.say(
        {"event": "connected"},
        media(0),
        {"event": "dtmf", "dtmf": {"digit": "5"}},
        {"event": "mark", "mark": {"name": "g0:800"}},
        media(1),
        {"event": "weather"},
        media(4),
    )
    assert stream.ears.heard == [sound(0), sound(1), PCMU.silence * PCMU.bytes_in(40) + sound(4)]
    assert stream.ears.reports == [DigitPressed("5")]
    assert stream.ears.marks == ["g0:800"]
    assert (stream.reader.end, stream.ears.stops) == (None, 0)
    await stream.say(STOP)
    assert await stream.reading is StreamEnd.STOPPED
    assert (stream.reader.end, stream.ears.stops) == (StreamEnd.STOPPED, 1)
    assert stream.sample("audio_frames_total", direction="in") == 3


async def test_whoever_listens_in_is_told_every_frame_even_those_out_of_time() -> None:
    tapped = Ears()
    stream = await begun(direct=True, tap=tapped)
    for number in (0, 1, 0):
        await stream.speak(number)
    assert tapped.tapped == [(sound(0), 0), (sound(1), 20), (sound(0), 0)]
    assert stream.ears.heard == [sound(0), sound(1)]
    await stream.say(STOP)
    await stream.reading


@both_ways
async def test_a_socket_that_goes_away_without_a_word_is_lost(direct: bool) -> None:
    stream = await begun(direct=direct)
    await stream.speak(0)
    await stream.hang_up()
    assert await stream.reading is StreamEnd.LOST
    assert stream.ears.stops == 1


@both_ways
async def test_of_two_ends_the_first_counts_and_after_it_nothing_is_heard(direct: bool) -> None:
    stream = await begun(direct=direct)
    listener = stream.ears.listener
    await stream.say(STOP, STOP, media(0), {"event": "mark", "mark": {"name": "late"}})
    await stream.hang_up()
    assert await stream.reading is StreamEnd.STOPPED
    if listener is not None:
        listener(json.dumps(media(1)).encode())
    assert (stream.ears.heard, stream.ears.marks) == ([], [])


async def test_a_stop_counts_though_the_socket_goes_away_at_the_same_moment() -> None:
    stream = await begun(direct=False)
    stream.ears.incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(STOP)})
    await stream.hang_up()
    assert await stream.reading is StreamEnd.STOPPED


async def test_a_socket_that_cannot_be_listened_to_stops_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_ears: Ears, _listener: Listener) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(Ears, "listen", fail)
    stream = await begun(direct=True)
    with pytest.raises(RuntimeError, match="out of order"):
        await stream.reading
    assert (stream.reader.end, stream.ears.stops) == (None, 1)


@both_ways
async def test_a_reader_that_is_cancelled_stops_the_engine_and_tells_no_end(direct: bool) -> None:
    stream = await begun(direct=direct)
    stream.reading.cancel()
    await asyncio.wait([stream.reading])
    assert stream.reading.cancelled()
    assert (stream.reader.end, stream.ears.stops) == (None, 1)


@both_ways
async def test_a_socket_that_fails_stops_the_engine(direct: bool) -> None:
    stream = await begun(direct=direct)
    stream.ears.incoming.put_nowait({})
    with pytest.raises(ExceptionGroup):
        await stream.reading
    assert stream.ears.stops == 1


@both_ways
async def test_fifty_bad_frames_are_borne_and_the_next_is_abuse(direct: bool) -> None:
    stream = await begun(direct=direct)
    await asyncio.sleep(2 * BAD_FRAMES_WINDOW_S)
    await stream.say(*["no json"] * MOST_BAD_FRAMES)
    await stream.speak(0)
    assert stream.ears.heard == [sound(0)]
    assert not stream.reading.done()
    await stream.say("no json")
    assert await stream.reading is StreamEnd.ABUSED
    assert stream.sample("audio_frames_dropped_total", reason="not_json") == MOST_BAD_FRAMES + 1


async def test_a_bad_frame_now_and_then_ends_no_call() -> None:
    stream = await begun(direct=True)
    for _ in range(10 * MOST_BAD_FRAMES):
        await stream.say({"event": "media"})
        await asyncio.sleep(2 * BAD_FRAMES_WINDOW_S / MOST_BAD_FRAMES)
    assert not stream.reading.done()
    await stream.say(STOP)


async def test_a_binary_frame_is_a_bad_frame() -> None:
    stream = await begun(direct=True)
    stream.ears.incoming.put_nowait({"type": "websocket.receive", "bytes": b"\x00"})
    await settle()
    assert stream.sample("audio_frames_dropped_total", reason="not_json") == 1
    await stream.say(STOP)


@both_ways
async def test_sound_out_of_its_time_is_counted_and_not_heard(direct: bool) -> None:
    stream = await begun(direct=direct)
    await stream.say(media(0), media(1), media(2), media(0), media(9_999))
    assert len(stream.ears.heard) == 3
    assert stream.sample("audio_frames_dropped_total", reason="out_of_time") == 2
    await stream.say(STOP)


async def test_frames_are_counted_a_second_at_a_time_and_the_rest_at_the_end() -> None:
    stream = await begun(direct=True)
    for number in range(FRAMES_PER_COUNT + 3):
        await stream.speak(number)
    assert stream.sample("audio_frames_total", direction="in") == FRAMES_PER_COUNT
    await stream.say(STOP)
    assert stream.sample("audio_frames_total", direction="in") == FRAMES_PER_COUNT + 3


@both_ways
async def test_a_line_that_falls_quiet_is_heard_as_silence_of_the_same_length(direct: bool) -> None:
    stream = await begun(direct=direct)
    await stream.speak(0)
    began = now_s()
    await asyncio.sleep(10.0)
    silence = b"".join(stream.ears.heard[1:])
    assert set(silence) == set(PCMU.silence)
    assert len(silence) / PCMU.bytes_per_second == pytest.approx(10, abs=2 * QUIET_S)
    await stream.say(media(round((now_s() - began) * 1000 / FRAME_MS)))
    samples = len(b"".join(stream.ears.heard))
    assert samples / PCMU.rate_hz == pytest.approx(now_s() - began, abs=2 * FRAME_MS / 1000)
    await stream.say(STOP)
    await asyncio.sleep(5)
    assert len(b"".join(stream.ears.heard)) == samples


async def test_nothing_is_put_in_the_place_of_frames_that_come() -> None:
    stream = await begun(direct=True)
    for number in range(200):
        await stream.speak(number)
        await asyncio.sleep(FRAME_MS / 1000)
    assert stream.ears.heard == [sound(number) for number in range(200)]
    await stream.say(STOP)


async def test_a_line_that_was_never_heard_has_no_silence_to_fill() -> None:
    stream = await begun(direct=True)
    await asyncio.sleep(10 * QUIET_S)
    assert stream.ears.heard == []
    await stream.say(STOP)
    await asyncio.sleep(QUIET_S + 2 * TICK_S)
