"""Media tokens that any worker can check: signed, so that they hold even while Redis is away.

A token names its call and the stream it was issued for, and when it expires. That it opens only one stream is not
its own doing: whoever claims it marks its nonce as used. Knows no store; time is Unix seconds, handed in.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import TokenRefused

TOKEN_LIFE_S: Final = 60.0
"""Twilio opens the stream a moment after it has the document; a minute covers a slow retry."""

CLOCKS_APART_S: Final = 10.0
"""By how much the clocks of two workers may differ."""

_PURPOSE: Final = b"switchboard media token 1"
"""Mixed into the key, so that no signature made for another purpose can be passed off as a token's."""

_TOKEN: Final = re.compile(r"(CA[0-9a-f]{32})\.([0-9]{1,6})\.([0-9]{1,12})\.([A-Za-z0-9_-]{16})\.([0-9a-f]{40})")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a token says."""

    call_sid: str
    generation: int
    expires_at_s: int
    nonce: str


class MediaTokens:
    """Issues and reads them. `keys`: the first signs, all are believed, so that a secret can be changed."""

    def __init__(
        self,
        keys: Sequence[str],
        *,
        unix: Callable[[], float],
        make_nonce: Callable[[], str] = lambda: secrets.token_urlsafe(12),
    ) -> None:
        self._keys = [hmac.digest(_PURPOSE, key.encode(), hashlib.sha256) for key in keys]
        self._unix = unix
        self._make_nonce = make_nonce

    def issue(self, call_sid: str, generation: int) -> str:
        """A token for one stream of the call, of letters that need no escaping in a URL."""
        expires_at_s = int(self._unix() + TOKEN_LIFE_S)
        said = f"{call_sid}.{generation}.{expires_at_s}.{self._make_nonce()}"
        return f"{said}.{_signature(self._keys[0], said)}"

    def read(self, token: str) -> Ticket:
        """What a token of ours says. Raises `TokenRefused`: unknown or expired."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise TokenRefused("unknown")
        said, _, signature = token.rpartition(".")
        if not any(hmac.compare_digest(_signature(key, said), signature) for key in self._keys):
            raise TokenRefused("unknown")
        ticket = Ticket(match[1], int(match[2]), int(match[3]), match[4])
        if self._unix() >= ticket.expires_at_s + CLOCKS_APART_S:
            raise TokenRefused("expired")
        return ticket


def _signature(key: bytes, said: str) -> str:
    return hmac.digest(key, said.encode(), hashlib.sha256).hex()[:40]
