"""What a client sends, heard in its order: at once, later, in pieces, or not at all."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.fast_lane import Direct
from gateway.realtime.allowance import EventRate, ResponseAllowance
from gateway.realtime.floor import Floor
from gateway.realtime.ingress import MOST_WAITING_BYTES, MOST_WAITING_EVENTS, Ingress
from gateway.realtime.peer import Peer
from pipeline.audio.formats import PCM_24K, PCMU, AudioFormat
from pipeline.dialects import Dialect
from pipeline.engine import Engine
from pipeline.events.config import SessionConfig
from pipeline.events.event import ClientEvent
from pipeline.events.input_audio import InputAudioBufferAppend
from pipeline.events.refusal import BadEvent
from pipeline.wire import LARGE_TEXT_BYTES, Wire
from tests.virtual_time import settle

pytestmark = pytest.mark.anyio


class FakeEngine:
    """Writes down what it is given. `take_in` waits for `may_take_in`."""

    def __init__(self, format: AudioFormat = PCM_24K) -> None:
        self.session = SimpleNamespace(config=SessionConfig(input_format=format))
        self.is_running = True
        self.is_behind = False
        self.heard: list[ClientEvent] = []
        self.fault: Exception | None = None
        self.may_take_in = asyncio.Event()
        self.may_take_in.set()
        self.speakers: list[object] = []
        self.floor = Floor()

    def receive(self, event: ClientEvent) -> None:
        if self.fault is not None:
            raise self.fault
        self.heard.append(event)
        self.speakers.append(self.floor.speaker)

    async def take_in(self, event: InputAudioBufferAppend) -> None:
        await self.may_take_in.wait()
        self.heard.append(event)

    @property
    def sound(self) -> bytes:
        return b"".join(event.audio for event in self.heard if isinstance(event, InputAudioBufferAppend))

    @property
    def marks(self) -> list[str | None]:
        return [event.event_id for event in self.heard]


@dataclass
class FakePeer:
    wire: Wire = field(default_factory=lambda: Wire(Dialect.GA, opened_at_s=0.0))
    refused: list[tuple[str, str, str | None]] = field(default_factory=list)

    def refuse(self, bad: BadEvent, type: str = "invalid_request_error") -> None:
        self.refused.append((type, bad.code, bad.event_id))


@dataclass
class Valve:
    """The short way, as far as it can be shut."""

    is_open: bool = True
    turns: int = 0

    def pause(self) -> None:
        assert self.is_open
        self.is_open = False
        self.turns += 1

    def resume(self) -> None:
        assert not self.is_open
        self.is_open = True


class Way:
    """An ingress and everything around it."""

    def __init__(
        self,
        *,
        format: AudioFormat = PCM_24K,
        per_s: int = 0,
        allowance: ResponseAllowance | None = None,
        has_valve: bool = True,
    ) -> None:
        self.engine, self.peer, self.valve = FakeEngine(format), FakePeer(), Valve()
        self.failures = 0
        self._began_s = asyncio.get_running_loop().time()
        self.ingress = Ingress(
            cast(Engine, self.engine),
            cast(Peer, self.peer),
            cast(Direct, self.valve) if has_valve else None,
            rate=EventRate(per_s, 0.0),
            allowance=allowance,
            floor=self.engine.floor,
            decoding=asyncio.Semaphore(1),
            failed=self._fail,
            now=self.now,
        )

    def now(self) -> float:
        return asyncio.get_running_loop().time() - self._began_s

    def _fail(self) -> None:
        self.failures += 1

    def say(self, *marks: str, type: str = "response.cancel", **fields: Any) -> None:
        for mark in marks:
            self.ingress.take(json.dumps({"type": type, "event_id": mark, **fields}).encode())

    def append(self, audio: bytes, mark: str = "sound") -> None:
        self.say(mark, type="input_audio_buffer.append", audio=base64.b64encode(audio).decode())

    async def worked(self, count: int) -> Sequence[ClientEvent]:
        """Work until the engine has heard so many."""
        working = asyncio.create_task(self.ingress.work())
        while len(self.engine.heard) < count:  # noqa: ASYNC110 - a worker thread has no event for it
            await asyncio.sleep(0.01)
        await settle()
        working.cancel()
        return self.engine.heard


async def test_small_events_are_heard_where_they_arrive() -> None:
    way = Way()
    way.say("one", "two")
    way.append(b"\x01\x02")
    assert way.engine.marks == ["one", "two", "sound"]
    assert way.engine.speakers == [way.peer] * 3
    assert way.engine.floor.speaker is None


async def test_a_bad_event_is_refused_and_the_next_one_heard() -> None:
    way = Way()
    way.say("bad", type="nonsense")
    way.say("good")
    assert way.peer.refused == [("invalid_request_error", "invalid_value", "bad")]
    assert way.engine.marks == ["good"]


async def test_all_that_follows_a_large_event_waits_behind_it() -> None:
    way = Way()
    way.say("large", pad="x" * LARGE_TEXT_BYTES)
    way.say("bad", type="nonsense")
    way.append(b"\x01\x02")
    way.say("last")
    assert way.engine.heard == []
    await way.worked(3)
    assert way.engine.marks == ["large", "sound", "last"]
    assert [mark for _, _, mark in way.peer.refused] == ["bad"]
    way.say("at once again")
    assert way.engine.marks[-1] == "at once again"


async def test_a_large_event_that_is_none_is_refused() -> None:
    way = Way()
    way.ingress.take(b"x" * (LARGE_TEXT_BYTES + 1))
    way.say("next")
    await way.worked(1)
    assert [code for _, code, _ in way.peer.refused] == ["invalid_json"]


async def test_sound_that_comes_faster_than_it_is_judged_waits_with_all_that_follows() -> None:
    way = Way()
    way.engine.is_behind = True
    way.engine.may_take_in.clear()
    way.append(b"\x01\x02")
    working = asyncio.create_task(way.ingress.work())
    await settle()
    way.say("after")
    assert way.engine.heard == []
    way.engine.may_take_in.set()
    await settle()
    assert way.engine.marks == ["sound", "after"]
    working.cancel()


@pytest.mark.parametrize("has_valve", [True, False])
@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_the_connection_is_not_read_while_too_many_events_wait(over: int, has_valve: bool) -> None:
    way = Way(has_valve=has_valve)
    way.engine.is_behind = True
    for number in range(MOST_WAITING_EVENTS + over):
        way.append(b"\x01\x02", str(number))
    room = asyncio.create_task(way.ingress.has_room())
    await settle()
    assert room.done() == (over <= 0)
    assert way.valve.is_open == (over <= 0 or not has_valve)
    await way.worked(MOST_WAITING_EVENTS + over)
    assert way.engine.marks == [str(number) for number in range(MOST_WAITING_EVENTS + over)]
    assert room.done()
    assert way.valve.is_open


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_the_connection_is_not_read_while_too_much_waits(over: int) -> None:
    way = Way()
    text = b'{"type":"response.cancel","pad":"' + b"x" * (MOST_WAITING_BYTES + over - 35) + b'"}'
    assert len(text) == MOST_WAITING_BYTES + over
    way.ingress.take(text)
    assert way.valve.is_open == (over <= 0)
    await way.worked(1)
    assert way.valve.is_open


async def test_more_events_than_a_second_allows_are_heard_as_soon_as_they_may() -> None:
    way = Way(per_s=10)
    way.say(*(str(number) for number in range(25)))
    assert len(way.engine.heard) == 20
    await way.worked(25)
    assert way.engine.marks == [str(number) for number in range(25)]
    assert way.now() >= 0.4


async def test_half_a_sample_waits_for_its_other_half_however_it_comes() -> None:
    way = Way()
    sound = bytes(range(200))
    for at in range(0, 200, 7):
        way.append(sound[at : at + 7])
    assert way.engine.sound == sound
    assert all(len(event.audio) % 2 == 0 for event in way.engine.heard if isinstance(event, InputAudioBufferAppend))


async def test_after_a_clear_sound_begins_anew() -> None:
    way = Way()
    way.append(b"\x01\x02\x03")
    way.say("clear", type="input_audio_buffer.clear")
    way.append(b"\x04\x05")
    assert way.engine.sound == b"\x01\x02\x04\x05"


async def test_a_commit_tears_no_sample() -> None:
    way = Way()
    way.append(b"\x01\x02\x03")
    way.say("commit", type="input_audio_buffer.commit")
    way.append(b"\x04\x05\x06")
    assert way.engine.sound == b"\x01\x02\x03\x04\x05\x06"


async def test_bytes_of_g711_are_whole_samples() -> None:
    way = Way(format=PCMU)
    way.append(b"\x01\x02\x03")
    way.append(b"\x04")
    assert [event.audio for event in way.engine.heard if isinstance(event, InputAudioBufferAppend)] == [
        b"\x01\x02\x03",
        b"\x04",
    ]


@pytest.mark.parametrize("left", [2, 1, 0])
async def test_a_response_is_asked_for_as_long_as_there_is_one_left(left: int) -> None:
    allowance = ResponseAllowance(2, 0.0)
    for _ in range(2 - left):
        allowance.count(0.0)
    way = Way(allowance=allowance)
    way.say("mine", type="response.create")
    if left:
        assert way.engine.marks == ["mine"]
    else:
        assert way.engine.heard == []
        assert way.peer.refused == [("rate_limit_error", "rate_limit_exceeded", "mine")]


async def test_a_session_that_is_over_hears_nothing() -> None:
    way = Way()
    way.engine.is_running = False
    way.say("late")
    way.append(bytes(LARGE_TEXT_BYTES))
    working = asyncio.create_task(way.ingress.work())
    await asyncio.sleep(0.5)
    assert way.engine.heard == []
    working.cancel()


async def test_a_way_that_is_closed_hears_nothing_and_lets_the_client_be_read_to_its_end() -> None:
    way = Way()
    way.engine.is_behind = True
    for number in range(MOST_WAITING_EVENTS + 1):
        way.append(b"\x01\x02", str(number))
    assert not way.valve.is_open
    way.ingress.close()
    assert way.valve.turns == 1 and bool(way.valve.is_open)
    way.say("late")
    await way.ingress.has_room()
    assert way.engine.heard == []
    way.ingress.close()


async def test_a_fault_of_ours_is_told_and_not_raised_at_the_server() -> None:
    way = Way()
    way.engine.fault = RuntimeError("ours")
    way.say("one")
    assert way.failures == 1
