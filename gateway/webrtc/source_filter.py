"""Which datagrams come in: of strangers only what may lead to an ICE check, all else only from where ICE has been.

aioice hands everything that is not STUN to its reader, whoever sent it, and keeps it in a queue without an end.
This stands in front of each of its sockets. It does not know what the datagrams hold beyond their first byte.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from aioice.ice import CandidatePair, Connection, StunProtocol
from aioice.stun import Message

from gateway.webrtc.inner_names import replace

logger = logging.getLogger(__name__)

Source: TypeAlias = tuple[str, int]

# How the kinds are told apart on one port (RFC 7983, section 7).
_AFTER_STUN: Final = 4
_DTLS: Final = range(20, 64)
_MEDIA: Final = range(128, 192)

MOST_BYTES: Final = 1_500
"""Of a datagram: no peer sends more than the path's MTU, and libsrtp's buffer in pylibsrtp has this size."""

MOST_WAITING: Final = 512
"""Datagrams of DTLS. Past this the newest is dropped, as a network would; DTLS and SCTP send again."""

MOST_HELD: Final = 16
"""Datagrams of DTLS that overtook the answer to our own check; a first flight is one to six."""

MOST_SOURCES: Final = 100
"""Addresses that a peer may prove to have in its life: the number of checks of RFC 8445, section 6.1.2.5. Each
costs us memory and a check sent there."""

_ROLE_CONFLICT: Final = 487
"""The one error of an authenticated check (RFC 8445, section 7.3.1.1)."""

_COMPONENT: Final = 1


class SourceFilter:
    """In front of one connection's sockets; `on_media` gets what may be SRTP, of validated sources only."""

    def __init__(self, connection: Connection, on_media: Callable[[bytes], None]) -> None:
        self._connection = connection
        self._on_media = on_media
        self._validated: dict[StunProtocol, set[Source]] = {}
        self._authenticated: dict[StunProtocol, set[Source]] = {}
        self._held: deque[tuple[StunProtocol, Source, bytes]] = deque(maxlen=MOST_HELD)
        self.dropped = 0
        """Datagrams that were not let in, or that nobody came to read."""
        self.send_errors = 0
        """What the system told of datagrams sent: mostly that there is nobody (ICMP)."""
        self._checked = connection.check_complete
        self._check = connection.check_incoming
        self._respond_error = connection.respond_error
        replace(connection, "data_received", self._refuse)
        replace(connection, "respond_error", self._answer_known)
        replace(connection, "check_complete", self._check_complete)
        replace(connection, "check_incoming", self._check_incoming)

    def guard(self) -> None:
        """Stand in front of the sockets there are: call it once they are gathered, before anything is read."""
        for protocol in self._connection._protocols:
            if protocol not in self._validated:
                self._validated[protocol] = set()
                self._authenticated[protocol] = set()
                # Looked up on the protocol for each datagram by asyncio, by uvloop and by aioice's TURN client.
                replace(protocol, "datagram_received", self._entrance(protocol, protocol.datagram_received))
                replace(protocol, "error_received", self._count_error)

    def _entrance(
        self, protocol: StunProtocol, take_stun: Callable[[bytes, tuple[Any, ...]], None]
    ) -> Callable[[bytes, tuple[Any, ...]], None]:
        validated, queue = self._validated[protocol], self._connection._queue

        def receive(data: bytes, addr: tuple[Any, ...]) -> None:
            kind = data[0] if data else 255
            if kind < _AFTER_STUN:
                self._take_stun(take_stun, data, addr)
            elif len(data) > MOST_BYTES:
                self.dropped += 1
            elif (source := (addr[0], addr[1])) not in validated:
                self._hold(protocol, source, data, kind)
            elif kind in _MEDIA:
                self._on_media(data)
            elif kind in _DTLS:
                self._queue(queue, data)
            else:
                self.dropped += 1

        return receive

    def _take_stun(
        self, take_stun: Callable[[bytes, tuple[Any, ...]], None], data: bytes, addr: tuple[Any, ...]
    ) -> None:
        try:
            take_stun(data, addr)
        except Exception:
            # The edge of a task, the loop's own, and anybody on the internet can get here: no trace for each.
            self.dropped += 1
            logger.debug("< a datagram that is no STUN message", exc_info=True)

    def _queue(self, queue: asyncio.Queue[tuple[bytes, int] | None], data: bytes) -> None:
        if queue.qsize() < MOST_WAITING:
            queue.put_nowait((data, _COMPONENT))
        else:
            self.dropped += 1

    def _hold(self, protocol: StunProtocol, source: Source, data: bytes, kind: int) -> None:
        """Keep the peer's first flight for a moment: it may come before the answer to our check of its address."""
        if kind in _DTLS and source in self._authenticated[protocol]:
            self._held.append((protocol, source, data))
        else:
            self.dropped += 1

    def _check_incoming(self, message: Message, addr: Source, protocol: StunProtocol) -> None:
        """A check with the right password, which learns a new address."""
        known = self._authenticated.setdefault(protocol, set())
        if addr not in known and len(self._connection._remote_candidates) >= MOST_SOURCES:
            self.dropped += 1
            return
        self._check(message, addr, protocol)
        known.add(addr)

    def _check_complete(self, pair: CandidatePair) -> None:
        """A check has ended. Only an address that has answered ours is believed: a check alone can be forged."""
        if pair.state is CandidatePair.State.SUCCEEDED:
            protocol, source = pair.protocol, pair.remote_addr
            self._validated.setdefault(protocol, set()).add(source)
            held, self._held = self._held, deque(maxlen=MOST_HELD)
            for item in held:
                if item[:2] == (protocol, source):
                    self._queue(self._connection._queue, item[2])
                else:
                    self._held.append(item)
        self._checked(pair)

    def _answer_known(
        self, request: Message, addr: Source, protocol: StunProtocol, error_code: tuple[int, str]
    ) -> None:
        """Errors are for those who know the password: others could have us send more than they do, to anybody."""
        if error_code[0] == _ROLE_CONFLICT:
            self._respond_error(request, addr, protocol, error_code)
        else:
            self.dropped += 1

    def _refuse(self, data: bytes, component: int) -> None:
        """What aioice takes for no STUN after all, or got before `guard`."""
        self.dropped += 1

    def _count_error(self, exc: Exception) -> None:
        self.send_errors += 1
