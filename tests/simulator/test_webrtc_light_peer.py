"""The light client against stock aiortc, which echoes."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiortc import RTCCertificate

from simulator.webrtc_exchange import Exchange, Shape
from simulator.webrtc_light_peer import LightPeer, NotConnected
from simulator.webrtc_mark import FRAME_BYTES, OpusCoder
from tests.simulator.throwaway_webrtc import ThrowawayWebRtc, webrtc

pytestmark = pytest.mark.anyio

CERTIFICATE = RTCCertificate.generateCertificate()
LIMIT_S = 20
SILENCE = OpusCoder().packets(bytes(FRAME_BYTES * 10))


class Light:
    """A light peer and what came to it."""

    def __init__(self) -> None:
        self.packets: list[tuple[bytes, int, int]] = []
        self.messages: list[str] = []
        self.news = asyncio.Event()
        self.peer = LightPeer(CERTIFICATE, on_packet=self.hear, on_message=self.receive)

    def hear(self, packet: bytes, sequence: int, timestamp: int) -> None:
        self.packets.append((packet, sequence, timestamp))
        self.news.set()

    def receive(self, text: str) -> None:
        self.messages.append(text)
        self.news.set()

    async def connect(self, server: ThrowawayWebRtc) -> None:
        async with aiohttp.ClientSession() as http:
            answer = await Exchange(http, server.url, "k").offer(await self.peer.offer(), Shape.OPENAI_SDP)
        async with asyncio.timeout(LIMIT_S):
            await self.peer.connect(answer.answer_sdp)

    async def until(self, count: int, of: list[str] | list[tuple[bytes, int, int]]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while len(of) < count:
                self.news.clear()
                await self.news.wait()


async def test_sound_and_messages_go_both_ways_and_a_close_is_noticed() -> None:
    async with webrtc(ThrowawayWebRtc()) as server:
        light = Light()
        await light.connect(server)
        light.peer.send_text("hello")
        await light.until(2, light.messages)
        assert light.messages[1] == "hello"
        sender = asyncio.create_task(keep_sending(light.peer))
        await light.until(5, light.packets)
        sender.cancel()
        sequences = [sequence for _, sequence, _ in light.packets[:5]]
        assert sequences == [(sequences[0] + nth) & 0xFFFF for nth in range(5)]
        packet, _, _ = light.packets[0]
        payload = light.peer.deciphered(packet)
        assert len(payload) == len(packet) - light.peer.overhead_bytes
        await light.peer.close()
        await light.peer.close()
        assert not light.peer.is_up
        await server.until("closed")


async def keep_sending(peer: LightPeer) -> None:
    for nth in range(500):
        peer.send(SILENCE[nth % len(SILENCE)], marked=nth == 0)
        await asyncio.sleep(0.02)


async def test_a_server_that_ends_the_connection_is_noticed() -> None:
    async with webrtc(ThrowawayWebRtc()) as server:
        light = Light()
        await light.connect(server)
        await server.peers[0].close()
        async with asyncio.timeout(LIMIT_S):
            while light.peer.is_up:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        await light.peer.close()


@pytest.mark.parametrize("answer", ["v=0\r\n", "v=0\r\nm=audio 0 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"])
async def test_an_answer_without_sound_connects_nothing(answer: str) -> None:
    light = Light()
    await light.peer.offer()
    with pytest.raises(NotConnected, match="takes no sound"):
        await light.peer.connect(answer)
    await light.peer.close()


async def test_a_server_that_answers_no_check_connects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        raise ConnectionError("ICE negotiation failed")  # as aioice does, after a minute

    async with webrtc(ThrowawayWebRtc()) as server:
        light = Light()
        monkeypatch.setattr(light.peer._connection, "connect", fail)
        with pytest.raises(NotConnected, match="ICE has ended failed"):
            await light.connect(server)
        await light.peer.close()


async def test_a_server_with_another_certificate_is_not_believed() -> None:
    async with webrtc(ThrowawayWebRtc()) as server:
        light = Light()
        async with aiohttp.ClientSession() as http:
            answer = await Exchange(http, server.url, "k").offer(await light.peer.offer(), Shape.OPENAI_SDP)
        lines = answer.answer_sdp.split("\r\n")
        forged = [
            line[:-2] + ("00" if line[-2:] != "00" else "11") if line.startswith("a=fingerprint") else line
            for line in lines
        ]
        with pytest.raises(NotConnected, match="DTLS has ended failed"):
            async with asyncio.timeout(LIMIT_S):
                await light.peer.connect("\r\n".join(forged))
        await light.peer.close()
