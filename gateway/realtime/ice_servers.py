"""The STUN and TURN servers that browsers are told of (Realtime reference, section A.2, `ice-servers`).

[{"urls": "stun:stun.example.com"}, {"urls": ["turn:turn.example.com?transport=tcp"],
  "username": "u", "credential": "c"}]
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

_URL = re.compile(r"(stuns?|turns?):[^\s/]+", re.IGNORECASE)


class IceServer(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One server, as a browser's `RTCIceServer` wants it."""

    urls: str | Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    username: str | None = None
    credential: str | None = None

    def __repr__(self) -> str:
        return f"IceServer({self.urls!r})"

    @property
    def all_urls(self) -> tuple[str, ...]:
        return (self.urls,) if isinstance(self.urls, str) else self.urls

    @property
    def turn_urls(self) -> tuple[str, ...]:
        return tuple(url for url in self.all_urls if url.lower().startswith("turn"))

    @property
    def lacks_credential(self) -> bool:
        """Whether it has a TURN URL and not both of what is shown there."""
        return bool(self.turn_urls) and not (self.username and self.credential)


def read_ice_servers(text: str) -> tuple[IceServer, ...]:
    """The list of the setting. Raises `ValueError`, which repeats no credential.

    A TURN server that lacks a credential passes: another setting decides whether each client is given its own.
    """
    try:
        servers = msgspec.json.decode(text, type=tuple[IceServer, ...])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(
            f'is no JSON list of servers ({error}); write it like [{{"urls": "stun:stun.example.com"}}]'
        ) from error
    for server in servers:
        for url in server.all_urls:
            if not _URL.fullmatch(url):
                raise ValueError(f"{url!r} is no stun:, stuns:, turn: or turns: URL")
        if server.lacks_credential and (server.username or server.credential):
            raise ValueError(f"{server.turn_urls[0]!r} needs a username and a credential beside it, or neither")
    return servers
