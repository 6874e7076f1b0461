from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Message
from starlette.websockets import WebSocket

from simulator.standins.deepgram_wire import Heard, Wire
from simulator.standins.fault import Fault

pytestmark = pytest.mark.anyio


class Peer:
    """The other end of an ASGI WebSocket: what it sends, what it got, and whether it is still there."""

    def __init__(self, *sends: Message) -> None:
        self.got: list[Message] = []
        self.is_gone = False
        self._sends = [{"type": "websocket.connect"}, *sends]

    async def receive(self) -> Message:
        if not self._sends:
            await asyncio.Event().wait()
        return self._sends.pop(0)

    async def send(self, message: Message) -> None:
        if self.is_gone:
            raise OSError("gone")
        self.got.append(message)

    async def wire(self) -> tuple[Wire, Heard]:
        websocket = WebSocket({"type": "websocket", "extensions": {}, "headers": []}, self.receive, self.send)
        await websocket.accept()
        heard = Heard("/v1/listen", {}, "Token k")
        return Wire(websocket, heard, delay_s=0, drip_s=0), heard

    @property
    def texts(self) -> list[Any]:
        return [message["text"] for message in self.got if message["type"] == "websocket.send"]


async def test_it_keeps_what_it_is_sent() -> None:
    wire, heard = await Peer(
        {"type": "websocket.receive", "bytes": b"ab"},
        {"type": "websocket.receive", "text": '{"type": "KeepAlive"}'},
        {"type": "websocket.receive", "text": "not JSON"},
        {"type": "websocket.receive", "text": "[]"},
        {"type": "websocket.disconnect", "code": 1000},
    ).wire()
    received = [await wire.receive(None) for _ in range(5)]
    odd = [{"type": None, "text": "not JSON"}, {"type": None, "text": "[]"}]
    assert received == [b"ab", {"type": "KeepAlive"}, *odd, None]
    assert bytes(heard.audio) == b"ab"
    assert heard.messages == [{"type": "KeepAlive"}, *odd]


async def test_it_notices_that_nothing_comes() -> None:
    wire, _ = await Peer().wire()
    with pytest.raises(TimeoutError):
        await wire.receive(0.001)


async def test_to_a_peer_that_has_gone_nothing_more_is_said() -> None:
    peer = Peer()
    wire, _ = await peer.wire()
    peer.is_gone = True
    await wire.say({"type": "Results"})
    peer.is_gone = False
    await wire.say({"type": "Results"})
    await wire.close(1000)
    assert peer.texts == []


async def test_who_hangs_is_silent_for_good() -> None:
    peer = Peer()
    wire, _ = await peer.wire()
    wire.begin(Fault.HANG)
    await wire.say({"type": "Results"})
    wire.begin(Fault.NONE)
    await wire.say({"type": "Results"})
    assert peer.texts == []


async def test_after_closing_nothing_is_said_and_nothing_closed_again() -> None:
    peer = Peer()
    wire, _ = await peer.wire()
    await wire.close(1000)
    await wire.close(1011)
    await wire.say({"type": "Results"})
    assert [message["type"] for message in peer.got] == ["websocket.accept", "websocket.close"]
