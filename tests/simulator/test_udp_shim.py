"""The relay on real sockets; where its clock matters, the test sets it."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import pytest

from simulator import udp_shim
from simulator.udp_plan import CALM, Dice, Plan
from simulator.udp_shim import Address, Counts, UdpShim, point_at, server_address

pytestmark = pytest.mark.anyio

LIMIT_S = 30
ANSWER = (
    "v=0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\n"
    "a=mid:0\r\n"
    "a=candidate:1 2 udp 1 10.0.0.1 9 typ host\r\n"
    "a=candidate:1 1 tcp 1 10.0.0.1 9 typ host\r\n"
    "a=candidate:2 1 UDP 2130706431 127.0.0.1 40000 typ host\r\n"
    "a=end-of-candidates\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
    "a=mid:1\r\n"
)


@dataclass
class Clock:
    """Stands until it is set."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


class End:
    """A client or a server: a socket, and what came to it."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(("127.0.0.1", 0))
        self.address: Address = self.socket.getsockname()

    def send(self, address: Address, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.socket.sendto(datagram, address)

    async def receive(self) -> tuple[bytes, Address]:
        async with asyncio.timeout(LIMIT_S):
            return await asyncio.get_running_loop().sock_recvfrom(self.socket, 2_000)

    async def take(self, count: int) -> list[bytes]:
        return [(await self.receive())[0] for _ in range(count)]

    def close(self) -> None:
        self.socket.close()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not is_so():  # noqa: ASYNC110 - the shim tells nobody what it counts
            await asyncio.sleep(0)


def numbered(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


def lost_of(plan: Plan, direction: str, seed: int, count: int) -> list[int]:
    dice = Dice(plan, random.Random(f"{seed}:{direction}"))
    return [number for number in range(count) if dice.throw().is_lost]


async def test_a_calm_shim_carries_both_ways_and_hides_each_from_the_other() -> None:
    with closing(End()) as client, closing(End()) as server:
        async with UdpShim(server.address) as shim:
            client.send(shim.address, b"there")
            assert await server.receive() == (b"there", shim.back_address)
            server.send(shim.back_address, b"and back")
            assert await client.receive() == (b"and back", shim.address)
            assert shim.sent == shim.came == Counts(came=1, passed=1)


async def test_what_is_lost_is_the_seeds_choice_in_each_direction() -> None:
    plan, count = Plan(loss=0.3), 40
    with closing(End()) as client, closing(End()) as server:
        async with UdpShim(server.address, plan, seed=7) as shim:
            client.send(shim.address, *numbered(count))
            lost = lost_of(plan, "to server", 7, count)
            assert await server.take(count - len(lost)) == [
                datagram for number, datagram in enumerate(numbered(count)) if number not in lost
            ]
            server.send(shim.back_address, *numbered(count))
            lost_back = lost_of(plan, "to client", 7, count)
            await client.take(count - len(lost_back))
            assert shim.sent == Counts(came=count, passed=count - len(lost), lost=len(lost))
            assert shim.came == Counts(came=count, passed=count - len(lost_back), lost=len(lost_back))
    assert lost
    assert lost_back
    assert lost != lost_back


async def test_jitter_alone_keeps_the_order() -> None:
    with closing(End()) as client, closing(End()) as server:
        async with UdpShim(server.address, Plan(delay_ms=5, jitter_ms=40), seed=1) as shim:
            client.send(shim.address, *numbered(20))
            assert await server.take(20) == numbered(20)
            assert (shim.sent.delayed, shim.sent.reordered, shim.sent.waiting) == (20, 0, 0)


async def test_jitter_may_be_let_reorder() -> None:
    with closing(End()) as client, closing(End()) as server:
        async with UdpShim(server.address, Plan(jitter_ms=100, keeps_order=False), seed=1) as shim:
            client.send(shim.address, *numbered(20))
            came = await server.take(20)
    assert came != numbered(20)
    assert sorted(came, key=int) == numbered(20)


async def test_a_datagram_held_back_is_overtaken_by_those_behind_it() -> None:
    plan = Plan(reorder=0.2, reorder_ms=50)
    dice = Dice(plan, random.Random("3:to server"))
    held = [datagram for datagram in numbered(10) if dice.throw().held_ms]
    assert held
    with closing(End()) as client, closing(End()) as server:
        async with UdpShim(server.address, plan, seed=3) as shim:
            client.send(shim.address, *numbered(10))
            assert await server.take(10) == [one for one in numbered(10) if one not in held] + held
            assert shim.sent.reordered == shim.sent.delayed == len(held)


async def test_a_doubled_datagram_arrives_twice() -> None:
    with closing(End()) as client, closing(End()) as server:
        async with UdpShim(server.address, Plan(duplicate=1)) as shim:
            client.send(shim.address, b"a", b"b")
            assert await server.take(4) == [b"a", b"a", b"b", b"b"]
            assert shim.sent == Counts(came=2, passed=4, duplicated=2)


async def test_an_outage_swallows_what_is_sent_in_it_and_delivers_what_was_on_its_way() -> None:
    clock = Clock()
    with closing(End()) as client, closing(End()) as server:
        async with UdpShim(server.address, Plan(delay_ms=1, outages=((1, 3),)), now=clock) as shim:
            client.send(shim.address, b"on its way")
            await until(lambda: shim.sent.waiting == 1)
            clock.now_s += 1
            client.send(shim.address, b"swallowed")
            await until(lambda: shim.sent.blacked_out == 1)
            assert await server.take(1) == [b"on its way"]
            clock.now_s += 2
            client.send(shim.address, b"after")
            await until(lambda: shim.sent.came == 3)
            clock.now_s += 1
            assert await server.take(1) == [b"after"]
            assert shim.sent == Counts(came=3, passed=2, blacked_out=1, delayed=2)


async def test_a_muted_shim_carries_nothing_until_it_is_unmuted() -> None:
    with closing(End()) as client, closing(End()) as server:
        async with UdpShim(server.address) as shim:
            shim.mute()
            client.send(shim.address, b"unheard")
            await until(lambda: shim.sent.blacked_out == 1)
            shim.unmute()
            client.send(shim.address, b"heard")
            assert await server.take(1) == [b"heard"]


async def test_the_plan_and_its_outages_begin_when_they_are_told_to() -> None:
    plan = Plan(loss=1, outages=((0, 60),), rate_kbit_s=0.001)
    with closing(End()) as client, closing(End()) as server:
        async with UdpShim(server.address, plan, begins=False) as shim:
            client.send(shim.address, b"in the calm")
            assert await server.take(1) == [b"in the calm"]
            shim.begin()
            client.send(shim.address, b"in the storm")
            await until(lambda: shim.sent.blacked_out == 1)


async def test_a_narrow_line_lets_datagrams_wait_their_turn() -> None:
    clock = Clock()
    with closing(End()) as client, closing(End()) as server:
        # 100 bytes are 800 bits: 0.1 s at 8 kbit/s.
        async with UdpShim(server.address, Plan(rate_kbit_s=8), now=clock) as shim:
            client.send(shim.address, bytes(100), bytes(100), bytes(100))
            await until(lambda: shim.sent.came == 3)
            assert shim.sent.waiting == 3
            for sent in range(1, 4):
                clock.now_s = 100.0 + 0.1 * sent + 0.001
                await server.take(1)
                assert (shim.sent.passed, shim.sent.waiting) == (sent, 3 - sent)


async def test_a_full_queue_drops_what_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp_shim, "MOST_WAITING", 3)
    with closing(End()) as client, closing(End()) as server:
        async with UdpShim(server.address, Plan(delay_ms=60_000)) as shim:
            client.send(shim.address, *numbered(5))
            await until(lambda: shim.sent.came == 5)
            assert shim.sent == Counts(came=5, overflowed=2, delayed=3, waiting=3)


async def test_more_datagrams_than_are_read_at_once_all_come_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp_shim, "MOST_READ_AT_ONCE", 2)
    with closing(End()) as client, closing(End()) as server:
        async with UdpShim(server.address) as shim:
            client.send(shim.address, *numbered(5))
            assert await server.take(5) == numbered(5)
            server.send(shim.back_address, *numbered(5))
            assert await client.take(5) == numbered(5)


async def test_a_server_that_is_gone_is_a_silent_network() -> None:
    with closing(End()) as client:
        gone = End()
        gone.close()
        async with UdpShim(gone.address) as shim:
            # At once: the system tells of the first at the second.
            client.send(shim.address, *numbered(3))
            await until(lambda: shim.sent.came == 3)
            assert shim.sent.overflowed > 0
            assert shim.sent.passed == 3 - shim.sent.overflowed
            assert shim.came == Counts()


async def test_a_server_that_speaks_before_any_client_is_not_carried() -> None:
    with closing(End()) as server:
        async with UdpShim(server.address) as shim:
            server.send(shim.back_address, b"hello?")
            await until(lambda: shim.came.overflowed == 1)


def test_the_calm_plan_is_the_default() -> None:
    assert Plan() == CALM


def test_the_servers_address_is_its_first_udp_candidate() -> None:
    assert server_address(ANSWER) == ("127.0.0.1", 40000)


def test_an_answer_without_candidates_has_no_address() -> None:
    with pytest.raises(ValueError, match="no UDP candidate"):
        server_address("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\n")


def test_an_answer_is_pointed_at_the_shim_by_one_candidate_where_there_were_some() -> None:
    assert point_at(ANSWER, ("127.0.0.1", 5)) == (
        "v=0\r\n"
        "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\n"
        "a=mid:0\r\n"
        "a=candidate:1 1 udp 2130706431 127.0.0.1 5 typ host\r\n"
        "a=end-of-candidates\r\n"
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
        "a=mid:1\r\n"
    )
