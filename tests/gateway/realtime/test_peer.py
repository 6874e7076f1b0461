"""A JSON client that reads, reads slowly, or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.fast_lane import Listener
from gateway.realtime.allowance import ResponseAllowance
from gateway.realtime.floor import Floor
from gateway.realtime.peer import MOST_WAITING_BYTES, ROOM_BYTES, STUCK_S, Peer
from gateway.realtime.session_end import SessionEnd
from gateway.realtime.wiring import Wiring
from pipeline.dialects import Dialect
from pipeline.events.conversation import ConversationItemDone
from pipeline.events.error import ErrorDetail, ErrorEvent
from pipeline.events.event import ServerEvent
from pipeline.events.input_audio import InputAudioBufferCleared
from pipeline.events.items import Message
from pipeline.events.refusal import BadEvent
from pipeline.events.response import OutputAudioDelta, ResponseCreated, ResponseSnapshot
from pipeline.wire import DELTA_BYTES, Wire
from tests.fakes import Ids
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, settle

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


@dataclass
class Socket:
    """Both ways to a client, one of them short; `reads` is whether it takes what it is sent."""

    reads: asyncio.Event = field(default_factory=asyncio.Event)
    is_free: bool = True
    fault: Exception | None = None
    got: list[dict[str, Any]] = field(default_factory=list)
    lost: list[SessionEnd] = field(default_factory=list)

    def send_now(self, texts: Sequence[str | bytes]) -> bool:
        if self.is_free:
            self.got.extend(json.loads(text) for text in texts)
        return self.is_free

    async def send_text(self, text: str) -> None:
        await self.reads.wait()
        if self.fault is not None:
            raise self.fault
        self.got.append(json.loads(text))

    @property
    def types(self) -> list[str]:
        return [one["type"] for one in self.got]

    def listen(self, listener: Listener, *, takes_binary: bool = False) -> None:
        raise NotImplementedError

    def allow(self, most_bytes: int) -> None:
        raise NotImplementedError

    def pause(self) -> None:
        raise NotImplementedError

    def resume(self) -> None:
        raise NotImplementedError

    def cut(self) -> None:
        raise NotImplementedError


def peer_of(
    socket: Socket,
    *,
    is_short: bool = True,
    dialect: Dialect = Dialect.GA,
    allowance: ResponseAllowance | None = None,
    counts: bool = True,
    floor: Floor | None = None,
) -> Peer:
    wiring = Wiring(
        wire=Wire(dialect, opened_at_s=0.0),
        floor=floor or Floor(),
        allowance=allowance,
        make_id=Ids(),
        now=asyncio.get_running_loop().time,
        on_end=lambda: None,
    )
    return Peer(wiring, socket.send_text, socket.lost.append, socket if is_short else None, counts=counts)


def sound(size: int) -> OutputAudioDelta:
    return OutputAudioDelta(event_id="e", response_id="r", item_id="i", output_index=0, delta=bytes(size))


def cleared(name: str = "event") -> ServerEvent:
    return InputAudioBufferCleared(event_id=name)


CREATED = ResponseCreated(
    event_id="created", response=ResponseSnapshot(id="resp", status="in_progress", conversation_id="conv")
)


async def test_what_can_be_written_at_once_does_not_wait() -> None:
    socket = Socket()
    peer = peer_of(socket)
    peer.send(cleared("one"))
    peer.send(cleared("two"))
    assert [one["event_id"] for one in socket.got] == ["one", "two"]
    assert peer.waiting_bytes == 0
    await peer.drained()


async def test_long_sound_goes_in_pieces() -> None:
    socket = Socket()
    peer_of(socket).send(sound(2 * DELTA_BYTES + 4))
    assert socket.types == ["response.output_audio.delta"] * 3
    assert len({one["event_id"] for one in socket.got}) == 3


async def test_an_event_the_dialect_does_not_have_is_not_sent() -> None:
    socket = Socket()
    item = Message(id="item", role="user", content=())
    done = ConversationItemDone(event_id="e", previous_item_id=None, item=item)
    peer_of(socket, dialect=Dialect.BETA).send(done)
    assert socket.got == []


@pytest.mark.parametrize("is_short", [True, False])
async def test_what_has_to_wait_is_sent_in_order(is_short: bool) -> None:
    socket = Socket(is_free=False)
    peer = peer_of(socket, is_short=is_short)
    writing = asyncio.create_task(peer.write())
    peer.send(cleared("one"))
    await settle()
    socket.is_free = True  # but the first is not through yet
    peer.send(cleared("two"))
    await settle()
    assert socket.got == []
    socket.reads.set()
    await peer.drained()
    peer.send(cleared("three"))
    await peer.drained()
    assert [one["event_id"] for one in socket.got] == ["one", "two", "three"]
    assert peer.waiting_bytes == 0
    writing.cancel()


async def test_sound_waits_for_room_while_much_waits_for_the_client() -> None:
    socket = Socket(is_free=False)
    peer = peer_of(socket)
    writing = asyncio.create_task(peer.write())
    await peer.room()
    while peer.waiting_bytes <= ROOM_BYTES:
        peer.send(sound(DELTA_BYTES))
    waiting = asyncio.create_task(peer.room())
    await settle()
    assert not waiting.done()
    socket.reads.set()
    await waiting
    await peer.drained()
    assert peer.waiting_bytes == 0
    writing.cancel()


async def test_a_client_that_leaves_too_much_is_given_up() -> None:
    socket = Socket(is_free=False)
    peer = peer_of(socket)
    writing = asyncio.create_task(peer.write())
    sent = 0
    while not socket.lost:
        most = peer.waiting_bytes
        peer.send(sound(DELTA_BYTES))
        sent += 1
        assert sent < 1_000
    assert socket.lost == [SessionEnd.SLOW_READER]
    assert MOST_WAITING_BYTES - 2 * DELTA_BYTES < most <= MOST_WAITING_BYTES
    assert peer.waiting_bytes == 0  # nothing is kept for it
    peer.send(cleared())
    peer.refuse(BadEvent("code", "words"))
    await peer.room()
    await peer.drained()
    assert socket.lost == [SessionEnd.SLOW_READER]
    assert socket.got == []
    writing.cancel()


async def test_a_client_that_takes_nothing_for_long_is_given_up() -> None:
    socket = Socket(is_free=False)
    peer = peer_of(socket)
    began_s = asyncio.get_running_loop().time()
    peer.send(cleared())
    await peer.write()
    assert asyncio.get_running_loop().time() - began_s == STUCK_S
    assert socket.lost == [SessionEnd.SLOW_READER]


@pytest.mark.parametrize("fault", [OSError("gone"), RuntimeError("closed")])
async def test_a_socket_that_is_gone_is_said_nothing_more(fault: Exception) -> None:
    socket = Socket(is_free=False, fault=fault)
    socket.reads.set()
    peer = peer_of(socket)
    peer.send(cleared())
    await peer.write()
    await peer.drained()
    assert socket.lost == []  # whoever reads it is told so


async def test_a_socket_closed_while_a_text_is_on_its_way_forgets_the_rest() -> None:
    socket = Socket(is_free=False)
    peer = peer_of(socket)
    writing = asyncio.create_task(peer.write())
    peer.send(cleared("one"))
    peer.send(cleared("two"))
    await settle()
    peer.close()
    socket.reads.set()
    await settle()
    assert [one["event_id"] for one in socket.got] == ["one"]
    assert not writing.done()
    writing.cancel()


async def test_an_error_is_told_to_who_made_it() -> None:
    floor, socket = Floor(), Socket()
    peer = peer_of(socket, floor=floor)
    error = ErrorEvent(event_id="e", error=ErrorDetail(type="invalid_request_error", message="words"))
    floor.speaker = object()
    peer.send(error)
    assert socket.got == []
    floor.speaker = peer
    peer.send(error)
    floor.speaker = None
    peer.send(error)
    assert socket.types == ["error", "error"]


async def test_a_refusal_has_all_that_clients_look_for() -> None:
    socket = Socket()
    peer_of(socket).refuse(BadEvent("invalid_value", "Words.", "session.x", event_id="mine"))
    assert socket.got[0]["error"] == {
        "type": "invalid_request_error",
        "code": "invalid_value",
        "message": "Words.",
        "param": "session.x",
        "event_id": "mine",
    }


@pytest.mark.parametrize(("counts", "remaining"), [(True, 1), (False, 2)])
async def test_the_limits_are_told_after_each_response_has_begun(counts: bool, remaining: int) -> None:
    socket = Socket()
    peer_of(socket, allowance=ResponseAllowance(2, 0.0), counts=counts).send(CREATED)
    assert socket.types == ["response.created", "rate_limits.updated"]
    assert socket.got[1]["rate_limits"][0]["remaining"] == remaining


async def test_where_there_is_no_limit_none_is_told() -> None:
    socket = Socket()
    peer_of(socket).send(CREATED)
    assert socket.types == ["response.created"]


async def test_a_client_that_plays_for_itself_is_never_flushed() -> None:
    peer = peer_of(Socket())
    assert not peer.plays
    assert peer.flush() == 0
