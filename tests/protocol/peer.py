"""A thin client of the Realtime protocol, for tests: it says what it is told, and keeps all it is told, in order.

It is made of the `websockets` library and knows nothing of Switchboard's own code but the judge, who sees every
frame the moment it comes. Every wait ends, with the events so far in the message.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from pipeline.dialects import Dialect
from tests.calls.support import LIMIT_S
from tests.pipeline.oracle import Oracle

Event: TypeAlias = dict[str, Any]

FENCE = "no_such_item"
"""An item nobody has: asking for it is answered at once, and changes nothing."""


class Peer:
    """One connection. `frames` are all events so far; those `expect` has passed are not waited for again."""

    def __init__(self, socket: ClientConnection, dialect: Dialect) -> None:
        self.socket = socket
        self.oracle = Oracle(dialect)
        self.frames: list[Event] = []
        self._passed = 0
        self._fences = 0

    async def send(self, type: str, **fields: Any) -> None:
        await self.send_text(json.dumps({"type": type, **fields}))

    async def send_text(self, text: str | bytes) -> None:
        async with asyncio.timeout(LIMIT_S):
            await self.socket.send(text)

    async def append(self, audio: bytes, *, chunk_bytes: int | None = None) -> None:
        """Sound, in one event or in chunks."""
        size = chunk_bytes or max(len(audio), 1)
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
        if self._passed == len(self.frames):
            try:
                async with asyncio.timeout(LIMIT_S):
                    self.frames.append(self.oracle.see(await self.socket.recv()))
            except TimeoutError:
                raise AssertionError(f"nothing came; so far: {names(self.frames)}") from None
        self._passed += 1
        return self.frames[self._passed - 1]

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
        error: Event = events[0]["error"]
        assert error["event_id"] == "mine_1", "an error names the event it is about"
        return error

    async def answer(self) -> list[Event]:
        """From `response.created` to `response.done`, both there, and nothing of other kinds left out."""
        await self.until("response.created")
        return [self.frames[self._passed - 1], *await self.until("response.done")]

    async def closed(self) -> tuple[int, str]:
        """Waits for the other side to close; code and reason. What comes before that is kept."""
        try:
            while True:
                await self.next()
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, "the connection broke off without a close frame"
            return closed.rcvd.code, closed.rcvd.reason


@asynccontextmanager
async def connect(
    url: str,
    *,
    dialect: Dialect = Dialect.GA,
    headers: dict[str, str] | None = None,
    subprotocols: Sequence[str] | None = None,
    compression: str | None = None,
) -> AsyncGenerator[Peer, None]:
    """A connection to `url`; `dialect` is what the judge will hear it in."""
    socket = await open_socket(
        url.replace("http", "ws", 1),
        additional_headers=headers,
        subprotocols=None if subprotocols is None else [Subprotocol(one) for one in subprotocols],
        compression=compression,
        max_size=None,  # the judge measures
        max_queue=None,  # else what a test does not read keeps the close from being read, too
        open_timeout=LIMIT_S,
        close_timeout=LIMIT_S,
        proxy=None,
    )
    async with socket:
        yield Peer(socket, dialect)


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
