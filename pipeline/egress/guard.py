"""Whether a URL that a client, a model or an agent's file names may be reached, and at which addresses.

A name is resolved once, every address it has is judged, and the connection goes to a judged address
(`transport.py`): a name that changes its mind between the check and the connection changes nothing.
"""

from __future__ import annotations

import asyncio
import enum
import ipaddress
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import httpx2

from pipeline.egress.addresses import Address, Kind, kind_of, unmapped
from pipeline.egress.allowed import USUAL_PORTS, Entry
from pipeline.egress.refusal import ALLOW_SETTING, CLIENT_SETTING, EgressRefused, Reason
from pipeline.egress.resolver import LOOKUP_LIMIT_S, Resolve, SystemResolver
from pipeline.egress.url import WebAddress, read


class ClientServers(enum.StrEnum):
    """Which MCP servers a client may name. The operator's own, in an agent's file, are not meant."""

    OFF = "off"
    LISTED = "listed"
    """Those of the allow-list."""
    PUBLIC = "public"
    """Any on the public internet, and those of the allow-list."""


@dataclass(frozen=True, slots=True)
class Destination:
    """What was judged, and may be connected to."""

    url: str
    host: str
    port: int
    addresses: tuple[str, ...]
    """In the resolver's order; every one of them was judged."""


class Egress:
    """The rule for all that goes out to addresses which others named. One for the process."""

    def __init__(
        self,
        allowed: Iterable[Entry] = (),
        *,
        client_servers: ClientServers = ClientServers.OFF,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`tls`: whose certificates are believed; by default those of the system."""
        self._allowed = tuple(allowed)
        self._client_servers = client_servers
        self._resolve = resolve or SystemResolver()
        self.tls = tls or httpx2.create_ssl_context(trust_env=False)

    def trusting(self, url: str) -> Egress:
        """The same rule, and the host and port of `url` besides: the operator wrote it into an agent's file."""
        web = read(url)
        if web.literal is None:
            entry = Entry(name=web.host, port=web.port)
        else:
            entry = Entry(block=ipaddress.ip_network(unmapped(web.literal)), port=web.port)
        return Egress(
            (*self._allowed, entry), client_servers=self._client_servers, resolve=self._resolve, tls=self.tls
        )

    def check(self, url: str) -> WebAddress:
        """All that can be known without a look-up. Raises `EgressRefused`."""
        web = read(url)
        if web.literal is not None:
            self._judge(web, [web.literal])
        elif not self._is_named(web) and not any(entry.may_hold(web.port) for entry in self._allowed):
            _check_unlisted(web)
        return web

    async def destination(self, url: str) -> Destination:
        """Where `url` leads. Raises `EgressRefused`."""
        web = self.check(url)
        found = await self.addresses(web)
        return Destination(url=web.url, host=web.host, port=web.port, addresses=tuple(map(str, found)))

    async def addresses(self, web: WebAddress) -> Sequence[Address]:
        """Resolve, judge every address, and give them. Raises `EgressRefused`."""
        found = [web.literal] if web.literal is not None else await self._looked_up(web)
        self._judge(web, found)
        return found

    async def _looked_up(self, web: WebAddress) -> list[Address]:
        try:
            async with asyncio.timeout(LOOKUP_LIMIT_S):
                texts = await self._resolve(web.host, web.port)
            found = [ipaddress.ip_address(text) for text in dict.fromkeys(texts)]
        except TimeoutError:
            raise _no_name(web, f"its name was not resolved within {LOOKUP_LIMIT_S:g} seconds") from None
        except (OSError, ValueError):
            raise _no_name(web, "its name has no address") from None
        if not found:
            raise _no_name(web, "its name has no address")
        return found

    def _judge(self, web: WebAddress, addresses: Sequence[Address]) -> None:
        """One bad address spoils them all: a name with a public and a private one is an attack, or a mistake."""
        for address in addresses:
            if any(entry.permits(web, address) for entry in self._allowed):
                continue
            kind = kind_of(address)
            if kind is not Kind.PUBLIC:
                raise EgressRefused(
                    Reason.ADDRESS,
                    f"{web.place} refused: it leads to a {kind} address. If it is meant to, add the host (for a "
                    f"metadata or link-local address: the address) to {ALLOW_SETTING}.",
                )
            _check_unlisted(web)

    def _is_named(self, web: WebAddress) -> bool:
        return any(entry.names(web) for entry in self._allowed)

    def client_refusal(self, url: str) -> EgressRefused | None:
        """Why a client may not name this server as its MCP server; None if it may. Looks nothing up."""
        if self._client_servers is ClientServers.OFF:
            return EgressRefused(
                Reason.CLIENT, f"MCP servers of clients are not offered here. {CLIENT_SETTING} would allow them."
            )
        try:
            web = self.check(url)
        except EgressRefused as refused:
            return refused
        if self._client_servers is ClientServers.LISTED and not self._is_named(web):
            return EgressRefused(
                Reason.CLIENT,
                f"{web.place} refused: clients may name only servers that {ALLOW_SETTING} lists "
                f"({CLIENT_SETTING}=listed).",
            )
        return None


def _check_unlisted(web: WebAddress) -> None:
    """What no entry of the list speaks for is reached by TLS, at the usual ports."""
    if web.scheme != "https":
        raise EgressRefused(
            Reason.SCHEME,
            f"{web.place} refused: plain http is for what {ALLOW_SETTING} lists. "
            "Use https://, or add the host there.",
        )
    if web.port not in USUAL_PORTS:
        raise EgressRefused(
            Reason.PORT,
            f"{web.place} refused: only ports 443 and 8443 are open. "
            f"Add {web.host}:{web.port} to {ALLOW_SETTING} to open it.",
        )


def _no_name(web: WebAddress, why: str) -> EgressRefused:
    return EgressRefused(Reason.LOOKUP, f"{web.place} was not reached: {why}.")
