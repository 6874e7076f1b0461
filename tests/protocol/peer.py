"""A thin client of the Realtime protocol, for tests: it says what it is told, and keeps all it is told, in order.

It is the same over a WebSocket and over WebRTC, and knows nothing of Switchboard's own code but the judge, who sees
every frame the moment it comes. Every wait ends, with the events so far in the message.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

from websockets.asyncio.client import ClientConnection

from pipeline.dialects import NAMES, Dialect
from simulator.webrtc_client import WebRtcClient
from tests.calls.support import LIMIT_S
from tests.pipeline.oracle import Oracle
from tests.protocol.lines import ChannelLine, Ended, Goodbye, Line, SocketLine, by_socket
from tests.protocol.playout import Playout
from tests.protocol.transports import NOT_ON_A_CHANNEL, Transport, told

Event: TypeAlias = dict[str, Any]

FENCE = "no_such_item"
"""An item nobody has: asking for it is answered at once, and changes nothing."""

MOST_PIECE_BYTES: Final = 48_000
"""Of sound in one message of a data channel, which in base64 leaves a little of its 64 KiB."""

DELTA: Final = "response.output_audio.delta"


class Peer:
    """One connection. `frames` are all events so far; those `expect` has passed are not waited for again.

    Where the server plays the sound, what it tells of that is in `playout`, and not in `frames`.
    """

    def __init__(self, line: Line, dialect: Dialect) -> None:
        self.line = line
        self.oracle = Oracle(dialect)
        self.playout = Playout()
        self.frames: list[Event] = []
        self.everything: list[Event] = []
        """`frames` and what is in `playout`, in the order they came."""
        self._passed = 0
        self._fences = 0

    @property
    def transport(self) -> Transport:
        return self.line.transport

    @property
    def socket(self) -> ClientConnection:
        """Of tests that run over a WebSocket only."""
        assert isinstance(self.line, SocketLine)
        return self.line.socket

    @property
    def client(self) -> WebRtcClient:
        """With its track; of tests that run over WebRTC only."""
        assert isinstance(self.line, ChannelLine)
        return self.line.client

    async def send(self, type: str, **fields: Any) -> None:
        if type == "conversation.item.truncate":
            self.playout.asked_cuts += 1
        await self.send_text(json.dumps({"type": type, **fields}))

    async def send_text(self, text: str | bytes) -> None:
        async with asyncio.timeout(LIMIT_S):
            await self.line.send(text)

    async def append(self, audio: bytes, *, chunk_bytes: int | None = None) -> None:
        """Sound, in one event or in chunks; on a data channel in none that are larger than it takes."""
        size = chunk_bytes or max(len(audio), 1)
        if self.transport is Transport.WEBRTC:
            size = min(size, MOST_PIECE_BYTES)
        for at in range(0, len(audio), size):
            await self.send("input_audio_buffer.append", audio=base64.b64encode(audio[at : at + size]).decode())

    async def update(self, **session: Any) -> Event:
        """A `session.update` of a GA session, and what the session is after it."""
        await self.send("session.update", session={"type": "realtime", **session})
        return await self.updated()

    async def updated(self) -> Event:
        session: Event = (await self.expect("session.updated"))["session"]
        return session

    async def say(self, text: str, **fields: Any) -> Event:
        """A message of the user's, until all is told of it; its item."""
        await self.send("conversation.item.create", item=message(text), **fields)
        is_beta = self.oracle.dialect is Dialect.BETA
        item: Event = (await self.expect("conversation.item.created" if is_beta else "conversation.item.done"))[
            "item"
        ]
        return item

    async def next(self) -> Event:
        """The next event, waited for if need be."""
        while self._passed == len(self.frames):
            await self._receive()
        self._passed += 1
        return self.frames[self._passed - 1]

    async def _receive(self) -> None:
        """One event more, for `frames` or for `playout`."""
        try:
            async with asyncio.timeout(LIMIT_S):
                event = self.oracle.see(await self.line.receive())
        except TimeoutError:
            raise AssertionError(f"nothing came; so far: {names(self.everything)}") from None
        self.everything.append(event)
        if self.transport is Transport.WEBRTC:
            assert event["type"] not in NOT_ON_A_CHANNEL, NOT_ON_A_CHANNEL[event["type"]]
            if self.playout.takes(event):
                return
        self.frames.append(event)

    async def until(self, *types: str) -> list[Event]:
        """All events up to the first of one of these types."""
        begun = self._passed
        while True:
            event = await self.next()
            if event["type"] in types:
                return self.frames[begun : self._passed]
            assert event["type"] != "error", f"{event['error']} while {types} was waited for"

    async def expect(self, *types: str) -> Event:
        """The first event of one of these types; an unexpected error is one."""
        return (await self.until(*types))[-1]

    async def fence(self) -> list[Event]:
        """All events that came before the answer to a question asked now; that answer is not among them."""
        self._fences += 1
        mark, begun = f"fence_{self._fences}", self._passed
        await self.send("conversation.item.retrieve", item_id=FENCE, event_id=mark)
        while True:
            event = await self.next()
            if event["type"] == "error" and event["error"]["event_id"] == mark:
                return self.frames[begun : self._passed - 1]

    async def refused(self, type: str, **fields: Any) -> Event:
        """What is said to an event that is wrong: one `error` that names it, after which the session lives."""
        await self.send(type, event_id="mine_1", **fields)
        events = await self.fence()
        assert names(events) == ["error"], f"expected one error, got {names(events)}"
        if type == "conversation.item.truncate":
            self.playout.asked_cuts -= 1
        error: Event = events[0]["error"]
        assert error["event_id"] == "mine_1", "an error names the event it is about"
        return error

    async def answer(self) -> list[Event]:
        """From `response.created` to `response.done`, both there, and nothing of other kinds left out."""
        await self.until("response.created")
        return [self.frames[self._passed - 1], *await self.until("response.done")]

    def told(self, *types: str) -> list[str]:
        """Those that a client of this transport is sent."""
        return told(types, self.transport)

    async def begun(self, sound_bytes: int = 1) -> None:
        """Until so much sound of the answer under way is there; where the server plays it, until it is heard."""
        if self.transport is Transport.WEBSOCKET:
            there = 0
            while there < sound_bytes:
                there += len(base64.b64decode((await self.expect(self.own(DELTA)))["delta"]))
            return
        while self.playout.sounding is None or self.playout.sounding != self.playout.last_spoken:
            await self._receive()
        self._passed = len(self.frames)

    async def heard(self) -> None:
        """Until the last answer was heard to its end, or stopped; a client that plays for itself need not ask."""
        if self.transport is Transport.WEBSOCKET:
            return
        assert self.playout.last_spoken is not None, "nothing was said yet"
        while self.playout.last_spoken not in self.playout.over:
            await self._receive()

    async def sound(self, answer: Sequence[Event]) -> bytes:
        """What was spoken in a response, as it was made: of its deltas, or else of its item."""
        if self.transport is Transport.WEBSOCKET:
            return sound_of(answer, self.own(DELTA))
        parts = (await self.retrieved(answer[-1]["response"]["output"][0]["id"]))["content"]
        return b"".join(base64.b64decode(part["audio"]) for part in parts if "audio" in part)

    async def retrieved(self, item_id: str) -> Event:
        """An item, with its sound."""
        await self.send("conversation.item.retrieve", item_id=item_id)
        item: Event = (await self.expect("conversation.item.retrieved"))["item"]
        return item

    def own(self, name: str) -> str:
        """GA's name of an event in this connection's dialect."""
        return NAMES[self.oracle.dialect].get(name, name)

    async def ended(self) -> Goodbye | None:
        """Waits for the other side to end it; its close frame, where there are such. What comes before is kept."""
        try:
            while True:
                await self.next()
        except Ended as ended:
            return ended.goodbye

    async def closed(self) -> Goodbye:
        """The same, of a transport that has close frames."""
        goodbye = await self.ended()
        assert goodbye is not None, "only a WebSocket has close frames"
        return goodbye

    async def leave(self) -> None:
        """Close the connection."""
        await self.line.leave()


@asynccontextmanager
async def connect(
    url: str,
    *,
    dialect: Dialect = Dialect.GA,
    headers: dict[str, str] | None = None,
    subprotocols: Sequence[str] | None = None,
    compression: str | None = None,
) -> AsyncGenerator[Peer, None]:
    """A WebSocket to `url`; `dialect` is what the judge will hear it in."""
    async with by_socket(url, headers=headers or {}, subprotocols=subprotocols, compression=compression) as line:
        yield Peer(line, dialect)


def names(events: Sequence[Event]) -> list[str]:
    return [event["type"] for event in events]


def squeezed(events: Sequence[Event]) -> list[str]:
    """The names, a run of the same name told once."""
    told = names(events)
    return [name for at, name in enumerate(told) if at == 0 or told[at - 1] != name]


def message(text: str, **fields: Any) -> Event:
    """An item: a message of the user's."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}], **fields}


def joined(events: Sequence[Event], type: str) -> str:
    """The deltas of one kind, put together."""
    return "".join(event["delta"] for event in events if event["type"] == type)


def sound_of(events: Sequence[Event], type: str = "response.output_audio.delta") -> bytes:
    return b"".join(base64.b64decode(event["delta"]) for event in events if event["type"] == type)
