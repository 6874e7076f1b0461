"""A WebRTC client that costs next to nothing, for loads of many: ICE, DTLS, SRTP and one data channel, no codec.

Over aiortc's transports without its media: a packet of sound is written by hand and sent at once; one that comes is
told by its header and length, which SRTP leaves readable, and deciphered only if somebody asks. It runs no thread
and no timer of its own, sends no reports and checks no consent, so a server must not count on these.

`offer`, then `connect` with the answer, then `send` every 20 ms; `close` in every case. Knows no HTTP.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections.abc import Callable
from typing import Any, Final

from aioice import Candidate, Connection
from aiortc import (
    RTCCertificate,
    RTCDataChannel,
    RTCDataChannelParameters,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceCandidate,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceTransport,
    RTCSctpTransport,
)
from aiortc.sdp import SessionDescription

from simulator.errors import SimulatorError
from simulator.loopback_ice import LOOPBACK

CHANNEL_LABEL: Final = "oai-events"
OPUS_NUMBER: Final = 111
TICKS_PER_FRAME: Final = 960
"""Of the RTP clock of Opus, 48 kHz, in 20 ms (RFC 7587, section 4.1)."""

SCTP_PORT: Final = 5000

_HEADER: Final = struct.Struct("!BBHII")
_VERSION: Final = 0x80
_MARKER: Final = 0x80

_MEDIA: Final = range(128, 192)
"""First bytes of what is SRTP or SRTCP (RFC 7983, section 7)."""

_RTCP: Final = range(192, 224)
"""Second bytes of SRTCP (RFC 5761, section 4)."""

_COMPONENT: Final = 1

OnPacket = Callable[[bytes, int, int], None]
"""Gets each packet of sound as it came, still ciphered, with its sequence number and its timestamp."""


class NotConnected(SimulatorError):
    """The server's answer led to no connection."""


class LightPeer:
    """See the module's docstring. Callbacks run in the event loop; none may raise."""

    def __init__(
        self,
        certificate: RTCCertificate,
        *,
        on_packet: OnPacket,
        on_message: Callable[[str], None],
        addresses: tuple[str, ...] = LOOPBACK,
    ) -> None:
        """`certificate` may be shared by all clients of a load. `addresses` are the client's own."""
        self._on_packet = on_packet
        self._certificate = certificate
        gatherer = RTCIceGatherer()
        self._connection: Connection = gatherer._connection
        self._connection.ice_controlling = True
        self._gather_candidates = self._connection.get_component_candidates
        self._addresses = list(addresses)
        vars(self._connection)["get_component_candidates"] = self._gather_there
        vars(self._connection)["query_consent"] = _ask_nobody
        self._ice = RTCIceTransport(gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [certificate])
        self._sctp = RTCSctpTransport(self._dtls, port=SCTP_PORT)
        self._channel = RTCDataChannel(self._sctp, RTCDataChannelParameters(label=CHANNEL_LABEL))
        self._channel.on("message", on_message)
        self._is_open = asyncio.Event()
        self._channel.on("open", self._is_open.set)
        self._ssrc = secrets.randbits(32)
        self._sequence = secrets.randbits(15)  # far from its end, as senders begin (RFC 3711, section 3.3.1)
        self._timestamp = secrets.randbits(32)
        self._is_closed = False
        self._gathering: asyncio.Task[None] | None = None
        self.overhead_bytes = _HEADER.size
        """Of each packet, beside its payload: RTP's header and, once one was sent, the tag of SRTP."""

    async def offer(self) -> str:
        """Gather, and tell it all in SDP: one section of sound, one of data, bundled."""
        # A task of its own: cancelled between binding a socket and keeping it, it would leave it open.
        self._gathering = asyncio.create_task(self._ice.iceGatherer.gather())
        await asyncio.shield(self._gathering)
        for protocol in self._connection._protocols:
            # Set on the object, where asyncio, uvloop and aioice look for each datagram.
            vars(protocol)["datagram_received"] = self._entrance(protocol.datagram_received)
        ours = self._ice.iceGatherer.getLocalParameters()
        transport = [
            "c=IN IP4 127.0.0.1",
            *(f"a=candidate:{candidate.to_sdp()}" for candidate in self._connection.local_candidates),
            "a=end-of-candidates",
            f"a=ice-ufrag:{ours.usernameFragment}",
            f"a=ice-pwd:{ours.password}",
            *(f"a=fingerprint:{one.algorithm} {one.value}" for one in self._certificate.getFingerprints()),
            "a=setup:actpass",
        ]
        return "".join(
            f"{line}\r\n"
            for line in (
                *("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1", "a=msid-semantic:WMS *"),
                *(f"m=audio 9 UDP/TLS/RTP/SAVPF {OPUS_NUMBER}", *transport, "a=mid:0", "a=sendrecv", "a=rtcp-mux"),
                *(f"a=rtpmap:{OPUS_NUMBER} opus/48000/2", f"a=fmtp:{OPUS_NUMBER} minptime=10;useinbandfec=1"),
                *(f"a=ssrc:{self._ssrc} cname:load", f"a=ssrc:{self._ssrc} msid:load voice", "a=msid:load voice"),
                *("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", *transport, "a=mid:1"),
                *(f"a=sctp-port:{SCTP_PORT}", "a=max-message-size:262144"),
            )
        )

    async def connect(self, answer_sdp: str) -> None:
        """Until the data channel is open; the caller bounds the wait. Raises `NotConnected`."""
        ice, dtls, candidates = _read(answer_sdp)
        for candidate in candidates:
            await self._ice.addRemoteCandidate(candidate)
        await self._ice.addRemoteCandidate(None)
        await self._ice.start(ice)
        if self._ice.state != "completed":
            raise NotConnected(f"ICE has ended {self._ice.state}")
        # Its role is ours: "active" opens, so the other side is the server (RFC 8842, section 5.3).
        self._dtls._set_role("server" if dtls.role == "client" else "client")
        await self._dtls.start(dtls)
        if self._dtls.state != "connected":
            raise NotConnected(f"DTLS has ended {self._dtls.state}")
        pair = self._connection._nominated[_COMPONENT]
        self._protect: Callable[[bytes], bytes] = self._dtls._tx_srtp.protect
        self._sendto: Callable[[bytes, Any], None] = pair.protocol.transport.sendto
        self._remote = pair.remote_addr
        await self._sctp.start(self._sctp.getCapabilities(), SCTP_PORT)
        await self._is_open.wait()

    @property
    def is_up(self) -> bool:
        """It has been connected, and neither side has ended it."""
        return not self._is_closed and self._channel.readyState == "open" and self._dtls.state == "connected"

    def send(self, payload: bytes, *, marked: bool = False) -> None:
        """One packet, 20 ms of Opus; call it every 20 ms, once connected."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + TICKS_PER_FRAME) & 0xFFFF_FFFF
        number = OPUS_NUMBER | _MARKER if marked else OPUS_NUMBER
        head = _HEADER.pack(_VERSION, number, self._sequence, self._timestamp, self._ssrc)
        packet = self._protect(head + payload)
        self.overhead_bytes = len(packet) - len(payload)
        self._sendto(packet, self._remote)

    def send_text(self, text: str) -> None:
        """One message of the data channel."""
        self._channel.send(text)

    def deciphered(self, packet: bytes) -> bytes:
        """The payload of a packet as `on_packet` got it. Once for each: SRTP takes none twice."""
        plain: bytes = self._dtls._rx_srtp.unprotect(packet)
        return plain[_HEADER.size :]

    async def close(self) -> None:
        """With a goodbye, and free all; may be called again."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._gathering is not None:
            await asyncio.wait((self._gathering,))
        await self._sctp.stop()
        await self._dtls.stop()
        await self._ice.stop()

    async def _gather_there(self, component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:
        return await self._gather_candidates(component=component, addresses=self._addresses, timeout=timeout)

    def _entrance(self, pass_on: Callable[[bytes, Any], None]) -> Callable[[bytes, Any], None]:
        on_packet, unpack = self._on_packet, _HEADER.unpack_from

        def receive(data: bytes, address: Any) -> None:
            if len(data) < _HEADER.size or data[0] not in _MEDIA:
                pass_on(data, address)
            elif data[1] not in _RTCP:
                _, _, sequence, timestamp, _ = unpack(data)
                on_packet(data, sequence, timestamp)

        return receive


def _read(answer_sdp: str) -> tuple[RTCIceParameters, RTCDtlsParameters, list[RTCIceCandidate]]:
    """Of the first section, into which all is bundled."""
    sections = SessionDescription.parse(answer_sdp).media
    if not sections or not sections[0].port or sections[0].dtls is None or sections[0].ice is None:
        raise NotConnected("the answer takes no sound")
    return sections[0].ice, sections[0].dtls, sections[0].ice_candidates


async def _ask_nobody() -> None:
    """In place of aioice's consent checks, which would be a timer of each client."""
    await asyncio.Event().wait()
