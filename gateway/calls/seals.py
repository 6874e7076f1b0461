"""Seals on what workers send each other through Redis, so that no other user of that Redis can give orders.

The key comes from the same secrets as media tokens, which workers of one deployment share and Redis never sees.
Whoever has Redis can still withhold letters and read them; a letter shown twice its reader knows by its id.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

SEAL_BYTES: Final = 20
"""160 bits of the HMAC: nobody guesses them."""

_PURPOSE: Final = b"switchboard relay 1"
"""Mixed into the key, so that no signature made for another purpose can be passed off as a seal."""


class Seals:
    """Made and checked. `keys`: the first seals, all are believed, so that a secret can be changed."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [hmac.digest(_PURPOSE, key.encode(), hashlib.sha256) for key in keys]

    def sealed(self, text: bytes) -> bytes:
        return _seal(self._keys[0], text) + text

    def opened(self, letter: bytes) -> bytes | None:
        """What was sealed; None if none of ours has."""
        seal, text = letter[:SEAL_BYTES], letter[SEAL_BYTES:]
        if any(hmac.compare_digest(_seal(key, text), seal) for key in self._keys):
            return text
        return None


def _seal(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, hashlib.sha256)[:SEAL_BYTES]
