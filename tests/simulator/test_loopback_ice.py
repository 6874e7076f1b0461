"""A peer on chosen addresses, and one that falls silent: on real sockets."""

from __future__ import annotations

import asyncio
import socket

import aioice.ice
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from simulator.loopback_ice import gather_on, muzzle

pytestmark = pytest.mark.anyio

LIMIT_S = 30


def peer_with_everything() -> RTCPeerConnection:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("audio")
    peer.createDataChannel("c")
    return peer


async def gathered(peer: RTCPeerConnection) -> list[str]:
    """The addresses of all candidates it offers."""
    async with asyncio.timeout(LIMIT_S):
        await peer.setLocalDescription(await peer.createOffer())
    lines = peer.localDescription.sdp.splitlines()
    return [line.split()[4] for line in lines if line.startswith("a=candidate:")]


async def test_a_peer_gathers_on_loopback_for_every_section() -> None:
    peer = peer_with_everything()
    gather_on(peer)
    assert await gathered(peer) == ["127.0.0.1", "127.0.0.1"]
    await peer.close()


async def test_a_peer_gathers_on_the_addresses_it_is_told() -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("audio")
    gather_on(peer, ("127.0.0.2", "127.0.0.3"))
    assert await gathered(peer) == ["127.0.0.2", "127.0.0.3"]
    await peer.close()


async def test_another_peer_that_gathers_at_the_same_time_notices_nothing() -> None:
    library = aioice.ice.get_host_addresses
    ours, other = peer_with_everything(), peer_with_everything()
    gather_on(ours)
    mine, others = await asyncio.gather(gathered(ours), gathered(other))
    assert set(mine) == {"127.0.0.1"}
    assert "127.0.0.1" not in others
    assert aioice.ice.get_host_addresses is library
    await ours.close()
    await other.close()


async def test_a_muzzled_peer_hears_and_sends_nothing_and_can_still_be_closed() -> None:
    ours, other = peer_with_everything(), peer_with_everything()
    for peer in (ours, other):
        gather_on(peer)
        await gathered(peer)
    muzzle(ours)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
        outside.bind(("127.0.0.1", 0))
        outside.settimeout(LIMIT_S)
        silent, talking = (peer.getTransceivers()[0].receiver.transport.transport for peer in (ours, other))
        (mute,), (loud,) = silent._connection._protocols, talking._connection._protocols
        # In this order, so that what the second peer hears proves that the first has had its time to hear.
        outside.sendto(b"\xffhello", mute.transport.get_extra_info("sockname"))
        outside.sendto(b"\xffhello", loud.transport.get_extra_info("sockname"))
        async with asyncio.timeout(LIMIT_S):
            assert await talking._connection._queue.get() == (b"\xffhello", 1)
        assert silent._connection._queue.empty()
        mute.transport.sendto(b"from the muzzled", outside.getsockname())
        loud.transport.sendto(b"from the other", outside.getsockname())
        assert outside.recv(100) == b"from the other"
    async with asyncio.timeout(LIMIT_S):
        await ours.close()
        await other.close()
    assert mute.transport.is_closing()
