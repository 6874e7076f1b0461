from __future__ import annotations

import asyncio
import os
import random
import socket
from contextlib import AsyncExitStack
from dataclasses import replace
from struct import pack
from typing import Any

import pytest
from aiortc import RTCDtlsTransport, RTCRtpReceiver
from aiortc.contrib.media import MediaBlackhole

import gateway.webrtc.link
from gateway.errors import IllegalStep
from gateway.realtime.ice_servers import IceServer
from gateway.webrtc.addresses import Addresses, Remote
from gateway.webrtc.link import Link, LinkEnd, LinkFailed, LinkSetup
from gateway.webrtc.offer import Offer, read_offer
from tests.gateway.webrtc.support import (
    CERTIFICATE,
    LIMIT_S,
    LOOPBACK,
    SETUP,
    Heard,
    Pair,
    connected,
    link_for,
    loopback_addresses,
    loopback_peer,
    offer_of,
    until,
    with_setup,
    with_wrong_fingerprint,
    without_candidates,
)
from tests.gateway.webrtc.turn_server import turn_server

pytestmark = pytest.mark.anyio

LOOPS = [("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True})]
both_loops = pytest.mark.parametrize("anyio_backend", LOOPS, ids=["asyncio", "uvloop"])


def rtp(number: int, ssrc: int = 1234) -> bytes:
    """20 ms of silence in PCMU."""
    return pack("!BBHLL", 0x80, 0, number, number * 160, ssrc) + b"\xff" * 160


def sender_report(ssrc: int = 1234) -> bytes:
    return pack("!BBHLQLLL", 0x80, 200, 6, ssrc, 1 << 63, 160, 1, 160)


async def heard_by(peer_receiver: RTCRtpReceiver) -> dict[str, Any]:
    return {entry.type: entry for entry in (await peer_receiver.getStats()).values()}


def dtls_of(pair: Pair) -> RTCDtlsTransport:
    return pair.peer.getSenders()[0].transport


def ports_of(link: Link) -> list[int]:
    return [candidate.port for candidate in link._connection.local_candidates]


async def an_offer() -> Offer:
    """Of a client that will never be there."""
    async with loopback_peer() as peer:
        peer.addTransceiver("audio")
        peer.createDataChannel("oai-events")
        return read_offer(await offer_of(peer))


def other_tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {task for task in (asyncio.current_task(),) if task is not None}


@both_loops
async def test_sound_reports_and_text_go_both_ways() -> None:
    async with connected(codec="audio/PCMU") as pair:
        assert pair.events is not None
        sink = MediaBlackhole()
        receiver = pair.peer.getReceivers()[0]
        sink.addTrack(receiver.track)
        await sink.start()
        pair.events.send("to the gateway")
        pair.link.send_text("to the client")
        async with asyncio.timeout(LIMIT_S):
            number = 0
            while (entry := (await heard_by(receiver)).get("inbound-rtp")) is None or entry.packetsReceived < 5:
                pair.link.send_rtp(rtp(number := number + 1))
                await asyncio.sleep(0.001)
            while "remote-outbound-rtp" not in await heard_by(receiver):
                pair.link.send_rtcp(sender_report())
                await asyncio.sleep(0.001)
        await until(lambda: len(pair.heard.rtp) >= 3 and bool(pair.heard.rtcp))
        await until(lambda: pair.received == ["to the client"] and pair.heard.messages == [b"to the gateway"])
        # PCMU as a packet of the client's, deciphered: version 2, payload type 0, 20 ms.
        assert {(packet[0] >> 6, packet[1] & 0x7F, len(packet)) for packet in pair.heard.rtp} == {(2, 0, 172)}
        assert {packet[1] for packet in pair.heard.rtcp} <= {200, 201, 202}
        assert pair.link._media.unsent == 0
        await sink.stop()
    assert pair.heard.ends == []


async def test_an_offer_without_candidates_connects() -> None:
    async with connected(change=without_candidates) as pair:
        assert pair.offer.candidates == ()
        assert (pair.heard.channels, pair.heard.ends) == (1, [])


async def test_candidates_that_lead_into_our_network_are_not_checked() -> None:
    async with connected() as pair:
        assert any(LOOPBACK in candidate for candidate in pair.offer.candidates)
        assert [c.type for c in pair.link._connection.remote_candidates] == ["prflx"]


async def test_public_candidates_are_checked() -> None:
    offer = replace(await an_offer(), candidates=("1 1 udp 99 192.88.98.1 9 typ host",))
    heard = Heard()
    link = link_for(heard, replace(SETUP, connect_limit_s=0.05))
    await link.gather()
    connecting = asyncio.create_task(link.connect(offer))
    await until(lambda: bool(link._connection.remote_candidates))
    (remote,) = link._connection.remote_candidates
    assert (remote.host, remote.port, remote.type, remote.priority) == ("192.88.98.1", 9, "host", 99)
    await connecting


@pytest.mark.parametrize("setup", ["active", "passive", "actpass"])
async def test_either_side_may_open_dtls(setup: str) -> None:
    async with connected(change=with_setup(setup)) as pair:
        assert pair.offer.setup == setup
        assert pair.link._dtls._role == ("server" if setup == "active" else "client")
        await until(lambda: bool(pair.heard.rtp))


async def test_a_peer_that_says_it_is_lite_is_led_by_us() -> None:
    async with connected(edit=lambda offer: replace(offer, is_lite=True)) as pair:
        assert pair.heard.ends == []
        await until(lambda: bool(pair.heard.rtp))


async def test_an_offer_without_a_channel_has_sound_only() -> None:
    async with connected(label=None) as pair:
        await until(lambda: bool(pair.heard.rtp))
        assert (pair.link.most_message_bytes, pair.link.waiting_bytes) == (0, 0)
        pair.link.send_text("nobody hears this")
        await pair.link.room()
        await pair.link.sent()


async def test_a_peer_with_another_certificate_than_it_said_is_refused() -> None:
    async with connected(edit=with_wrong_fingerprint) as pair:
        assert pair.heard.ends == [LinkEnd.NEVER_CONNECTED]
        assert (pair.heard.rtp, pair.heard.channels) == ([], 0)
        assert pair.link._connection.local_candidates == []  # freed already


async def test_a_peer_that_never_comes_is_given_up_and_all_is_freed() -> None:
    offer = await an_offer()
    tasks, heard = other_tasks(), Heard()
    link = link_for(heard, replace(SETUP, connect_limit_s=0.05))
    await link.gather()
    (port,) = ports_of(link)
    await link.connect(offer)
    assert heard.ends == [LinkEnd.NEVER_CONNECTED]
    assert other_tasks() <= tasks
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((LOOPBACK, port))
    await link.close()
    assert heard.ends == [LinkEnd.NEVER_CONNECTED]


def foreign() -> bytes:
    kind = random.choice(("random", "hello", "media", "stun"))
    if kind == "hello":  # DTLS 1.2, handshake, ClientHello
        return b"\x16\xfe\xfd" + random.randbytes(8) + b"\x00\x30\x01" + random.randbytes(47)
    if kind == "media":
        return b"\x80\x00" + random.randbytes(170)
    if kind == "stun":
        return b"\x00\x01\x00\x00\x21\x12\xa4\x42" + random.randbytes(12)
    return random.randbytes(random.randrange(1, 200))


@both_loops
async def test_a_thousand_foreign_datagrams_in_the_handshake_of_each_of_twenty_links_change_nothing() -> None:
    random.seed(5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((LOOPBACK, 0))
        stranger.setblocking(False)
        for _ in range(20):
            await one_link_among(stranger)


async def one_link_among(stranger: socket.socket) -> None:
    injecting: list[asyncio.Task[None]] = []

    async def inject(port: int) -> None:
        for _ in range(1_000):
            stranger.sendto(foreign(), (LOOPBACK, port))
            await asyncio.sleep(0)

    def begin(link: Link, offer: Offer) -> None:
        injecting.append(asyncio.create_task(inject(ports_of(link)[0])))

    async with connected(meanwhile=begin, codec="audio/PCMU") as pair:
        await asyncio.gather(*injecting)
        await until(lambda: len(pair.heard.rtp) >= 1)
        assert pair.heard.ends == []
        assert pair.link._media.refused == 0
        assert all(len(packet) == 172 for packet in pair.heard.rtp)
        assert pair.link._filter.dropped > 500  # those that are no STUN, but for what the system lost


@both_loops
async def test_sound_from_another_port_is_never_heard() -> None:
    async with connected(codec="audio/PCMU") as pair:
        taken: list[bytes] = []
        (protocol,) = pair.link._connection._protocols
        entrance = protocol.datagram_received

        def tap(data: bytes, addr: tuple[object, ...]) -> None:
            taken.append(data)
            entrance(data, addr)

        protocol.datagram_received = tap  # type: ignore[method-assign, assignment]
        await until(lambda: any(len(data) > 170 for data in taken))
        genuine = next(data for data in taken if len(data) > 170)
        dropped, refused = pair.link._filter.dropped, pair.link._media.refused
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number in range(50):
                stranger.sendto(rtp(number), (LOOPBACK, ports_of(pair.link)[0]))
                stranger.sendto(genuine, (LOOPBACK, ports_of(pair.link)[0]))
                await asyncio.sleep(0)
            await until(lambda: pair.link._filter.dropped == dropped + 100)
        assert pair.link._media.refused == refused
        assert pair.heard.ends == []


@both_loops
async def test_a_peer_that_no_longer_answers_is_lost() -> None:
    setup = replace(SETUP, consent_every_s=0.01, consent_limit_s=0.2)
    async with connected(setup) as pair:
        # From now on it hears no check of ours, though its sound goes on.
        dtls_of(pair).transport._connection.request_received = (  # type: ignore[method-assign]
            lambda message, addr, protocol: None
        )
        await until(lambda: bool(pair.heard.ends))
        assert pair.heard.ends == [LinkEnd.CONNECTION_LOST]


async def test_a_peer_that_answers_is_kept_for_longer_than_the_limit() -> None:
    setup = replace(SETUP, consent_every_s=0.01, consent_limit_s=0.2)
    async with connected(setup) as pair:
        began_s = asyncio.get_running_loop().time()
        await until(lambda: asyncio.get_running_loop().time() > began_s + 0.5)
        assert pair.heard.ends == []


@pytest.mark.parametrize("what", ["peer", "dtls", "sctp", "channel"])
async def test_a_peer_that_closes_has_left(what: str) -> None:
    async with connected() as pair:
        assert pair.events is not None and pair.peer.sctp is not None
        match what:
            case "peer":
                await pair.peer.close()
            case "dtls":
                await dtls_of(pair).stop()
            case "sctp":
                await pair.peer.sctp.stop()
            case "channel":
                pair.events.close()
        await until(lambda: bool(pair.heard.ends))
        assert pair.heard.ends == [LinkEnd.PEER_LEFT]


async def test_a_socket_that_is_gone_loses_the_connection() -> None:
    async with connected() as pair:
        pair.link._connection._queue.put_nowait(None)  # as aioice does it
        await until(lambda: bool(pair.heard.ends))
        assert pair.heard.ends == [LinkEnd.CONNECTION_LOST]


async def test_a_peer_that_leaves_while_it_connects_is_not_waited_for() -> None:
    def close_at_once(link: Link, offer: Offer) -> None:
        def look() -> None:
            if link._dtls.state == "connected":
                link._end(LinkEnd.PEER_LEFT)

        link._dtls.on("statechange", look)

    async with connected(meanwhile=close_at_once) as pair:
        assert pair.heard.ends == [LinkEnd.PEER_LEFT]
        assert pair.link._connection.local_candidates == []


async def test_the_client_sees_that_the_link_was_closed() -> None:
    async with connected() as pair:
        assert pair.events is not None
        await pair.link.close()
        await until(lambda: pair.peer.connectionState == "closed")
        await until(lambda: pair.events is not None and pair.events.readyState == "closed")
        assert pair.heard.ends == []


@both_loops
async def test_two_links_at_once_do_not_hear_each_other() -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(connected())
        second = await stack.enter_async_context(connected())
        assert first.events is not None and second.events is not None
        first.events.send("one")
        second.events.send("two")
        first.link.send_text("to one")
        second.link.send_text("to two")
        await until(lambda: first.received == ["to one"] and second.received == ["to two"])
        await until(lambda: first.heard.messages == [b"one"] and second.heard.messages == [b"two"])
        await first.link.close()
        sound = len(second.heard.rtp)
        await until(lambda: len(second.heard.rtp) > sound)


async def test_in_every_phase_a_link_may_be_closed_as_often_as_one_likes() -> None:
    offer = await an_offer()
    before, heard = other_tasks(), Heard()

    new = link_for(heard)
    gathered = link_for(heard)
    await gathered.gather()
    connecting = link_for(heard)
    await connecting.gather()
    task = asyncio.create_task(connecting.connect(offer))
    await until(lambda: connecting._ice.state == "checking")
    gathering = link_for(heard)
    other = asyncio.create_task(gathering.gather())
    await asyncio.sleep(0)

    async with asyncio.timeout(LIMIT_S):
        for link in (gathering, new, gathered, connecting):
            await asyncio.gather(link.close(), link.close())
            await link.close()
            link.send_rtp(rtp(1))
            link.send_rtcp(sender_report())
            link.send_text("x")
        await task
        await other
    assert heard.ends == []
    assert other_tasks() <= before


@pytest.mark.parametrize("moment", ["checking", "completed", "connecting", "connected"])
async def test_a_link_may_be_closed_at_any_moment_of_its_connecting(moment: str) -> None:
    closings: list[asyncio.Task[None]] = []

    def close_at(link: Link, offer: Offer) -> None:
        def look() -> None:
            if moment in (link._ice.state, link._dtls.state) and not closings:
                closings.append(asyncio.create_task(link.close()))

        link._ice.on("statechange", look)
        link._dtls.on("statechange", look)

    tasks = other_tasks()
    async with connected(meanwhile=close_at, label=None) as pair:
        await asyncio.gather(*closings)
        assert len(closings) == 1
        assert pair.heard.ends == []
    await until(lambda: other_tasks() <= tasks)


async def test_whoever_connects_or_closes_may_be_cancelled_and_all_is_freed() -> None:
    offer = await an_offer()
    tasks, heard = other_tasks(), Heard()
    link = link_for(heard)
    await link.gather()
    connecting = asyncio.create_task(link.connect(offer))
    await until(lambda: link._ice.state == "checking")
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    closing = asyncio.create_task(link.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await link.close()
    assert (heard.ends, link._connection._protocols) == ([], [])
    assert other_tasks() <= tasks


async def test_fifty_links_leave_no_task_and_no_socket() -> None:
    async with connected() as pair:  # whatever is opened once for all
        assert pair.heard.ends == []
    tasks = other_tasks()
    files = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        async with connected(label="oai-events") as pair:
            assert pair.heard.ends == []
        assert pair.link._connection._protocols == []
    await until(lambda: other_tasks() <= tasks)
    assert len(os.listdir("/proc/self/fd")) <= files


async def test_what_the_answer_tells_of_us() -> None:
    setup = replace(SETUP, addresses=Addresses((LOOPBACK,), {LOOPBACK: "203.0.113.9"}))
    link = link_for(Heard(), setup)
    with loopback_addresses("127.0.0.9"):
        await link.gather()
    offer = await an_offer()
    ours = link.local_side(offer, ssrc=77, cname="agent")
    (port,) = ports_of(link)
    (candidate,) = ours.candidates
    assert candidate.split()[1:] == ["1", "udp", "2130706431", "203.0.113.9", str(port), "typ", "host"]
    assert (ours.setup, ours.ssrc, ours.cname, ours.most_bytes) == ("active", 77, "agent", 65_536)
    assert (len(ours.ufrag), len(ours.password)) == (4, 22)
    (fingerprint,) = ours.fingerprints
    assert fingerprint.algorithm == "sha-256" and len(fingerprint.value) == 32 * 3 - 1
    assert link.local_side(replace(offer, setup="active"), ssrc=1, cname="").setup == "passive"
    await link.close()


async def test_addresses_that_cannot_be_bound_are_named() -> None:
    heard = Heard()
    link = link_for(heard, replace(SETUP, addresses=Addresses(("203.0.113.77", "203.0.113.78"))))
    with pytest.raises(LinkFailed) as fault:
        await link.gather()
    assert str(fault.value).startswith(
        "None of the addresses for WebRTC (203.0.113.77, 203.0.113.78) can be bound."
    )
    assert "SWITCHBOARD_WEBRTC_ADDRESSES" in str(fault.value)
    assert heard.ends == []


async def test_one_address_that_cannot_be_bound_does_not_matter() -> None:
    link = link_for(Heard(), replace(SETUP, addresses=Addresses(("203.0.113.77", LOOPBACK, "::1"))))
    await link.gather()
    assert {candidate.host for candidate in link._connection.local_candidates} - {"::1"} == {LOOPBACK}
    await link.close()


async def test_without_an_address_there_is_nothing_to_offer() -> None:
    with pytest.raises(LinkFailed, match=r"\(none\) can be bound"):
        await link_for(Heard(), LinkSetup(addresses=Addresses(()), certificate=CERTIFICATE)).gather()


async def test_a_stun_server_is_asked_and_one_that_is_silent_holds_nobody_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((LOOPBACK, 0))
        server.setblocking(False)
        url = f"stun:{LOOPBACK}:{server.getsockname()[1]}"
        link = link_for(Heard(), replace(SETUP, servers=(IceServer((url,)),)))
        tasks = other_tasks()
        async with asyncio.timeout(LIMIT_S):
            await link.gather()
        assert server.recv(100)[:2] == b"\x00\x01"  # a binding request
        assert len(ports_of(link)) == 1
        await link.close()
        await until(lambda: other_tasks() <= tasks)


@both_loops
async def test_over_a_relay_all_goes_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    def any_believed(candidates: tuple[str, ...], addresses: Addresses) -> tuple[Remote, ...]:
        words = [candidate.split() for candidate in candidates]
        return tuple(
            Remote(foundation=word[0], priority=int(word[3]), address=word[4], port=int(word[5]), type=word[7])
            for word in words
        )

    # A relay lets in only those it was told of, and the client of this test has no public address.
    monkeypatch.setattr(gateway.webrtc.link, "believed", any_believed)
    tasks = other_tasks()
    async with turn_server() as server:
        relay = IceServer(server.url, username="user", credential="secret")
        setup = replace(SETUP, addresses=Addresses(()), servers=(relay,))
        async with connected(setup, codec="audio/PCMU") as pair:
            assert pair.events is not None
            assert [c.type for c in pair.link._connection.local_candidates] == ["relay"]
            pair.events.send("to the gateway")
            pair.link.send_text("to the client")
            await until(lambda: pair.received == ["to the client"] and pair.heard.messages == [b"to the gateway"])
            await until(lambda: len(pair.heard.rtp) >= 3)
            before = server.relayed
            for number in range(50):
                pair.link.send_rtp(rtp(number))
            await until(lambda: server.relayed >= before + 50)
            assert (pair.link._media.unsent, pair.heard.ends) == (0, [])
        assert server.freed
    await until(lambda: other_tasks() <= tasks)


async def test_steps_out_of_order_are_refused() -> None:
    link = link_for(Heard())
    with pytest.raises(IllegalStep, match="cannot go from NEW to CONNECTING"):
        await link.connect(await an_offer())
    await link.close()
    with pytest.raises(IllegalStep, match="cannot go from OVER to CONNECTING"):
        await link.connect(await an_offer())


async def test_what_waits_and_what_the_peer_takes_is_told() -> None:
    async with connected() as pair:
        assert pair.link.most_message_bytes == 262_144  # as aiortc offers
        pair.link.send_text("x" * 5_000)
        assert pair.link.waiting_bytes == 5_000
        async with asyncio.timeout(LIMIT_S):
            await pair.link.room()
            await pair.link.sent()
        assert pair.link.waiting_bytes == 0
        assert pair.received == ["x" * 5_000]


async def test_sending_never_raises() -> None:
    async with connected() as pair:
        pair.link.send_rtp(b"")
        pair.link.send_rtp(bytes(5_000))
        pair.link.send_rtcp(b"\x80")
        assert pair.link._media.unsent == 3
        await pair.link.close()
        pair.link.send_rtp(rtp(1))
        assert pair.link._media.unsent == 3


async def test_a_fault_of_the_reader_is_told_when_it_is_freed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with connected() as pair:
        pair.link._dtls._data_receiver = None
        pair.link._connection._queue.put_nowait((b"", 1))  # aiortc looks at the first byte of nothing
        await until(lambda: bool(pair.heard.ends))
        assert pair.heard.ends == [LinkEnd.CONNECTION_LOST]
        await pair.link.close()
        assert "the link's reader had failed: IndexError" in caplog.text
