"""Where peers may reach us, and which of their own addresses we knock at. Pure.

Of a peer's addresses only public ones are taken: whatever an offer says, it cannot make the gateway send into the
operator's network. Nothing is lost by it: a peer that reaches us from another address is found by its own check
(RFC 8445, section 7.3.1.3, peer-reflexive candidates).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from pipeline.egress.addresses import Address, Kind, kind_of, unmapped

SETTING: Final = "SWITCHBOARD_WEBRTC_ADDRESSES"

MOST_OFFERED: Final = 8
"""Each is a socket of every session, and a check of every peer."""

MOST_BELIEVED: Final = 20

_TYPES: Final = frozenset({"host", "srflx", "relay"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One of the setting: the address we bind, and the one that peers are told."""

    local: str
    public: str


@dataclass(frozen=True, slots=True)
class Addresses:
    """What every session of this gateway offers."""

    offered: tuple[str, ...]
    """Bound; each by a socket with a port of its own."""
    public: Mapping[str, str] = field(default_factory=dict)
    """By bound address, where peers know it by another."""

    def published(self, candidate: str) -> str:
        """A candidate of ours, as the value of a=candidate, with local addresses replaced by their public ones."""
        if not self.public:
            return candidate
        words = candidate.split(" ")
        for place in (4, *(at + 1 for at, word in enumerate(words) if word == "raddr" and at + 1 < len(words))):
            words[place] = self.public.get(words[place], words[place])
        return " ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A candidate of the peer that we believe: UDP, of component 1, at a public address."""

    foundation: str
    priority: int
    address: str
    port: int
    type: str


def read_addresses(text: str) -> tuple[Entry, ...]:
    """The setting: `198.51.100.7, 10.0.0.5=203.0.113.9`. Raises `ValueError` that says what is wrong with which."""
    entries: dict[str, Entry] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        bound, has_other, told = part.partition("=")
        local = _address(bound, part)
        public = _address(told, part) if has_other else local
        if local.version != public.version:
            raise ValueError(f"{part!r} maps an address of IPv{local.version} to one of IPv{public.version}")
        if str(local) in entries:
            raise ValueError(f"{str(local)!r} stands there twice")
        entries[str(local)] = Entry(str(local), str(public))
    if len(entries) > MOST_OFFERED:
        raise ValueError(f"names {len(entries)} addresses; at most {MOST_OFFERED} can be offered")
    return tuple(entries.values())


def addresses_for(entries: Iterable[Entry], host: str, machine: Callable[[], Sequence[str]]) -> Addresses:
    """What to offer: the setting's entries; without any the one the gateway listens on; if that is every address,
    what `machine` has, but loopback and link-local ones."""
    entries = tuple(entries)
    if entries:
        public = {entry.local: entry.public for entry in entries if entry.public != entry.local}
        return Addresses(tuple(entry.local for entry in entries), public)
    listening = _read(host)
    if listening is None or not listening.is_unspecified:
        return Addresses(("127.0.0.1" if listening is None and host == "localhost" else host,))
    found = dict.fromkeys(str(address) for address in map(_read, machine()) if address and _may_be_offered(address))
    return Addresses(tuple(found)[:MOST_OFFERED])


def believed(candidates: Iterable[str], addresses: Addresses) -> tuple[Remote, ...]:
    """Those of the peer's candidates that may be checked, in their order; all others are passed over silently."""
    ours = {*addresses.offered, *addresses.public.values()}
    versions = {address.version for address in map(_read, addresses.offered) if address}
    remotes: dict[tuple[str, int], Remote] = {}
    for candidate in candidates:
        remote = _remote(candidate)
        if remote is None or remote.address in ours or ip_address(remote.address).version not in versions:
            continue
        remotes.setdefault((remote.address, remote.port), remote)
        if len(remotes) == MOST_BELIEVED:
            break
    return tuple(remotes.values())


def _remote(candidate: str) -> Remote | None:
    """`foundation component transport priority address port typ type …` (RFC 8839, section 5.1)."""
    words = candidate.split()
    if len(words) < 8 or words[1] != "1" or words[2].lower() != "udp" or words[6] != "typ":
        return None
    address = _read(words[4])
    if address is None or kind_of(address) is not Kind.PUBLIC or words[7] not in _TYPES:
        return None
    priority, port = _number(words[3], 2**31 - 1), _number(words[5], 65_535)
    if priority is None or port is None:
        return None
    return Remote(foundation=words[0], priority=priority, address=str(address), port=port, type=words[7])


def _number(text: str, most: int) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 0 < int(text) <= most):
        return None
    return int(text)


def _may_be_offered(address: Address) -> bool:
    return kind_of(address) not in (Kind.LOOPBACK, Kind.LINK_LOCAL, Kind.MULTICAST) and not address.is_unspecified


def _read(text: str) -> Address | None:
    """None for names, mDNS or other, and for addresses with a zone, which mean nothing elsewhere."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return None if isinstance(address, IPv6Address) and address.scope_id is not None else address


def _address(text: str, part: str) -> IPv4Address | IPv6Address:
    address = _read(text.strip())
    if address is None:
        raise ValueError(f"{part!r} is no IP address, nor two as in 10.0.0.5=203.0.113.9")
    if address.is_unspecified or unmapped(address) != address:
        raise ValueError(f"{part!r} names {str(address)!r}, which no peer can send to")
    if kind_of(address) in (Kind.LINK_LOCAL, Kind.MULTICAST):
        raise ValueError(f"{part!r} names {str(address)!r}, a {kind_of(address)} address, which cannot be offered")
    return address
