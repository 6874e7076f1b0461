"""A bad network for TCP: a proxy on loopback in front of any server, whose faults are set while it runs.

    async with ToxicProxy("127.0.0.1", 6379, seed=7) as proxy:
        proxy.address                                     what the client is told to connect to
        proxy.poison(down=Toxics(latency_ms=300))         the other direction stays as it is
        proxy.refuse()                                    connections that are open live on
        proxy.cut()                                       and now they do not
        proxy.accept(); proxy.heal()
        proxy.point_at("127.0.0.1", 6380)                 for connections that come from now on

`up` is from the client to the server. What happens to the bytes decides `toxics.py`; this file has the sockets. It
knows no protocol: TLS passes like anything else.
"""

from __future__ import annotations

import asyncio
import enum
import random
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from simulator.toxics import HEALTHY, End, Ending, Send, Toxics, ToxicWay, Wait

Address = tuple[str, int]

READ_BYTES: Final = 16_384
CONNECT_LIMIT_S: Final = 5.0
"""For the server behind to take a connection; it is near."""
MOST_CONNECTIONS: Final = 1_024
"""At a time; one more is reset, as by a server that has no file left."""
BACKLOG: Final = 128


class Gate(enum.Enum):
    """Of the listening socket."""

    SHUT = enum.auto()
    """Not yet open, or closed for good."""
    ACCEPTING = enum.auto()
    REFUSING = enum.auto()
    """Who connects is refused by the system: nobody listens on the port, which stays ours to reopen."""


LEGAL_STEPS: Final = {
    (Gate.SHUT, Gate.ACCEPTING),
    (Gate.ACCEPTING, Gate.ACCEPTING),
    (Gate.ACCEPTING, Gate.REFUSING),
    (Gate.REFUSING, Gate.REFUSING),
    (Gate.REFUSING, Gate.ACCEPTING),
    (Gate.ACCEPTING, Gate.SHUT),
    (Gate.REFUSING, Gate.SHUT),
}


@dataclass(slots=True)
class _Direction:
    """Of one connection."""

    source: socket.socket
    sink: socket.socket
    toxics: Callable[[], Toxics]
    way: ToxicWay
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Something came, was sent on or ended, or the toxics changed."""


@dataclass(eq=False, slots=True)
class _Connection:
    client: socket.socket
    directions: list[_Direction] = field(default_factory=list)
    ending: Ending | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, ending: Ending) -> None:
        """Both directions; the first one to say so decides how."""
        if self.ending is None:
            self.ending = ending
        self.ended.set()


class ToxicProxy:
    """An asynchronous context. All that it opened is closed at its end."""

    def __init__(
        self,
        upstream_host: str,
        upstream_port: int,
        *,
        seed: int = 0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.gate = Gate.SHUT
        self.up = HEALTHY
        self.down = HEALTHY
        self.accepted = 0
        """Connections since the beginning."""
        self._upstream = (upstream_host, upstream_port)
        self._random = random.Random(seed)
        self._now = now
        self._address: Address = ("127.0.0.1", 0)
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        # Bound as long as the proxy lives, so that nobody else gets its port; listening only while it accepts.
        self._door = _bound(self._address)
        host, port = self._door.getsockname()
        self._address = (host, port)
        self.accept()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turn(Gate.SHUT)
        for task in self._tasks:
            task.cancel()
        # Not told of the body's error, which the group would wrap: no task of it is at fault.
        await self._group.__aexit__(None, None, None)

    @property
    def address(self) -> Address:
        return self._address

    @property
    def port(self) -> int:
        return self._address[1]

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    def poison(self, *, up: Toxics | None = None, down: Toxics | None = None) -> None:
        """Of all connections, the open ones too; a direction that is not named stays as it is."""
        self.up = self.up if up is None else up
        self.down = self.down if down is None else down
        for connection in self._connections:
            for direction in connection.directions:
                direction.news.set()

    def heal(self) -> None:
        """No toxics; what they held back goes on."""
        self.poison(up=HEALTHY, down=HEALTHY)

    def accept(self) -> None:
        """On the same port as before."""
        self._turn(Gate.ACCEPTING)

    def refuse(self) -> None:
        """Nobody new; open connections go on."""
        self._turn(Gate.REFUSING)

    def cut(self, ending: Ending = Ending.CUT) -> None:
        """End all open connections, as `CUT` or `RESET`; what was held is lost."""
        if ending is Ending.HALF_CLOSE:
            raise ValueError("a connection is cut in both directions; half-close one with Toxics(ending=…)")
        for connection in self._connections:
            connection.end(ending)

    def point_at(self, host: str, port: int) -> None:
        """Another server, for connections that come from now on."""
        self._upstream = (host, port)

    def _turn(self, gate: Gate) -> None:
        if (self.gate, gate) not in LEGAL_STEPS:
            raise RuntimeError(f"the proxy is {self.gate.name.lower()} and cannot become {gate.name.lower()}")
        was, self.gate = self.gate, gate
        if was is gate:
            return
        if was is Gate.ACCEPTING:
            self._loop.remove_reader(self._door)
        if gate is not Gate.ACCEPTING:
            self._door.close()
        if gate is Gate.REFUSING:
            self._door = _bound(self._address)
        if gate is Gate.ACCEPTING:
            self._door.listen(BACKLOG)
            self._loop.add_reader(self._door, self._welcome)

    def _welcome(self) -> None:
        try:
            client, _ = self._door.accept()
        except OSError:  # it went away again
            return
        client.setblocking(False)
        self.accepted += 1
        if len(self._connections) >= MOST_CONNECTIONS:
            _close(client, Ending.RESET)
            return
        connection = _Connection(client)
        self._connections.add(connection)
        task = self._group.create_task(self._serve(connection))
        self._tasks.add(task)

        def gone(task: asyncio.Task[None]) -> None:
            # Here and not at the task's own end: one that is cancelled before it began has none.
            self._tasks.discard(task)
            self._connections.discard(connection)
            _close(client, connection.ending or Ending.CUT)

        task.add_done_callback(gone)

    async def _serve(self, connection: _Connection) -> None:
        """One connection from beginning to end; raises nothing but its cancelling."""
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setblocking(False)
        try:
            async with asyncio.TaskGroup() as group:
                carrying = group.create_task(self._carry(connection, server))
                ended = group.create_task(connection.ended.wait())
                await asyncio.wait([carrying, ended], return_when=asyncio.FIRST_COMPLETED)
                carrying.cancel()
                ended.cancel()
        finally:
            _close(server, connection.ending or Ending.CUT)

    async def _carry(self, connection: _Connection, server: socket.socket) -> None:
        """Until both directions are finished, or one end is broken: then the other shall be, too."""
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await self._loop.sock_connect(server, self._upstream)
        except OSError:  # a timeout is one
            connection.end(Ending.RESET)
            return
        draw = self._random.random
        up = _Direction(connection.client, server, lambda: self.up, ToxicWay(draw))
        down = _Direction(server, connection.client, lambda: self.down, ToxicWay(draw))
        connection.directions = [up, down]
        for direction in connection.directions:
            # Small pieces are to arrive small.
            direction.sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            async with asyncio.TaskGroup() as group:
                for direction in connection.directions:
                    group.create_task(self._read(direction))
                    group.create_task(self._write(direction, connection))
        except* OSError:
            connection.end(Ending.RESET)

    async def _read(self, direction: _Direction) -> None:
        while data := await self._loop.sock_recv(direction.source, READ_BYTES):
            direction.way.take(data, self._now())
            direction.news.set()
            while direction.way.is_full:
                await self._news(direction, None)
        direction.way.finish()
        direction.news.set()

    async def _write(self, direction: _Direction, connection: _Connection) -> None:
        while True:
            match direction.way.step(direction.toxics(), self._now()):
                case Send(data):
                    await self._loop.sock_sendall(direction.sink, data)
                    direction.news.set()
                case Wait(until_s):
                    await self._news(direction, until_s)
                case End(Ending.HALF_CLOSE):
                    direction.news.set()
                    direction.sink.shutdown(socket.SHUT_WR)
                    return
                case End(ending):
                    connection.end(ending)
                    return

    async def _news(self, direction: _Direction, until_s: float | None) -> None:
        """Wait for something new, at the longest until then."""
        direction.news.clear()
        limit_s = None if until_s is None else max(0.0, until_s - self._now())
        try:
            async with asyncio.timeout(limit_s):
                await direction.news.wait()
        except TimeoutError:
            return


def _bound(address: Address) -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setblocking(False)
    one.bind(address)
    return one


def _close(one: socket.socket, ending: Ending) -> None:
    if ending is Ending.RESET:
        # Lingering for no time is how a program sends RST (socket(7)).
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()
