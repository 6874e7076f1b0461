from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Iterator

import pytest

from gateway.supervisor import entrance
from gateway.supervisor.entrance import Entrance
from gateway.supervisor.supervisor import bound
from gateway.supervisor.tally import Tally, shared_memory
from tests.gateway.supervisor.support import LIMIT_S

pytestmark = pytest.mark.anyio


class Two:
    """Two entrances of one listener, as if in two processes, and who came in where."""

    def __init__(self, descriptor: int) -> None:
        self.listener = bound("127.0.0.1", 0)
        self.address: tuple[str, int] = self.listener.getsockname()
        self.tallies = [Tally(descriptor, place) for place in range(2)]
        self.entrances = [Entrance(self.listener.dup(), tally) for tally in self.tallies]
        self.entered: asyncio.Queue[int] = asyncio.Queue()
        self.transports: list[asyncio.BaseTransport] = []
        self.counts = [0, 0]

    def open(self, place: int) -> None:
        self.entrances[place].open(lambda: Visitor(self, place), lambda: self.counts[place])

    async def next(self) -> int:
        """Where the next connection comes in."""
        with socket.create_connection(self.address):
            return await asyncio.wait_for(self.entered.get(), LIMIT_S)

    def close(self) -> None:
        for one, tally in zip(self.entrances, self.tallies, strict=True):
            one.close()
            tally.close()
        for transport in self.transports:
            transport.close()
        self.listener.close()


class Visitor(asyncio.Protocol):
    """A connection that has come in."""

    def __init__(self, two: Two, place: int) -> None:
        self._two, self._place = two, place

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._two.counts[self._place] += 1
        self._two.transports.append(transport)
        self._two.entered.put_nowait(self._place)


@pytest.fixture
def two() -> Iterator[Two]:
    with shared_memory(2) as descriptor:
        made = Two(descriptor)
        yield made
        made.close()


async def test_connections_are_shared_evenly(two: Two) -> None:
    two.open(0)
    two.open(1)
    for _ in range(20):
        await two.next()
    assert sorted(two.counts) == [10, 10]


async def test_for_a_sibling_that_does_not_come_nobody_waits_long(two: Two) -> None:
    two.open(0)
    two.tallies[1].write(0)  # it has fewer, and takes none
    assert [await two.next() for _ in range(3)] == [0, 0, 0]


async def test_a_closed_entrance_lets_nobody_in_and_loses_nobody(two: Two) -> None:
    two.open(0)
    two.tallies[1].write(0)
    assert await two.next() == 0
    two.entrances[0].close()
    two.entrances[0].close()  # once more changes nothing
    with socket.create_connection(two.address):
        two.open(1)
        assert await asyncio.wait_for(two.entered.get(), LIMIT_S) == 1
    two.entrances[0].publish()
    assert not two.tallies[1].is_ahead(5), "the closed one counts no more"


class Full:
    """A listener of a process that may open no more files, for a while."""

    def __init__(self, listener: socket.socket, failures: int) -> None:
        self._listener, self._failures = listener, failures

    def accept(self) -> tuple[socket.socket, object]:
        if self._failures:
            self._failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listener.accept()


async def test_with_no_room_for_a_connection_it_says_so_and_tries_again(
    two: Two, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(entrance, "NO_ROOM_PAUSE_S", 0.02)
    one = two.entrances[0]
    two.open(0)
    real = one._listener
    full = Full(real, 2)

    class Listener:
        """The real one but for `accept`."""

        accept = staticmethod(full.accept)
        fileno, close = staticmethod(real.fileno), staticmethod(real.close)

    monkeypatch.setattr(one, "_listener", Listener())
    with caplog.at_level(logging.ERROR):
        assert await two.next() == 0
    assert caplog.text.count("Too many open files") == 2
    monkeypatch.setattr(one, "_listener", real)
