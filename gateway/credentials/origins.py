"""Which web pages may speak to us: the allow-list of Origins.

A browser names the page that asks in `Origin`; programs send none, and are not asked for one. We use no cookies,
so a foreign page cannot borrow a visitor's rights, but it could reach a gateway on the visitor's own machine that
asks for no key. So the list is closed unless it is opened: without one, pages of the gateway's own public URL and
pages on this machine may ask, and no others; with one, those it names and the gateway's own; `*` is everybody.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from gateway.errors import CredentialRefused
from gateway.setting_values import is_loopback

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def read_origins(text: str) -> tuple[str, ...]:
    """The list of the setting. Raises `ValueError` for what is no origin."""
    origins = tuple(origin.strip() for origin in text.split(",") if origin.strip())
    for origin in origins:
        if origin not in ("*", "null") and not _ORIGIN.fullmatch(_same(origin)):
            raise ValueError(
                f"{origin!r} is no origin; give scheme and host, and nothing behind, like https://app.example.com"
            )
    return origins


class Origins:
    """The pages that may ask."""

    def __init__(self, listed: tuple[str, ...], public_url: str) -> None:
        own = urlsplit(public_url)
        self._listed = frozenset(_same(origin) for origin in (*listed, f"{own.scheme}://{own.netloc}"))
        self._is_closed_to_loopback = bool(listed)

    def allow(self, origin: str) -> bool:
        """Whether a page of this origin may ask."""
        asked = _same(origin)
        if "*" in self._listed or asked in self._listed:
            return True
        return not self._is_closed_to_loopback and bool(_ORIGIN.fullmatch(asked)) and is_loopback(_host(asked))

    def check(self, origin: str | None) -> None:
        """Raises `CredentialRefused` (403) for a page that may not; None is a program, which may."""
        if origin is not None and not self.allow(origin):
            shown = origin if _ORIGIN.fullmatch(_same(origin)) and len(origin) <= 100 else "this origin"
            raise CredentialRefused(
                403,
                "origin_not_allowed",
                f"Pages of {shown} may not speak to this gateway. "
                "Its operator lists the pages that may in SWITCHBOARD_REALTIME_ORIGINS.",
            )


def _same(origin: str) -> str:
    """One spelling of an origin: lower case, without a slash behind, without the port its scheme has anyway."""
    lower = origin.strip().lower().removesuffix("/")
    port = _DEFAULT_PORTS.get(lower.partition("://")[0])
    return lower.removesuffix(f":{port}") if port else lower


def _host(origin: str) -> str:
    return urlsplit(origin).hostname or ""
