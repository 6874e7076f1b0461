"""A worker's side of the listening socket that all workers share: who takes the next connection.

The kernel wakes every worker that waits, and the first takes the connection. A worker that has more than another
stands back for a moment and looks again: by then the other has it, unless that one is busy or hung, and then it is
better to be served by a busy worker than by none.

Connections are taken one at a time, so that a burst is shared too; the event loops' own servers take all there are.
One listener and not one each (SO_REUSEPORT): the kernel would go on handing connections to a worker that is
stopped, and would drop those that wait when a worker closes its own.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from gateway.supervisor.tally import Tally

log = logging.getLogger(__name__)

STAND_BACK_S = 0.002
"""Far longer than a free sibling needs to wake, far shorter than a webhook's answer."""

NO_ROOM_PAUSE_S = 1.0
"""When the process may open no more files, as asyncio does: asking again at once would take a whole core."""

BACKLOG = 2048
"""Connections that may wait while all workers are busy or being replaced; as uvicorn has it."""


class Entrance:
    """Opened once, closed once; both in the event loop."""

    def __init__(self, listener: socket.socket, tally: Tally) -> None:
        self._listener, self._tally = listener, tally
        self._coming: set[asyncio.Task[object]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._is_open = False

    def open(self, make_protocol: Callable[[], asyncio.Protocol], count: Callable[[], int]) -> None:
        """Take connections from now on. `count` says how many there are."""
        self._loop = asyncio.get_running_loop()
        self._make_protocol, self._count = make_protocol, count
        self._listener.setblocking(False)
        self._is_open = True
        self._loop.add_reader(self._listener, self._look)
        self.publish()

    def close(self) -> None:
        """Take no more; those that wait are for the other workers."""
        if self._is_open:
            self._is_open = False
            if self._pause is not None:
                self._pause.cancel()
            self._loop.remove_reader(self._listener)
        self._listener.close()
        self._tally.leave()

    def publish(self) -> None:
        """Tell the other workers how many connections there are here."""
        if self._is_open:
            self._tally.write(self._connections())

    @property
    def coming(self) -> int:
        """Connections that are taken and not yet the server's."""
        return len(self._coming)

    def _connections(self) -> int:
        return self._count() + len(self._coming)

    def _look(self) -> None:
        if self._tally.is_ahead(self._connections()):
            self._stand_back(STAND_BACK_S)
        else:
            self._take()

    def _stand_back(self, pause_s: float) -> None:
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(pause_s, self._return)

    def _return(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener, self._look)
        self._take()

    def _take(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # a sibling was quicker, or the peer has left again
        except OSError as error:
            log.error("a connection cannot be accepted (%s); trying again in %g s", error, NO_ROOM_PAUSE_S)
            if self._pause is None:
                self._stand_back(NO_ROOM_PAUSE_S)
            return
        connection.setblocking(False)
        # No group holds this task: it ends within the same round of the loop, and a group's end would wait for
        # nothing else. The set keeps it from being collected.
        task: asyncio.Task[object] = self._loop.create_task(self._let_in(connection))
        self._coming.add(task)
        task.add_done_callback(self._coming.discard)
        self.publish()

    async def _let_in(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
        except OSError:
            connection.close()  # it was gone before it was ours
