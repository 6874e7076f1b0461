"""How a client's messages go: by a WebSocket, or by the data channel of a peer connection.

A `Line` is one connection of either kind. It knows messages and no events, but what it needs of a channel's limits.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from simulator.webrtc_client import WebRtcClient
from simulator.webrtc_exchange import Shape
from tests.calls.support import LIMIT_S
from tests.protocol.transports import MOST_MESSAGE_BYTES, Transport

Goodbye = tuple[int, str]
"""Code and reason of a close frame."""

MOST_UNSENT_BYTES: Final = 256 * 1024
"""What a client leaves to its channel before it waits; past it, browsers' guides say, one should not go."""


class Ended(Exception):
    """The other side has closed. `goodbye` is None where the transport has no close frames."""

    def __init__(self, goodbye: Goodbye | None) -> None:
        super().__init__(f"the connection has ended: {goodbye}")
        self.goodbye = goodbye


class Line(Protocol):
    """One connection."""

    transport: Transport

    async def send(self, message: str | bytes) -> None:
        """Waits while the other side takes nothing."""
        ...

    async def receive(self) -> str | bytes:
        """The next message. Raises `Ended`."""
        ...

    async def leave(self) -> None:
        """Close it from this side."""
        ...


class SocketLine:
    """A WebSocket."""

    transport = Transport.WEBSOCKET

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, message: str | bytes) -> None:
        await self.socket.send(message)

    async def receive(self) -> str | bytes:
        try:
            return await self.socket.recv()
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, "the connection broke off without a close frame"
            raise Ended((closed.rcvd.code, closed.rcvd.reason)) from None

    async def leave(self) -> None:
        await self.socket.close()


class ChannelLine:
    """The data channel of a peer connection; `client` has its track too."""

    transport = Transport.WEBRTC

    def __init__(self, client: WebRtcClient) -> None:
        self.client = client
        assert client.channel is not None
        self._channel = client.channel
        self._most_bytes = int(client.offer_sdp.partition("a=max-message-size:")[2].split(maxsplit=1)[0])
        self._channel.bufferedAmountLowThreshold = MOST_UNSENT_BYTES // 2
        self._has_room = asyncio.Event()
        self._channel.on("bufferedamountlow", self._has_room.set)
        self._received = 0

    async def send(self, message: str | bytes) -> None:
        size = len(message.encode() if isinstance(message, str) else message)
        assert size <= MOST_MESSAGE_BYTES, f"a message of {size} bytes is too large for a data channel"
        await self.client.send_text(message)
        while self._channel.bufferedAmount > MOST_UNSENT_BYTES:
            self._has_room.clear()
            await self._has_room.wait()

    async def receive(self) -> str:
        frames = self.client.frames
        if not await self.client.inbox.comes(lambda: len(frames) > self._received or self.client.has_ended):
            raise TimeoutError
        assert not self.client.unreadable, f"these are no events: {self.client.unreadable}"
        if len(frames) == self._received:
            raise Ended(None)
        self._received += 1
        text = json.dumps(frames[self._received - 1], ensure_ascii=False, separators=(",", ":"))
        assert len(text.encode()) <= self._most_bytes, f"this client takes {self._most_bytes} bytes in a message"
        return text

    async def leave(self) -> None:
        await self.client.close()


@asynccontextmanager
async def by_socket(
    url: str,
    *,
    headers: dict[str, str],
    subprotocols: Sequence[str] | None = None,
    compression: str | None = None,
) -> AsyncGenerator[SocketLine, None]:
    """A WebSocket to `url`."""
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
        yield SocketLine(socket)


@asynccontextmanager
async def by_channel(root_url: str, path: str, *, headers: dict[str, str]) -> AsyncGenerator[ChannelLine, None]:
    """A peer connection to the session that a WebSocket to `path` would have opened (Realtime reference, A.4).

    Of OpenAI's path: an offer as SDP. Of Inworld's with `protocol=realtime`: as JSON. Without: as the seed has it.
    """
    parts = urlsplit(path)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.path == "/v1/realtime":
        shape = Shape.OPENAI_SDP
    else:
        shape = Shape.INWORLD_JSON if query.get("protocol") == "realtime" else Shape.SEED
    async with WebRtcClient(has_microphone=False) as client:
        await client.connect(root_url, None, shape=shape, query=query, headers=headers)
        yield ChannelLine(client)
