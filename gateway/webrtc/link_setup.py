"""What all links of a gateway have in common: where they may be reached, by which certificate, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiortc import RTCCertificate, RTCIceGatherer, RTCIceServer

from gateway.errors import GatewayError
from gateway.realtime.ice_servers import IceServer
from gateway.webrtc.addresses import Addresses
from gateway.webrtc.consent import CONSENT_EVERY_S, CONSENT_LIMIT_S

CONNECT_LIMIT_S: Final = 10.0
"""From the answer until all is up. On an open network it takes well under a second."""


class LinkFailed(GatewayError):
    """No address, or no server, that the operator has set can be used. The operator's fault."""


def make_certificate() -> RTCCertificate:
    """One for a whole process: peers know it by its fingerprint alone. Takes about 0.1 ms."""
    return RTCCertificate.generateCertificate()


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSetup:
    """See the module's docstring."""

    addresses: Addresses
    certificate: RTCCertificate
    servers: tuple[IceServer, ...] = ()
    """STUN and TURN servers for the gateway itself: the first of each kind is asked for an address."""
    connect_limit_s: float = CONNECT_LIMIT_S
    consent_limit_s: float = CONSENT_LIMIT_S
    consent_every_s: float = CONSENT_EVERY_S

    def make_gatherer(self) -> RTCIceGatherer:
        """With the servers only: the addresses are the link's to bind. Raises `LinkFailed` for a server's URL."""
        try:
            return RTCIceGatherer(
                iceServers=[
                    RTCIceServer(
                        urls=server.urls if isinstance(server.urls, str) else list(server.urls),
                        username=server.username,
                        credential=server.credential,
                    )
                    for server in self.servers
                ]
            )
        except ValueError as fault:
            raise LinkFailed(f"A STUN or TURN server of the gateway cannot be used: {fault}") from fault
