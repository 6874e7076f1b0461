"""How many connections each worker has, in memory that all workers of a machine share.

Without it, whichever worker wakes first takes a new connection, and a busy one may end up with twice as many as its
sibling. Each worker writes its own number and reads the others'; nobody waits for anybody. A number may be a few
milliseconds old, which a balance can bear.
"""

from __future__ import annotations

import mmap
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

NUMBER = struct.Struct("=I")
ABSENT = 0
"""Nobody takes connections in this place; any other number is that of the connections and one."""

SHARE_OF_SLACK = 16
"""A worker may be ahead of another by one connection, and by one more for every 16 it has: less would make
bursts wait for no gain anybody notices."""


@contextmanager
def shared_memory(places: int) -> Iterator[int]:
    """The file descriptor of room for so many workers, all absent. It has no name and leaves nothing behind."""
    with tempfile.TemporaryFile() as file:
        file.truncate(places * NUMBER.size)
        yield file.fileno()


class Tally:
    """One place in the shared memory; the others are only read."""

    def __init__(self, descriptor: int, place: int) -> None:
        self._memory = mmap.mmap(descriptor, 0)
        self._place = place

    @classmethod
    @contextmanager
    def at(cls, descriptor: int, place: int) -> Iterator[Self]:
        """One for a while."""
        tally = cls(descriptor, place)
        try:
            yield tally
        finally:
            tally.close()

    def close(self) -> None:
        self._memory.close()

    def write(self, connections: int) -> None:
        NUMBER.pack_into(self._memory, self._place * NUMBER.size, connections + 1)

    def leave(self) -> None:
        """Nobody need wait for this worker any more; the supervisor says so for one that has died."""
        NUMBER.pack_into(self._memory, self._place * NUMBER.size, ABSENT)

    def is_ahead(self, connections: int) -> bool:
        """Whether another worker should take the next connection before one that has this many."""
        others = [
            number - 1
            for place, (number,) in enumerate(NUMBER.iter_unpack(self._memory))
            if place != self._place and number != ABSENT
        ]
        return bool(others) and connections > min(others) + connections // SHARE_OF_SLACK
