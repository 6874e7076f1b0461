"""The clauses of one answer, kept as they come, so that each attempt to speak them reads from its own place.

A clause is taken from the model's leg only when an attempt asks for it: an endless answer waits for its voice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class GivenClauses:
    """Reads `source` until its None. Words are counted over all clauses, from 0."""

    def __init__(self, source: asyncio.Queue[str | None], first_clause: Callable[[], None]) -> None:
        self.words: list[str] = []
        self.begins: list[int] = []
        """For each clause, the place of its first word; the clauses so far."""
        self.is_whole = False
        """There are no more."""
        self._source = source
        self._first_clause = first_clause
        # The next clause is for all: of several who wait for it one asks, and the others find it here.
        self._asking = asyncio.Lock()

    async def next(self, place: int) -> str | None:
        """What is to be said from word `place` on, to the end of its clause; None if nothing is, and nothing comes.

        May be cancelled without losing a clause.
        """
        while place >= len(self.words) and not self.is_whole:
            async with self._asking:
                if place >= len(self.words) and not self.is_whole:
                    self._keep(await self._source.get())
        return " ".join(self.words[place : self.end_of(place)]) or None

    def end_of(self, place: int) -> int:
        """Where the clause of this word ends."""
        return next((begin for begin in self.begins if begin > place), len(self.words))

    def _keep(self, clause: str | None) -> None:
        if clause is None:
            self.is_whole = True
            return
        if not self.begins:
            self._first_clause()
        self.begins.append(len(self.words))
        self.words += clause.split()
