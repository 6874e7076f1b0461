"""What kind of place an IP address is: only what is `PUBLIC` may be reached without the operator's word.

Python's `is_global` alone does not do: in 3.13 it holds for 64:ff9b::7f00:1 and for 224.0.0.1, and an address of
version 6 may carry one of version 4 that stands inside. The blocks are those of the IANA special-purpose address
registries (RFC 6890 and its updates).
"""

from __future__ import annotations

import enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address


class Kind(enum.StrEnum):
    """What an address is for."""

    PUBLIC = "public"
    LOOPBACK = "loopback"
    PRIVATE = "private"
    SHARED = "carrier-grade NAT"
    LINK_LOCAL = "link-local"
    METADATA = "metadata"
    MULTICAST = "multicast"
    RESERVED = "reserved"
    DOCUMENTATION = "documentation"
    TUNNEL = "tunnel"
    """It carries an address of version 4, and leads there."""


_V4 = [
    (IPv4Network(block), kind)
    for block, kind in (
        ("0.0.0.0/8", Kind.RESERVED),  # "this host": Linux takes it for loopback
        ("10.0.0.0/8", Kind.PRIVATE),
        ("100.64.0.0/10", Kind.SHARED),  # Alibaba's metadata stands here as well
        ("127.0.0.0/8", Kind.LOOPBACK),
        ("168.63.129.16/32", Kind.METADATA),  # Azure's host, which looks public
        ("169.254.0.0/16", Kind.LINK_LOCAL),  # the metadata of most clouds
        ("172.16.0.0/12", Kind.PRIVATE),
        ("192.0.0.0/24", Kind.RESERVED),
        ("192.0.2.0/24", Kind.DOCUMENTATION),
        ("192.31.196.0/24", Kind.RESERVED),
        ("192.52.193.0/24", Kind.RESERVED),
        ("192.88.99.0/24", Kind.TUNNEL),  # relays of 6to4
        ("192.168.0.0/16", Kind.PRIVATE),
        ("192.175.48.0/24", Kind.RESERVED),
        ("198.18.0.0/15", Kind.RESERVED),  # benchmarks
        ("198.51.100.0/24", Kind.DOCUMENTATION),
        ("203.0.113.0/24", Kind.DOCUMENTATION),
        ("224.0.0.0/4", Kind.MULTICAST),
        ("240.0.0.0/4", Kind.RESERVED),  # with the broadcast address
    )
]

_V6 = [
    (IPv6Network(block), kind)
    for block, kind in (
        ("::1/128", Kind.LOOPBACK),
        ("::/128", Kind.RESERVED),
        ("::ffff:0:0/96", Kind.TUNNEL),  # version 4, mapped
        ("::ffff:0:0:0/96", Kind.TUNNEL),  # version 4, translated (RFC 2765)
        ("::/96", Kind.TUNNEL),  # version 4, compatible
        ("64:ff9b::/96", Kind.TUNNEL),  # NAT64
        ("64:ff9b:1::/48", Kind.TUNNEL),  # NAT64 of one's own network
        ("100::/64", Kind.RESERVED),  # discard
        ("2001::/32", Kind.TUNNEL),  # Teredo
        ("2001::/23", Kind.RESERVED),  # protocols, benchmarks, ORCHID
        ("2001:db8::/32", Kind.DOCUMENTATION),
        ("2002::/16", Kind.TUNNEL),  # 6to4
        ("3fff::/20", Kind.DOCUMENTATION),
        ("fc00::/7", Kind.PRIVATE),  # AWS's metadata of version 6 stands here
        ("fe80::/10", Kind.LINK_LOCAL),
        ("fec0::/10", Kind.PRIVATE),  # site-local
        ("ff00::/8", Kind.MULTICAST),
    )
]

_GLOBAL_V6 = IPv6Network("2000::/3")
"""All that is handed out as global unicast; whatever lies outside is not for us."""

_LOW_32_BITS = [IPv6Network(block) for block in ("::ffff:0:0/96", "::ffff:0:0:0/96", "::/96", "64:ff9b::/96")]
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_ISATAP = (0x00005EFE, 0x02005EFE)
"""The upper half of an ISATAP interface identifier (RFC 5214); the lower is an address of version 4."""


def kind_of(address: Address) -> Kind:
    """What `address` is for. An address that carries a bad one of version 4 is as bad, whatever block it is of."""
    if isinstance(address, IPv4Address):
        return next((kind for block, kind in _V4 if address in block), Kind.PUBLIC)
    kind = next((kind for block, kind in _V6 if address in block), None)
    if kind is None:
        kind = Kind.PUBLIC if address in _GLOBAL_V6 else Kind.RESERVED
    if kind is Kind.PUBLIC and carried(address):
        return Kind.TUNNEL
    return kind


def carried(address: Address) -> tuple[IPv4Address, ...]:
    """The addresses of version 4 that one of version 6 leads to or through."""
    if isinstance(address, IPv4Address) or address in (IPv6Address("::"), IPv6Address("::1")):
        return ()
    number = int(address)
    if any(address in block for block in _LOW_32_BITS):
        return (IPv4Address(number & 0xFFFFFFFF),)
    if address.teredo is not None:
        return address.teredo
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address in _LOCAL_NAT64:
        # RFC 6052, section 2.2, prefixes of 48 and of 96 bits: which one a network uses cannot be told.
        middle = (number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF
        return (IPv4Address(middle), IPv4Address(number & 0xFFFFFFFF))
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        return (IPv4Address(number & 0xFFFFFFFF),)
    return ()


def unmapped(address: Address) -> Address:
    """Version 4 for ::ffff:a.b.c.d: sockets treat the two alike. Others as they are."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
