from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from aioice import stun
from aioice.ice import Connection

from gateway.webrtc.consent import CONSENT_EVERY_S, CONSENT_LIMIT_S, consent_lost
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s

pytestmark = pytest.mark.anyio

WAIT_S = 1.5
"""What a check of aioice takes to be given up."""


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


class Peer:
    """The pair and the socket of a connection whose peer answers while `is_there` holds."""

    def __init__(self, is_there: Callable[[float], bool]) -> None:
        self.is_there = is_there
        self.protocol = self
        self.remote_addr = ("192.0.2.1", 4000)
        self.remote_password = "secret"
        self._nominated: dict[int, Peer] = {1: self}
        self.asked_s: list[float] = []

    def build_request(self, pair: Peer, nominate: bool) -> stun.Message:
        assert pair is self and not nominate
        return stun.Message(stun.Method.BINDING, stun.Class.REQUEST)

    async def request(self, request: object, addr: object, integrity_key: bytes, retransmissions: int) -> None:
        assert (addr, integrity_key, retransmissions) == (self.remote_addr, b"secret", 1)
        self.asked_s.append(now_s())
        if not self.is_there(now_s()):
            await asyncio.sleep(WAIT_S)
            raise stun.TransactionTimeout

    async def lost_s(self, limit_s: float = CONSENT_LIMIT_S, every_s: float = CONSENT_EVERY_S) -> float:
        await consent_lost(cast(Connection, cast(Any, self)), limit_s=limit_s, every_s=every_s)
        return now_s()


async def test_a_peer_that_is_gone_is_lost_thirty_seconds_after_its_last_answer() -> None:
    peer = Peer(lambda at_s: at_s < 100)
    lost_s = await peer.lost_s()
    answered_s = max(at_s for at_s in peer.asked_s if at_s < 100)
    assert lost_s == pytest.approx(answered_s + 30)
    assert 124 <= lost_s <= 130


async def test_a_peer_is_asked_every_five_seconds_or_so() -> None:
    peer = Peer(lambda at_s: at_s < 1_000)
    await peer.lost_s()
    answered = [at_s for at_s in peer.asked_s if at_s < 1_000]
    gaps = [later - earlier for earlier, later in zip(answered, answered[1:], strict=False)]
    assert all(3.999 <= gap <= 6.001 for gap in gaps)
    assert len(set(gaps)) > 100  # "randomized"


@pytest.mark.parametrize("away_s", [5, 10, 20])
async def test_an_outage_that_ends_in_time_is_survived(away_s: int) -> None:
    peer = Peer(lambda at_s: not 100 <= at_s < 100 + away_s and at_s < 500)
    assert await peer.lost_s() > 500


async def test_a_connection_that_is_closed_is_asked_no_more() -> None:
    peer = Peer(lambda at_s: True)
    asking = asyncio.create_task(peer.lost_s())
    await asyncio.sleep(20)
    peer._nominated.clear()
    await asking
    assert now_s() <= 26.1
    assert max(peer.asked_s) <= 26.1


async def test_a_connection_that_is_closed_in_an_outage_is_not_waited_for() -> None:
    peer = Peer(lambda at_s: False)
    asking = asyncio.create_task(peer.lost_s())
    await asyncio.sleep(10)
    peer._nominated.clear()
    await asking
    assert now_s() <= 18


async def test_without_a_pair_there_is_nobody_to_ask() -> None:
    peer = Peer(lambda at_s: True)
    peer._nominated.clear()
    assert await peer.lost_s() == 0
