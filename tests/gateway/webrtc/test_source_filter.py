from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aioice import Candidate
from aioice.ice import CandidatePair, Connection, StunProtocol
from aioice.stun import Class, Message, Method
from hypothesis import given
from hypothesis import strategies as st

from gateway.webrtc.source_filter import MOST_BYTES, MOST_HELD, MOST_SOURCES, MOST_WAITING, SourceFilter
from tests.gateway.webrtc.support import loopback_addresses

pytestmark = pytest.mark.anyio

PEER = ("127.0.0.2", 4_000)
STRANGER = ("127.0.0.2", 4_001)
RTP = b"\x80\x6f" + bytes(40)
RTCP = b"\x80\xc8" + bytes(40)
DTLS = b"\x16\xfe\xfd" + bytes(40)


@dataclass
class Gate:
    connection: Connection
    filter: SourceFilter
    media: list[bytes] = field(default_factory=list)

    @property
    def protocol(self) -> StunProtocol:
        return self.connection._protocols[0]

    def take(self, data: bytes, source: tuple[object, ...] = PEER) -> None:
        self.protocol.datagram_received(data, source)

    def queued(self) -> list[bytes]:
        queue, found = self.connection._queue, []
        while not queue.empty():
            item = queue.get_nowait()
            assert item is not None and item[1] == 1
            found.append(item[0])
        return found

    def pair(self, state: CandidatePair.State, source: tuple[str, int] = PEER) -> CandidatePair:
        remote = Candidate("1", 1, "udp", 1, source[0], source[1], "host")
        pair = CandidatePair(self.protocol, remote)
        pair.state = state
        return pair

    def validate(self, source: tuple[str, int] = PEER) -> None:
        self.connection.check_complete(self.pair(CandidatePair.State.SUCCEEDED, source))

    def knock(self, source: tuple[str, int] = PEER, *, password: str | None = None, priority: bool = True) -> None:
        """An ICE check, as the peer would send it."""
        check = Message(Method.BINDING, Class.REQUEST)
        check.attributes["USERNAME"] = f"{self.connection.local_username}:them"
        check.attributes["ICE-CONTROLLING"] = 1
        if priority:
            check.attributes["PRIORITY"] = 5
        check.add_message_integrity((password or self.connection.local_password).encode())
        self.take(bytes(check), source)


@asynccontextmanager
async def gate() -> AsyncGenerator[Gate]:
    connection = Connection(ice_controlling=False)
    connection.remote_username, connection.remote_password = "them", "p" * 22
    media: list[bytes] = []
    filter_ = SourceFilter(connection, media.append)
    with loopback_addresses():
        await connection.gather_candidates()
    filter_.guard()
    # As after `connect`, which would handle the checks that came before.
    connection._early_checks_done = True
    connection.check_start_task = lambda pair: None  # type: ignore[method-assign]  # answers nobody here
    try:
        yield Gate(connection, filter_, media)
    finally:
        await connection.close()


async def test_what_strangers_send_goes_nowhere() -> None:
    async with gate() as at:
        for data in (RTP, RTCP, DTLS, b"", b"\x40abc", b"\xff" * 30, b"\x13" * 30, b"\x05"):
            at.take(data, STRANGER)
        assert (at.queued(), at.media, at.filter.dropped) == ([], [], 8)


async def test_what_a_validated_address_sends_goes_to_its_reader() -> None:
    async with gate() as at:
        at.validate()
        for data in (RTP, DTLS, RTCP):
            at.take(data)
        at.take(RTP, STRANGER)
        assert (at.queued(), at.media, at.filter.dropped) == ([DTLS], [RTP, RTCP], 1)


async def test_an_address_of_version_6_is_known_by_its_first_two_parts() -> None:
    async with gate() as at:
        at.validate(("2001:db8::1", 5))
        at.take(RTP, ("2001:db8::1", 5, 0, 0))
        assert at.media == [RTP]


async def test_a_check_that_fails_validates_nothing() -> None:
    async with gate() as at:
        at.connection.check_complete(at.pair(CandidatePair.State.FAILED))
        at.take(RTP)
        assert (at.media, at.filter.dropped) == ([], 1)


async def test_of_a_validated_address_too_only_what_has_a_reader_is_kept() -> None:
    async with gate() as at:
        at.validate()
        for data in (
            b"",
            b"\x40abc",
            b"\xc0" * 30,
            b"\x0a" * 30,
            RTP + bytes(MOST_BYTES),
            DTLS + bytes(MOST_BYTES),
        ):
            at.take(data)
        assert (at.queued(), at.media, at.filter.dropped) == ([], [], 6)


async def test_a_flood_of_a_validated_address_fills_no_memory() -> None:
    async with gate() as at:
        at.validate()
        for _ in range(MOST_WAITING + 100):
            at.take(DTLS)
        assert len(at.queued()) == MOST_WAITING
        assert at.filter.dropped == 100


async def test_a_first_flight_that_overtakes_the_answer_to_our_check_is_kept_for_a_moment() -> None:
    async with gate() as at:
        at.knock()
        at.knock(STRANGER)
        at.take(DTLS + b"1")
        at.take(DTLS + b"stranger", STRANGER)
        at.take(DTLS + b"2")
        at.take(RTP)  # nothing to decipher it with yet
        assert (at.queued(), at.media) == ([], [])
        at.validate()
        assert (at.queued(), at.media) == ([DTLS + b"1", DTLS + b"2"], [])
        at.validate(STRANGER)
        assert at.queued() == [DTLS + b"stranger"]


async def test_little_is_kept_for_addresses_that_have_not_answered() -> None:
    async with gate() as at:
        at.knock()
        for number in range(100):
            at.take(DTLS + bytes([number]))
        at.validate()
        assert at.queued() == [DTLS + bytes([number]) for number in range(100 - MOST_HELD, 100)]


async def test_a_check_with_the_wrong_password_teaches_no_address() -> None:
    async with gate() as at:
        at.knock(password="x" * 22)
        at.take(DTLS)
        assert at.connection.remote_candidates == []
        at.validate()
        assert at.queued() == []


async def test_strangers_get_no_answer_which_could_be_meant_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async with gate() as at:
        answers: list[int | None] = []
        monkeypatch.setattr(
            StunProtocol, "send_stun", lambda self, message, addr: answers.append(message.error_code)
        )
        at.knock(password="x" * 22)
        at.take(bytes(Message(Method.BINDING, Class.REQUEST)))
        at.take(bytes(Message(Method.ALLOCATE, Class.REQUEST)))
        assert (answers, at.filter.dropped) == ([], 3)
        at.knock()
        assert answers == [None]
        at.connection.ice_controlling, at.connection._tie_breaker = True, 2**64 - 1
        at.knock()
        assert answers == [None, 487]


async def test_checks_before_we_connect_fill_no_memory() -> None:
    async with gate() as at:
        at.connection._early_checks_done = False
        for number in range(500):
            at.knock(("127.0.0.2", 1_024 + number), password="x" * 22)
        assert len(at.connection._early_checks) == 0
        for number in range(500):
            at.knock(("127.0.0.2", 1_024 + number))
        assert len(at.connection._early_checks) == 100
        assert at.connection.remote_candidates == []


async def test_a_flood_of_checks_from_many_ports_teaches_only_so_many_addresses() -> None:
    async with gate() as at:
        for port in range(1_024, 1_024 + 3 * MOST_SOURCES):
            at.knock(("127.0.0.2", port))
        assert len(at.connection.remote_candidates) == MOST_SOURCES
        assert at.filter.dropped == 2 * MOST_SOURCES
        at.knock(("127.0.0.2", 1_024))  # one that is known is still heard
        assert at.filter.dropped == 2 * MOST_SOURCES


async def test_a_check_without_what_aioice_expects_is_dropped() -> None:
    async with gate() as at:
        at.knock(priority=False)
        assert (at.filter.dropped, at.connection.remote_candidates) == (1, [])


async def test_what_only_begins_like_stun_is_dropped() -> None:
    async with gate() as at:
        at.validate()
        for data in (b"\x00", b"\x00\x01" + bytes(30), b"\x01" * 400):
            at.take(data)
        assert (at.queued(), at.media, at.filter.dropped) == ([], [], 3)


async def test_errors_of_the_socket_are_counted() -> None:
    async with gate() as at:
        at.protocol.error_received(ConnectionRefusedError())
        assert at.filter.send_errors == 1


async def test_a_socket_is_guarded_once() -> None:
    async with gate() as at:
        entrance = at.protocol.datagram_received
        at.filter.guard()
        assert at.protocol.datagram_received is entrance


@given(data=st.binary(max_size=60) | st.binary(min_size=20, max_size=60).map(lambda data: b"\0\1" + data))
async def test_no_datagram_raises_or_passes_without_a_source(data: bytes) -> None:
    async with gate() as at:
        at.take(data, STRANGER)
        assert (at.queued(), at.media) == ([], [])
