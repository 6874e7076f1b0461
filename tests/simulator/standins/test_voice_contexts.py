"""Contexts of a voice's stand-in, on a socket that only writes down."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.types import Message
from starlette.websockets import WebSocket

from simulator.standins.fault import Fault, Faults
from simulator.standins.recital import Chunk, Recital, SoundForm, TimedText
from simulator.standins.voice_contexts import GARBAGE, SpokenSocket, VoiceContext, refusal_at_handshake

pytestmark = pytest.mark.anyio


class Wire:
    """An ASGI server's side of one WebSocket."""

    def __init__(self, *received: Message, fails: bool = False) -> None:
        self.received = list(received)
        self.sent: list[Message] = []
        self.fails = fails

    async def receive(self) -> Message:
        return self.received.pop(0)

    async def send(self, message: Message) -> None:
        if self.fails and message["type"] == "websocket.send":
            raise OSError("gone")
        self.sent.append(message)

    async def socket(self) -> SpokenSocket:
        self.received.insert(0, {"type": "websocket.connect"})
        websocket = WebSocket({"type": "websocket", "path": "/", "headers": []}, self.receive, self.send)
        await websocket.accept()
        self.sent.clear()
        return SpokenSocket(websocket)

    def texts(self) -> list[str]:
        return [message["text"] for message in self.sent if message["type"] == "websocket.send"]


class Plain:
    """A `Wording` that says in one word what happens."""

    def chunk(self, chunk: Chunk) -> list[dict[str, Any]]:
        return [{"chunk": len(chunk.audio)}]

    def words(self, words: list[TimedText]) -> list[dict[str, Any]]:
        return [{"words": [word.text for word in words]}]

    def text_is_spoken(self) -> list[dict[str, Any]]:
        return [{"spoken": True}]

    def end(self) -> list[dict[str, Any]]:
        return [{"end": True}]


async def recited(fault: Fault, wire: Wire) -> list[str]:
    recital = Recital(SoundForm("ulaw", 8_000), fault)
    context = VoiceContext(await wire.socket(), Plain(), recital, fault, delay_s=0.001, pace=1_000.0)
    for text in ("one two", "three", None):
        await context.tell(text)
    await context.speak()
    assert context.is_over
    await context.tell("too late")
    return wire.texts()


CHUNK = '{"chunk": 800}'
SPOKEN, END = '{"spoken": true}', '{"end": true}'
FIRST_WORDS = '{"words": ["one", "two"]}'
SECOND = [CHUNK, '{"words": ["three"]}', CHUNK, SPOKEN]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.NONE, [CHUNK, FIRST_WORDS, CHUNK, CHUNK, CHUNK, SPOKEN, *SECOND, END]),
        (Fault.HANG, []),
        (Fault.ZERO_AUDIO, [END]),
        (Fault.STALL, [CHUNK, FIRST_WORDS, CHUNK]),
    ],
)
async def test_a_context_says_what_its_fault_leaves_of_it(fault: Fault, expected: list[str]) -> None:
    texts = await recited(fault, Wire())

    if fault is Fault.STALL:
        texts = [text for text in texts if text != SPOKEN]  # nothing that carries sound follows
    assert texts == expected


async def test_garbage_comes_instead_of_sound() -> None:
    texts = await recited(Fault.GARBAGE, Wire())

    assert texts.count(GARBAGE) == 6
    assert CHUNK not in texts


async def test_the_server_s_own_error_closes_in_the_middle() -> None:
    wire = Wire()
    assert await recited(Fault.CLOSE_1011, wire) == [CHUNK, FIRST_WORDS, CHUNK]
    assert wire.sent[-1] == {"type": "websocket.close", "code": 1011, "reason": "an error of the stand-in's own"}


async def test_a_peer_that_has_gone_is_not_missed() -> None:
    wire = Wire(fails=True)

    assert await recited(Fault.NONE, wire) == []


async def test_only_json_objects_are_messages() -> None:
    wire = Wire(
        {"type": "websocket.receive", "text": '{"a": 1}'},
        {"type": "websocket.receive", "text": "[]"},
        {"type": "websocket.receive", "text": "{"},
        {"type": "websocket.receive", "bytes": b"\x00"},
        {"type": "websocket.disconnect", "code": 1000},
    )
    socket = await wire.socket()

    assert [await socket.receive() for _ in range(5)] == [{"a": 1}, {}, {}, {}, None]


async def test_nothing_is_said_after_a_goodbye() -> None:
    wire = Wire()
    socket = await wire.socket()
    await socket.close(1000)
    await socket.close(1000)
    await socket.say({"late": True})

    assert [message["type"] for message in wire.sent] == ["websocket.close"]


def test_only_faults_of_the_handshake_strike_there() -> None:
    faults = Faults(then=[Fault.TOO_MANY, Fault.HANG, Fault.REFUSE])
    refusal = refusal_at_handshake(faults)

    assert refusal is not None and refusal.status_code == 429
    assert "too-many" in json.loads(bytes(refusal.body))["detail"]
    assert refusal_at_handshake(faults) is None
    assert faults.take() is Fault.HANG
    assert refusal_at_handshake(Faults()) is None
    assert faults.taken == [Fault.TOO_MANY, Fault.HANG]
