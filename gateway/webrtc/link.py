"""One peer connection: ICE, DTLS, SRTP and the data channel, over the parts of aiortc without its media.

Above stands a session's connection, which makes RTP and reads events. Below stand aiortc's ICE, DTLS and SCTP
transports; its RTP senders, receivers and peer connection are not used. A packet of sound is taken off the socket,
judged by its source, deciphered and passed on in one go, with no queue and no task between.
Knows nothing of codecs, of SDP text, or of what a message means.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable
from typing import Final

from aioice import Candidate
from aiortc import (
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceCandidate,
    RTCIceParameters,
    RTCIceTransport,
)
from OpenSSL import SSL

from gateway.errors import IllegalStep
from gateway.webrtc.addresses import SETTING, believed
from gateway.webrtc.answer import LocalSide, setup_for
from gateway.webrtc.consent import consent_lost
from gateway.webrtc.data_channel import MOST_MESSAGE_BYTES, DataChannel
from gateway.webrtc.inner_names import replace
from gateway.webrtc.link_end import LinkEnd
from gateway.webrtc.link_setup import LinkFailed, LinkSetup, make_certificate
from gateway.webrtc.offer import Fingerprint, Offer
from gateway.webrtc.secure_media import SecureMedia
from gateway.webrtc.source_filter import SourceFilter

__all__ = ["Link", "LinkEnd", "LinkFailed", "LinkSetup", "make_certificate"]

logger = logging.getLogger(__name__)

GATHER_LIMIT_S: Final = 1
"""For STUN and TURN servers to answer; without any it takes about a millisecond."""

_COMPONENT: Final = 1


class Phase(enum.Enum):
    NEW = enum.auto()
    GATHERED = enum.auto()
    CONNECTING = enum.auto()
    CONNECTED = enum.auto()
    OVER = enum.auto()


STEPS: Final[dict[Phase, frozenset[Phase]]] = {
    Phase.NEW: frozenset({Phase.GATHERED, Phase.OVER}),
    Phase.GATHERED: frozenset({Phase.CONNECTING, Phase.OVER}),
    Phase.CONNECTING: frozenset({Phase.CONNECTED, Phase.OVER}),
    Phase.CONNECTED: frozenset({Phase.OVER}),
    Phase.OVER: frozenset(),
}


class Link:
    """See the module's docstring. `gather`, `local_side`, `connect`, and `close` in every case.

    `on_end` is called once, unless the owner has closed the link before; no message comes after it, sound may until
    the owner closes the link. Callbacks run on the event loop, as soon as something came, and may not raise.
    """

    def __init__(
        self,
        setup: LinkSetup,
        *,
        on_rtp: Callable[[bytes], None],
        on_rtcp: Callable[[bytes], None],
        on_message: Callable[[bytes], None],
        on_channel: Callable[[], None],
        on_end: Callable[[LinkEnd], None],
    ) -> None:
        self._setup = setup
        self._on_message = on_message
        self._on_channel = on_channel
        self._on_end = on_end
        self._phase = Phase.NEW
        self._why: LinkEnd | None = None
        self._gathering: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._settled.set()
        self._channel: DataChannel | None = None
        gatherer = setup.make_gatherer()
        self._connection = gatherer._connection
        self._gather_candidates = self._connection.get_component_candidates
        replace(self._connection, "get_component_candidates", self._gather_ours)
        replace(self._connection, "query_consent", self._keep_consent)
        self._ice = RTCIceTransport(gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [setup.certificate])
        self._dtls.on("statechange", self._dtls_changed)
        self._media = SecureMedia(self._dtls, self._connection, on_rtp=on_rtp, on_rtcp=on_rtcp)
        self._filter = SourceFilter(self._connection, self._media.receive)

    # -- coming up -----------------------------------------------------------------------------------------------

    async def gather(self) -> None:
        """Bind the addresses, and ask the servers for ours. Raises `LinkFailed` if there is nothing to offer."""
        # A task of its own: cancelled between two sockets it would leave the first one open.
        self._gathering = asyncio.create_task(self._ice.iceGatherer.gather())
        await asyncio.shield(self._gathering)
        if self.is_over:
            return
        self._filter.guard()
        if not self._connection.local_candidates:
            addresses = ", ".join(self._setup.addresses.offered) or "none"
            await self.close()
            raise LinkFailed(
                f"None of the addresses for WebRTC ({addresses}) can be bound. "
                f"Set {SETTING} to addresses of this machine, or to local=public behind a NAT."
            )
        self._step(Phase.GATHERED)

    async def _gather_ours(self, component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:
        """On the addresses that are set, instead of all that the machine has."""
        ours = list(self._setup.addresses.offered)
        return await self._gather_candidates(component=component, addresses=ours, timeout=GATHER_LIMIT_S)

    def local_side(self, offer: Offer, *, ssrc: int, cname: str) -> LocalSide:
        """Our half of the answer to `offer`; after `gather`."""
        ours = self._ice.iceGatherer.getLocalParameters()
        published = (self._setup.addresses.published(c.to_sdp()) for c in self._connection.local_candidates)
        return LocalSide(
            ufrag=ours.usernameFragment or "",
            password=ours.password or "",
            # Others only make the answer longer: every peer has to know this one (RFC 8122, section 5).
            fingerprints=tuple(
                Fingerprint(algorithm=print_.algorithm, value=print_.value)
                for print_ in self._setup.certificate.getFingerprints()
                if print_.algorithm == "sha-256"
            ),
            candidates=tuple(dict.fromkeys(published)),
            setup=setup_for(offer),
            ssrc=ssrc,
            cname=cname,
            most_bytes=MOST_MESSAGE_BYTES,
        )

    async def connect(self, offer: Offer) -> None:
        """Do ICE, DTLS and SCTP with the peer. Back when all is up; if it fails, when all is freed and `on_end` was
        called; if the link is closed meanwhile, at once. Its owner may cancel it, and closes the link then."""
        self._step(Phase.CONNECTING)
        self._settled.clear()
        try:
            async with asyncio.timeout(self._setup.connect_limit_s):
                is_up = await self._establish(offer)
        except TimeoutError:
            logger.info("= not connected after %g s", self._setup.connect_limit_s)
            is_up = False
        finally:
            self._settled.set()
        if self._phase is not Phase.CONNECTING:
            return
        if is_up and self._why is None:
            self._step(Phase.CONNECTED)
            return
        await self.close()
        self._on_end(self._why or LinkEnd.NEVER_CONNECTED)

    async def _establish(self, offer: Offer) -> bool:
        # "If one agent is full and the other lite, the full one MUST take the controlling role" (RFC 8445, 6.1.1).
        self._connection.ice_controlling = offer.is_lite
        for remote in believed(offer.candidates, self._setup.addresses):
            await self._ice.addRemoteCandidate(
                RTCIceCandidate(
                    component=_COMPONENT,
                    foundation=remote.foundation,
                    ip=remote.address,
                    port=remote.port,
                    priority=remote.priority,
                    protocol="udp",
                    type=remote.type,
                )
            )
        # The end of candidates is never told: aioice would give up once the last check failed, while the peer may
        # still come from an address it could not or would not name. The limit on all of this is the end.
        await self._ice.start(
            RTCIceParameters(usernameFragment=offer.ufrag, password=offer.password, iceLite=offer.is_lite)
        )
        if self._ice.state != "completed" or self.is_over:
            return False
        self._dtls._set_role("client" if setup_for(offer) == "active" else "server")
        prints = [RTCDtlsFingerprint(algorithm=p.algorithm, value=p.value) for p in offer.fingerprints]
        if offer.channel is not None:
            self._channel = DataChannel(
                self._dtls,
                offer.channel,
                on_message=self._on_message,
                on_open=self._on_channel,
                on_end=self._end,
            )
        await self._dtls.start(RTCDtlsParameters(fingerprints=prints))
        if self._dtls.state != "connected" or self.is_over:
            return False
        if self._channel is not None:
            await self._channel.start()
        return True

    # -- sound ---------------------------------------------------------------------------------------------------

    def send_rtp(self, packet: bytes) -> None:
        """Cipher and send it at once; nothing if not connected. What fails is counted: consent decides."""
        if self._phase is Phase.CONNECTED:
            self._media.send_rtp(packet)

    def send_rtcp(self, packet: bytes) -> None:
        """As `send_rtp`."""
        if self._phase is Phase.CONNECTED:
            self._media.send_rtcp(packet)

    # -- events --------------------------------------------------------------------------------------------------

    @property
    def most_message_bytes(self) -> int:
        """Of `send_text`, in UTF-8: what the peer takes."""
        return 0 if self._channel is None else self._channel.most_message_bytes

    @property
    def waiting_bytes(self) -> int:
        """Of messages not yet on their way."""
        return 0 if self._channel is None else self._channel.waiting_bytes

    def send_text(self, text: str) -> None:
        """One message; nothing while the channel is not open. Raises `ValueError` past `most_message_bytes`."""
        if self._channel is not None and self._phase is not Phase.OVER:
            self._channel.send_text(text)

    async def room(self) -> None:
        """Back when little waits to be sent, or nothing will be sent any more."""
        if self._channel is not None:
            await self._channel.room()

    async def sent(self) -> None:
        """Back when the peer has all messages, or nothing will be sent any more. Its caller sets the limit."""
        if self._channel is not None:
            await self._channel.sent()

    # -- going down ----------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Tell the peer, if there is one, and free everything. In any phase, as often as one likes."""
        if self._closing is None:
            if self._phase is not Phase.OVER:
                self._step(Phase.OVER)
            # A task of its own: whoever closes may be cancelled, and sockets must not stay open for that.
            self._closing = asyncio.create_task(self._free())
        await asyncio.shield(self._closing)

    async def _free(self) -> None:
        if self._gathering is not None:
            await asyncio.wait([self._gathering])
        if self._channel is not None:
            await self._channel.close()
        reading = self._dtls._task
        await self._dtls.stop()
        await self._ice.stop()
        await self._settled.wait()
        # aiortc and aioice cancel these without waiting, or begin them when the connection is closed already.
        for task in filter(None, (reading, self._dtls._task, self._connection._query_consent_task)):
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and (fault := task.exception()) is not None:
                logger.info("= the link's reader had failed: %r", fault)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, by itself or by `close`."""
        return self._phase is Phase.OVER

    def _step(self, to: Phase) -> None:
        if to not in STEPS[self._phase]:
            raise IllegalStep(f"A link cannot go from {self._phase.name} to {to.name}")
        self._phase = to

    def _end(self, why: LinkEnd) -> None:
        """It has ended by itself. While it connects, `connect` sees to it."""
        self._why = self._why or why
        if self._channel is not None:
            self._channel.let_go()
        if self._phase is Phase.CONNECTED:
            self._step(Phase.OVER)
            logger.info("= link over: %s", why)
            self._on_end(why)

    def _dtls_changed(self) -> None:
        if self._dtls.state == "closed":
            ssl = self._dtls._ssl
            has_left = ssl is not None and ssl.get_shutdown() & SSL.RECEIVED_SHUTDOWN
            self._end(LinkEnd.PEER_LEFT if has_left else LinkEnd.CONNECTION_LOST)

    async def _keep_consent(self) -> None:
        await consent_lost(
            self._connection, limit_s=self._setup.consent_limit_s, every_s=self._setup.consent_every_s
        )
        self._end(LinkEnd.CONNECTION_LOST)
