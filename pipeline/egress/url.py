"""Reads the address of a web server so strictly that no two programs can read it differently.

What browsers, `urllib` and name resolvers mend in their several ways (backslashes, odd numbers for hosts, letters
that turn into digits) is refused here. Knows nothing of what may be reached.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Literal, NoReturn, TypeAlias, cast

import idna

from pipeline.egress.addresses import Address
from pipeline.egress.refusal import EgressRefused, Reason

Scheme: TypeAlias = Literal["https", "http"]

DEFAULT_PORTS: dict[Scheme, int] = {"https": 443, "http": 80}
LONGEST_URL_CHARS = 2_048
"""What browsers and proxies carry."""

_SHAPE = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0\\\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""Control characters, white space, the backslash, and what cannot be seen."""
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_ENDS_IN_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
"""A last label that resolvers take for the end of an address of version 4 (WHATWG URL, "ends in a number")."""
_OTHER_FULL_STOP = "\u3002"
"""Names in Chinese and Japanese may have it between their labels; normalising leaves it."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """A web server, and what is asked of it."""

    scheme: Scheme
    host: str
    """In lower case, ASCII, without a final dot; an IPv6 address without brackets."""
    port: int
    rest: str = field(repr=False)
    """Path, query and fragment, as they were written. They may hold a secret."""
    literal: Address | None
    """The address itself, if the host is one."""

    @property
    def url(self) -> str:
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self._bracketed}{port}{self.rest}"

    @property
    def place(self) -> str:
        """For messages: without path and query."""
        return f"{self.scheme}://{self._bracketed}:{self.port}"

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def read(text: str) -> WebAddress:
    """The one meaning of `text`. Raises `EgressRefused` if it has none, or might have two."""
    if len(text) > LONGEST_URL_CHARS:
        _refuse(f"longer than {LONGEST_URL_CHARS} characters")
    if _FORBIDDEN.search(text):
        _refuse("a backslash, white space or an invisible character is in it")
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        _refuse("expected https://, a host and perhaps a path")
    scheme = shape["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise EgressRefused(Reason.SCHEME, f"URL refused: {scheme}:// is not spoken here. Use https://.")
    known = cast(Scheme, scheme)
    if "@" in shape["authority"]:
        _refuse("a user name or password is in it. Send credentials in a header")
    authority = _AUTHORITY.fullmatch(shape["authority"])
    if authority is None:
        _refuse("the host or port cannot be read")
    port = int(authority["port"] or DEFAULT_PORTS[known])
    if not 1 <= port <= 65_535:
        _refuse("the port is not from 1 to 65535")
    host, literal = _host(authority["host"])
    return WebAddress(scheme=known, host=host, port=port, rest=shape["rest"], literal=literal)


def _host(text: str) -> tuple[str, Address | None]:
    if text.startswith("["):
        try:
            v6 = ipaddress.IPv6Address(text[1:-1])
        except ValueError:
            _refuse("what stands in brackets is not an IPv6 address")
        return v6.compressed, v6
    name = _ascii(text).removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        _refuse("the host is not a name")
    if _ENDS_IN_NUMBER.fullmatch(labels[-1]):
        try:
            return name, ipaddress.IPv4Address(name)
        except ValueError:
            _refuse("the host is a number. Write an IPv4 address as four decimal numbers, without leading zeros")
    return name, None


def _ascii(host: str) -> str:
    """The name as the DNS has it. A name that normalising would change might turn into another."""
    if host.isascii():
        return host.lower()
    if unicodedata.normalize("NFKC", host) != host or _OTHER_FULL_STOP in host:
        _refuse("the host has letters that stand for others. Write them plainly")
    try:
        return idna.encode(host.lower()).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        _refuse("the host is not a name that the DNS could hold")


def _refuse(why: str) -> NoReturn:
    raise EgressRefused(Reason.URL, f"URL refused: {why}.")
