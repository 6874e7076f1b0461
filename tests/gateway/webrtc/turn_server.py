"""As much of a TURN server as one client needs (RFC 8656): it allocates, binds channels, and relays, to anybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from struct import pack, unpack
from typing import Any, cast

from aioice.stun import Class, Message, Method, parse_message

LOOPBACK = "127.0.0.1"


class _Relay(asyncio.DatagramProtocol):
    """The relayed address: what peers send to it goes to the client, on the channel that is bound to them."""

    def __init__(self, server: TurnServer) -> None:
        self.server = server

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.server.from_peer(data, (addr[0], addr[1]))


class TurnServer(asyncio.DatagramProtocol):
    """Use `turn_server`."""

    def __init__(self) -> None:
        self.transport: asyncio.DatagramTransport
        self.relay: asyncio.DatagramTransport
        self.client: tuple[str, int] | None = None
        self.channels: dict[int, tuple[str, int]] = {}
        self.relayed = 0
        """Datagrams that went to peers."""
        self.freed = False

    @property
    def url(self) -> str:
        host, port = self.transport.get_extra_info("sockname")
        return f"turn:{host}:{port}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.client = (addr[0], addr[1])
        if data[0] & 0xC0 == 0x40:
            number, length = unpack("!HH", data[:4])
            self.relayed += 1
            self.relay.sendto(data[4 : 4 + length], self.channels[number])
            return
        request = parse_message(data)
        answer = Message(request.message_method, Class.RESPONSE, request.transaction_id)
        match request.message_method:
            case Method.ALLOCATE:
                answer.attributes["LIFETIME"] = 600
                answer.attributes["XOR-MAPPED-ADDRESS"] = self.client
                answer.attributes["XOR-RELAYED-ADDRESS"] = self.relay.get_extra_info("sockname")
            case Method.CHANNEL_BIND:
                self.channels[request.attributes["CHANNEL-NUMBER"]] = request.attributes["XOR-PEER-ADDRESS"]
            case Method.REFRESH:
                self.freed = request.attributes["LIFETIME"] == 0
        self.transport.sendto(bytes(answer), addr)

    def from_peer(self, data: bytes, source: tuple[str, int]) -> None:
        for number, peer in self.channels.items():
            if peer == source and self.client is not None:
                self.transport.sendto(pack("!HH", number, len(data)) + data, self.client)


@asynccontextmanager
async def turn_server() -> AsyncGenerator[TurnServer]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(TurnServer, local_addr=(LOOPBACK, 0))
    server.relay, _ = await loop.create_datagram_endpoint(lambda: _Relay(server), local_addr=(LOOPBACK, 0))
    try:
        yield server
    finally:
        transport.close()
        server.relay.close()
        await asyncio.sleep(0)
