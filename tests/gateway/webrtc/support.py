"""What tests of peer connections share: aiortc's own peer connection as a client on loopback, and a link to it.

The client is the judge: nothing of ours is in it. It only is told to use 127.0.0.1, which aioice leaves out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace

import aioice.ice
from aiortc import (
    AudioStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)

from gateway.webrtc.addresses import Addresses
from gateway.webrtc.answer import answer_to
from gateway.webrtc.link import Link, LinkEnd, LinkSetup, make_certificate
from gateway.webrtc.offer import Offer, read_offer

LOOPBACK = "127.0.0.1"
LIMIT_S = 20.0
"""For whatever a test waits for; nothing takes as long unless it is broken."""

CERTIFICATE = make_certificate()
SETUP = LinkSetup(addresses=Addresses((LOOPBACK,)), certificate=CERTIFICATE)


@contextmanager
def loopback_addresses(address: str = LOOPBACK) -> Generator[None]:
    """Let aioice gather on `address` only. Our links are not touched by it: they never ask aioice for addresses."""
    usual = aioice.ice.get_host_addresses
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [address]
    try:
        yield
    finally:
        aioice.ice.get_host_addresses = usual


@asynccontextmanager
async def loopback_peer() -> AsyncGenerator[RTCPeerConnection]:
    """A client of aiortc on 127.0.0.1, closed at the end."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        yield peer
    finally:
        await peer.close()


async def offer_of(peer: RTCPeerConnection) -> str:
    """The text of its offer, with candidates."""
    with loopback_addresses():
        await peer.setLocalDescription(await peer.createOffer())
    return peer.localDescription.sdp


async def accept(peer: RTCPeerConnection, answer: str) -> None:
    await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))


async def until(is_so: Callable[[], bool]) -> None:
    """Back once it is so, asked on every turn of the loop; `TimeoutError` if it never is."""
    async with asyncio.timeout(LIMIT_S):
        while not is_so():  # noqa: ASYNC110, the client's states come without an event of ours
            await asyncio.sleep(0.001)


@dataclass
class Heard:
    """Everything a link has told."""

    rtp: list[bytes] = field(default_factory=list)
    rtcp: list[bytes] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    channels: int = 0
    ends: list[LinkEnd] = field(default_factory=list)

    def opened(self) -> None:
        self.channels += 1


def link_for(heard: Heard, setup: LinkSetup = SETUP) -> Link:
    return Link(
        setup,
        on_rtp=heard.rtp.append,
        on_rtcp=heard.rtcp.append,
        on_message=heard.messages.append,
        on_channel=heard.opened,
        on_end=heard.ends.append,
    )


@dataclass
class Pair:
    """A link and a client, connected."""

    link: Link
    heard: Heard
    peer: RTCPeerConnection
    events: RTCDataChannel | None
    """The client's end of the channel."""
    received: list[str | bytes]
    """What came over it to the client."""
    offer: Offer


@asynccontextmanager
async def connected(
    setup: LinkSetup = SETUP,
    *,
    change: Callable[[str], str] = lambda sdp: sdp,
    edit: Callable[[Offer], Offer] = lambda offer: offer,
    label: str | None = "oai-events",
    codec: str | None = None,
    meanwhile: Callable[[Link, Offer], None] = lambda link, offer: None,
) -> AsyncGenerator[Pair]:
    """A client with audio and a channel, connected to a link; both freed at the end.

    `change` is given the client's SDP, `edit` the offer read from it, `meanwhile` is called as soon as the link's
    sockets are known, before anything is sent.
    """
    heard, received = Heard(), list[str | bytes]()
    link = link_for(heard, setup)
    async with loopback_peer() as peer:
        transceiver = peer.addTransceiver(AudioStreamTrack(), direction="sendrecv")
        if codec is not None:
            known = RTCRtpReceiver.getCapabilities("audio")
            assert known is not None
            transceiver.setCodecPreferences([c for c in known.codecs if c.mimeType == codec])
        events = None if label is None else peer.createDataChannel(label)
        if events is not None:
            events.on("message", received.append)
        offer = edit(read_offer(change(await offer_of(peer))))
        try:
            await link.gather()
            meanwhile(link, offer)
            answer = answer_to(offer, link.local_side(offer, ssrc=1234, cname="test"))
            async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
                tasks.create_task(link.connect(offer))
                tasks.create_task(accept(peer, answer))
            await until(lambda: peer.connectionState != "connecting" or link.is_over)
            if events is not None:
                await until(lambda: events.readyState != "connecting" or link.is_over)
            yield Pair(link, heard, peer, events, received, offer)
        finally:
            await link.close()


def without_candidates(sdp: str) -> str:
    return "".join(line for line in sdp.splitlines(True) if "candidate" not in line)


def with_setup(setup: str) -> Callable[[str], str]:
    return lambda sdp: sdp.replace("a=setup:actpass", f"a=setup:{setup}")


def with_wrong_fingerprint(offer: Offer) -> Offer:
    """The digest of nobody's certificate."""
    first = offer.fingerprints[0]
    other = "00" if first.value[:2] != "00" else "01"
    return replace(offer, fingerprints=(replace(first, value=other + first.value[2:]),))
