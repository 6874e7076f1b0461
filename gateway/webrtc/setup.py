"""What the settings mean for all peer connections of a gateway."""

from __future__ import annotations

from aioice import ice

from gateway.settings import Settings
from gateway.webrtc.addresses import addresses_for
from gateway.webrtc.link import LinkSetup, make_certificate


def make_setup(settings: Settings) -> LinkSetup:
    """With a certificate of its own, which lives as long as the process."""
    addresses = addresses_for(settings.webrtc_addresses, settings.host, _machine)
    return LinkSetup(addresses=addresses, certificate=make_certificate())


def _machine() -> list[str]:
    """The machine's addresses, but for those only it can reach."""
    return ice.get_host_addresses(use_ipv4=True, use_ipv6=True)
