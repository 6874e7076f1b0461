"""What the simulator does to the sockets of a WebRTC client: which addresses they are bound to, and silence.

aioice offers every address of the machine except loopback, so two peers on a machine without a network find no
path. `gather_on` binds one connection to the addresses it is told. It changes that connection alone and nothing of
the library, so another peer in the same process, which gathers by its own means, notices nothing, and there is
nothing to undo.

`muzzle` makes a connection fall silent without a goodbye, as a telephone in a tunnel does.

Knows no SDP, no HTTP and no sound. Stands on a few inner names of aiortc 1.16 and aioice 0.13.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

from aioice import Candidate, Connection
from aiortc import RTCPeerConnection

LOOPBACK: Final = ("127.0.0.1",)


def gather_on(peer: RTCPeerConnection, addresses: tuple[str, ...] = LOOPBACK) -> None:
    """Bind the peer's sockets to these addresses only.

    Call it when all tracks and channels are there (of an answering peer: after `setRemoteDescription`) and before
    `setLocalDescription`, which gathers.
    """
    for connection in _connections(peer):
        _gather_on(connection, addresses)


def muzzle(peer: RTCPeerConnection) -> None:
    """From now on nothing leaves the peer's sockets and nothing that arrives is heard; they stay bound.

    The peer itself is not told: it goes on sending, and frees its sockets as ever when it is closed.
    """
    for connection in _connections(peer):
        for protocol in connection._protocols:
            # Set on the object, where the event loop looks first; the class serves every other connection.
            vars(protocol)["datagram_received"] = _hear_nothing
            vars(protocol)["transport"] = _Muzzled(protocol.transport)


def _gather_on(connection: Connection, addresses: tuple[str, ...]) -> None:
    gather = connection.get_component_candidates

    async def gather_there(component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:
        return await gather(component=component, addresses=list(wanted), timeout=timeout)

    wanted = addresses
    vars(connection)["get_component_candidates"] = gather_there


def _connections(peer: RTCPeerConnection) -> Iterator[Connection]:
    """Each once: bundled media share one."""
    transports = [transceiver.receiver.transport for transceiver in peer.getTransceivers()]
    if peer.sctp is not None:
        transports.append(peer.sctp.transport)
    yield from {transport.transport._connection: None for transport in transports}


def _hear_nothing(data: bytes, address: tuple[Any, ...]) -> None:
    """A datagram that is not heard."""


class _Muzzled:
    """A datagram transport that sends nothing; all else is done by the real one."""

    def __init__(self, transport: object) -> None:
        self._transport = transport

    def sendto(self, data: bytes, address: tuple[str, int] | None = None) -> None:
        """The datagram goes nowhere."""

    def __getattr__(self, name: str) -> object:
        return cast(object, getattr(self._transport, name))
