"""A pipe: a bounded queue of bytes from one writer that never waits to one reader that may be slow."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

MOST_BYTES: Final = 8 * 1024 * 1024
"""As much as may wait for a client of a session."""


class Pipe:
    """When it is full, `drops_oldest` makes room for what is new, as live sound wants it; else it ends, since a
    reader that misses an event would believe what is no longer so."""

    def __init__(self, most: int, *, drops_oldest: bool, most_bytes: int = MOST_BYTES) -> None:
        """`most` pieces, and `most_bytes` in them."""
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._drops_oldest = drops_oldest
        self._waiting: deque[bytes] = deque()
        self._has_news = asyncio.Event()
        self.is_over = False
        self.dropped = 0
        """Pieces that nobody got."""

    def put(self, piece: bytes) -> None:
        """Nothing happens once it is over."""
        if self.is_over:
            return
        while self._waiting and (len(self._waiting) >= self._most or self._bytes + len(piece) > self._most_bytes):
            if not self._drops_oldest:
                self.dropped += len(self._waiting) + 1
                self._waiting.clear()
                self.end()
                return
            self._bytes -= len(self._waiting.popleft())
            self.dropped += 1
        self._waiting.append(piece)
        self._bytes += len(piece)
        self._has_news.set()

    async def get(self) -> bytes | None:
        """The next piece; None once it is over and all was read."""
        while not self._waiting:
            if self.is_over:
                return None
            self._has_news.clear()
            await self._has_news.wait()
        piece = self._waiting.popleft()
        self._bytes -= len(piece)
        return piece

    def end(self) -> None:
        """Nothing more will come."""
        self.is_over = True
        self._has_news.set()
