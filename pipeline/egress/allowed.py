"""What the operator lets us reach although the rule would not: entries of a list, and what each permits.

`api.example.com`, `api.example.com:8000`, `*.example.com`, `10.1.0.0/16`, `10.1.0.0/16:8000`, `[fd00::1]:8000`,
`localhost:*`. An entry without a port means 80, 443 and 8443; `:*` means any. Plain http is fine for what is
listed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeAlias

from pipeline.egress.addresses import Address, Kind, carried, kind_of, unmapped
from pipeline.egress.refusal import ALLOW_SETTING
from pipeline.egress.url import WebAddress

Network: TypeAlias = IPv4Network | IPv6Network

USUAL_PORTS = frozenset({443, 8443})
LISTED_PORTS = USUAL_PORTS | {80}
NAMED_MAY_BE = frozenset({Kind.PUBLIC, Kind.LOOPBACK, Kind.PRIVATE, Kind.SHARED})
"""Where a listed *name* may lead. A cloud's metadata only by its address: whoever holds the name's zone could else
read our credentials."""

_ENTRY = re.compile(r"(?P<target>\[[^\]]+\]|[^:\[\]]+)(?::(?P<port>[0-9]{1,5}|\*))?")
_NAME = re.compile(
    r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: a name, or a block of addresses; never both."""

    name: str = ""
    """`example.com`, or `*.example.com` for every name below it."""
    block: Network | None = None
    port: int | None = None
    any_port: bool = False

    def names(self, address: WebAddress) -> bool:
        """This host, by its name or literally by its address, at this port."""
        if not self._has_port(address.port):
            return False
        if self.block is not None:
            return address.literal is not None and self._holds(address.literal)
        if self.name.startswith("*."):
            return address.host.endswith(self.name[1:])
        return address.host == self.name

    def permits(self, web: WebAddress, address: Address) -> bool:
        """`web` may be reached at `address`."""
        if not self._has_port(web.port):
            return False
        if self.block is not None:
            return self._holds(address)
        return self.names(web) and _worst(address) <= NAMED_MAY_BE

    def may_hold(self, port: int) -> bool:
        """A block of addresses, of which some name may turn out to have one."""
        return self.block is not None and self._has_port(port)

    def _has_port(self, port: int) -> bool:
        if self.any_port:
            return True
        return port in LISTED_PORTS if self.port is None else port == self.port

    def _holds(self, address: Address) -> bool:
        plain = unmapped(address)
        if self.block is None or plain.version != self.block.version or plain not in self.block:
            return False
        # A block of NAT64 is let through for what is public behind it, not for what stands inside.
        return all(kind_of(inner) is Kind.PUBLIC for inner in carried(plain))


def _worst(address: Address) -> set[Kind]:
    plain = unmapped(address)
    kinds = {kind_of(inner) for inner in carried(plain)}
    return kinds | {kind_of(plain)}


def read_allowed(text: str) -> tuple[Entry, ...]:
    """The entries of a comma-separated list. Raises ValueError that names the bad one."""
    return tuple(_entry(part.strip().lower()) for part in text.split(",") if part.strip())


def _entry(text: str) -> Entry:
    block = _block(text)
    if block is not None:
        return Entry(block=block)
    found = _ENTRY.fullmatch(text)
    if found is None:
        raise _bad(text)
    port, any_port = found["port"], found["port"] == "*"
    number = None if port is None or any_port else int(port)
    if number is not None and not 1 <= number <= 65_535:
        raise _bad(text)
    target = found["target"]
    if target.startswith("[") or "/" in target or _block(target) is not None:
        block = _block(target.strip("[]"))
        if block is None:
            raise _bad(text)
        return Entry(block=block, port=number, any_port=any_port)
    if not _NAME.fullmatch(target):
        raise _bad(text)
    return Entry(name=target, port=number, any_port=any_port)


def _block(text: str) -> Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None


def _bad(text: str) -> ValueError:
    return ValueError(
        f"{ALLOW_SETTING}: {text!r} is not an entry. Write a host, *.domain or a block such as 10.1.0.0/16 (with "
        "no bits set behind the slash), perhaps with :port or :* behind it, an IPv6 address then in brackets."
    )
