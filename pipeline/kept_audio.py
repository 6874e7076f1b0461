"""The sound of items, kept so that a peer can retrieve it; as much of it as we are willing to hold.

Knows no formats and no wire. What no longer fits goes whole, the oldest item first: half an item would be a lie.
"""

from __future__ import annotations


class KeptAudio:
    """Sound by item, at most `most_bytes` of it; 0 keeps nothing."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held_bytes = 0
        self._items: dict[str, bytearray] = {}
        self._given_up: set[str] = set()
        """Items of which nothing more is kept: there was no room, or nobody may ask for them."""

    def write(self, item_id: str, audio: bytes) -> None:
        """More sound of an item."""
        if not audio or not self._most_bytes or item_id in self._given_up:
            return
        self._items.setdefault(item_id, bytearray()).extend(audio)
        self._held_bytes += len(audio)
        while self._held_bytes > self._most_bytes:
            self.drop(next(iter(self._items)))

    def cut(self, item_id: str, kept_bytes: int) -> None:
        """Only this much of an item was heard."""
        if audio := self._items.get(item_id):
            self._held_bytes -= max(0, len(audio) - kept_bytes)
            del audio[kept_bytes:]

    def drop(self, item_id: str) -> None:
        """Forget the sound of an item, also what is still to come of it."""
        if self._most_bytes:
            self._given_up.add(item_id)
        self._held_bytes -= len(self._items.pop(item_id, b""))

    def of(self, item_id: str) -> bytes | None:
        """The sound of an item; None if it has none, or none any more."""
        audio = self._items.get(item_id)
        return bytes(audio) if audio else None
