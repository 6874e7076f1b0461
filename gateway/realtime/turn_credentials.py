"""TURN credentials that expire, made from a secret shared with the TURN server, which need not be asked.

    username   = <Unix second of the expiry>:<owner>
    credential = base64(HMAC-SHA1(secret, username))

("A REST API For Access To TURN Services", draft-uberti-behave-turn-rest-00, section 2.2; coturn calls it
`use-auth-secret`.) An allocation begun in time may outlive its credential. Reads no clock.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable

import msgspec

from gateway.realtime.ice_servers import IceServer


def servers_for(
    owner: str, servers: Iterable[IceServer], *, secret: str, ttl_s: int, now_unix_s: float
) -> list[IceServer]:
    """The servers as one client is told of them: whoever lacks a credential has the owner's, good for `ttl_s`.

    Without a secret they stay as they are.
    """
    if not secret:
        return list(servers)
    username = f"{int(now_unix_s) + ttl_s}:{owner}"
    credential = credential_of(username, secret)
    return [
        msgspec.structs.replace(server, username=username, credential=credential)
        if server.lacks_credential
        else server
        for server in servers
    ]


def credential_of(username: str, secret: str) -> str:
    """What proves to the TURN server that we gave the username out."""
    return base64.b64encode(hmac.digest(secret.encode(), username.encode(), hashlib.sha1)).decode()
