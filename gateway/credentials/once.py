"""What may be used once: the ids of single-use tokens and the nonces of signatures, remembered until they expire.

Bounded. When it is full of ids that still count, a further one is refused rather than an old one forgotten: a
forgotten id could be used again.
"""

from __future__ import annotations

from typing import Final

MOST_IDS: Final = 20_000
"""Some 3 MB. At ten minutes a nonce, 33 mints a second."""


class Once:
    """The ids that were used."""

    def __init__(self, most: int = MOST_IDS) -> None:
        self._most = most
        self._expiry_s: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._expiry_s)

    def take(self, id: str, *, until_s: float, now_s: float) -> bool:
        """Whether the id is used for the first time. It need not be remembered after `until_s`."""
        if self._expiry_s.get(id, now_s) > now_s:
            return False
        if len(self._expiry_s) >= self._most:
            self._forget(now_s)
        if len(self._expiry_s) >= self._most:
            return False
        self._expiry_s[id] = until_s
        return True

    def was_taken(self, id: str, *, now_s: float) -> bool:
        return self._expiry_s.get(id, now_s) > now_s

    def _forget(self, now_s: float) -> None:
        self._expiry_s = {id: expiry_s for id, expiry_s in self._expiry_s.items() if expiry_s > now_s}
