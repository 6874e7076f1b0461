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


def read_ice_servers(text: str) -> tuple[IceServer, ...]:
    """The list of the setting. Raises `ValueError`, which repeats no credential."""
    try:
        servers = msgspec.json.decode(text, type=tuple[IceServer, ...])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(
            f'is no JSON list of servers ({error}); write it like [{{"urls": "stun:stun.example.com"}}]'
        ) from error
    for server in servers:
        for url in (server.urls,) if isinstance(server.urls, str) else server.urls:
            if not (scheme := _URL.fullmatch(url)):
                raise ValueError(f"{url!r} is no stun:, stuns:, turn: or turns: URL")
            # W3C WebRTC, RTCConfiguration: a TURN server without username and credential is an error.
            if scheme[1].lower().startswith("turn") and not (server.username and server.credential):
                raise ValueError(f"{url!r} needs a username and a credential beside it")
    return servers
