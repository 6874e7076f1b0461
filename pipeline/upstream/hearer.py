"""Who is told what a remote Realtime service understood of the caller."""

from __future__ import annotations

from typing import Protocol

from pipeline.upstream import wire


class Hearer(Protocol):
    """Of one session. Ids are the remote's."""

    def committed(self, item_id: str) -> None:
        """The oldest commit not answered yet has become this item."""
        ...

    def refused(self, message: str) -> None:
        """It has become none."""
        ...

    def words(self, words: wire.Words) -> None: ...

    def no_words(self, no_words: wire.NoWords) -> None: ...
