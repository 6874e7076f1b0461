"""How a connection is read and how it is closed, on servers with and without the short way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from starlette.types import Message

from gateway.fast_lane import Direct, Listener
from gateway.realtime.connection import CLOSE_LIMIT_S, Connection
from gateway.realtime.floor import Floor
from gateway.realtime.session_end import CLOSES, SessionEnd
from gateway.realtime.wiring import Wiring
from pipeline.dialects import Dialect
from pipeline.events.input_audio import InputAudioBufferCleared
from pipeline.wire import Wire
from tests.fakes import Ids
from tests.virtual_time import VIRTUAL_TIME, VirtualTime

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


class Server:
    """What a server does for a connection; `reads` False is a client that takes nothing."""

    def __init__(self, *, reads: bool = True, fault: Exception | None = None) -> None:
        self.reads = reads
        self.fault = fault
        self.sent: list[Message] = []
        self.is_cut = False

    async def receive(self) -> Message:
        return {"type": "websocket.disconnect", "code": 1005}

    async def send(self, message: Message) -> None:
        if not self.reads:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        self.sent.append(message)

    def listen(self, listener: Listener, *, takes_binary: bool = False) -> None:
        raise NotImplementedError

    def allow(self, most_bytes: int) -> None:
        raise NotImplementedError

    def pause(self) -> None:
        raise NotImplementedError

    def resume(self) -> None:
        raise NotImplementedError

    def send_now(self, texts: Sequence[str | bytes]) -> bool:
        return False

    def cut(self) -> None:
        self.is_cut = True


def connection_of(server: Server, *, is_short: bool = True, ends: list[str] | None = None) -> Connection:
    told = ends if ends is not None else []
    direct: Direct | None = server if is_short else None
    wiring = Wiring(
        wire=Wire(Dialect.GA, opened_at_s=0.0),
        floor=Floor(),
        allowance=None,
        make_id=Ids(),
        now=asyncio.get_running_loop().time,
        on_end=lambda: told.append("ended"),
    )
    return Connection(wiring, server.receive, server.send, direct, most_bytes=1_000, counts=True)


async def test_the_first_reason_to_end_stands_and_is_told_once() -> None:
    ends: list[str] = []
    connection = connection_of(Server(), ends=ends)
    connection.finish(SessionEnd.EXPIRED)
    connection.finish(SessionEnd.CLIENT_LEFT)
    assert (connection.end, ends) == (SessionEnd.EXPIRED, ["ended"])


@pytest.mark.parametrize("end", [end for end in SessionEnd if end is not SessionEnd.SLOW_READER])
async def test_each_end_has_its_close_frame(end: SessionEnd) -> None:
    server = Server()
    connection = connection_of(server)
    connection.finish(end)
    await connection.close()
    code, reason = CLOSES[end]
    assert server.sent == [{"type": "websocket.close", "code": code, "reason": reason}]


async def test_what_was_still_to_be_said_is_said_before_the_close() -> None:
    server = Server()
    connection = connection_of(server)
    connection.peer.send(InputAudioBufferCleared(event_id="last"))
    writing = asyncio.create_task(connection.peer.write())
    connection.finish(SessionEnd.EXPIRED)
    await connection.close(reason="Time is up.")
    assert [message["type"] for message in server.sent] == ["websocket.send", "websocket.close"]
    assert server.sent[1]["reason"] == "Time is up."
    writing.cancel()


@pytest.mark.parametrize("is_short", [True, False])
async def test_a_client_that_does_not_even_read_our_close_is_cut_off(is_short: bool) -> None:
    server = Server(reads=False)
    connection = connection_of(server, is_short=is_short)
    connection.finish(SessionEnd.EXPIRED)
    began_s = asyncio.get_running_loop().time()
    await connection.close()
    assert asyncio.get_running_loop().time() - began_s == CLOSE_LIMIT_S
    assert server.is_cut == is_short


async def test_a_slow_reader_is_cut_off_at_once() -> None:
    server = Server(reads=False)
    connection = connection_of(server)
    connection.finish(SessionEnd.SLOW_READER)
    await connection.close()
    assert server.is_cut
    assert asyncio.get_running_loop().time() == 0


@pytest.mark.parametrize("fault", [RuntimeError("closed"), OSError("gone")])
async def test_a_socket_that_is_closed_already_needs_no_close(fault: Exception) -> None:
    connection = connection_of(Server(fault=fault))
    connection.finish(SessionEnd.CLIENT_LEFT)
    await connection.close()
