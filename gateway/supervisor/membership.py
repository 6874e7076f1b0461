"""A worker's part among several: it accepts from the shared listener, says that it lives, and does what it is told.

Above it stands the server, which hands in what makes a connection and what to call when it is time to leave. It
knows nothing of calls. Its supervisor is at the other end of the channel; when that one is gone, the worker acts as
if retired: it lets go of the port, so that a new supervisor can have it, and leaves when its calls have ended.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from gateway.supervisor.channel import BEAT_EVERY_S, Word, page_words, read_word
from gateway.supervisor.entrance import Entrance
from gateway.supervisor.seat import Seat
from gateway.supervisor.tally import Tally

log = logging.getLogger(__name__)

SETTLE_LIMIT_S = 2.0
"""For requests that had come in when the worker was retired: they are answered as before, so that no caller is
turned away by a worker that leaves while others are there."""

LOOK_EVERY_S = 0.01

UNREAD_MAX_BYTES = 1_024
"""Of beats that a stopped supervisor has not read; with more, no further ones are written."""


class Server(Protocol):
    """What the worker serves with."""

    def make_protocol(self) -> asyncio.Protocol:
        """For one accepted connection."""
        ...

    def connections(self) -> int:
        """How many there are."""
        ...

    def let_requests_finish(self) -> bool:
        """Close what is idle, keep nothing alive after its answer; whether no request is left to wait for."""
        ...


class Membership:
    """Of one worker, for the life of its process."""

    def __init__(self, seat: Seat, page: Callable[[], bytes]) -> None:
        """Takes the seat's descriptors over. `page` renders the worker's metrics."""
        self._page = page
        for descriptor in seat.descriptors:
            os.set_inheritable(descriptor, False)  # a child that outlives us would hold the port
        listener = socket.socket(fileno=seat.listener)
        self.port: int = listener.getsockname()[1]
        self._tally = Tally(seat.tally, seat.place)
        self._entrance = Entrance(listener, self._tally)
        self._channel = socket.socket(fileno=seat.channel)

    @asynccontextmanager
    async def taking_part(self, server: Server, stop: Callable[[], None]) -> AsyncGenerator[None, None]:
        """Inside, connections come in. `stop` is called when the supervisor wants the worker to finish.

        At the end no connection is accepted any more, and the supervisor knows that the process is about to end.
        """
        reader, writer = await asyncio.open_unix_connection(sock=self._channel)
        self._entrance.open(server.make_protocol, server.connections)
        writer.write(Word.READY.value)
        try:
            async with asyncio.TaskGroup() as tasks:
                duties = (
                    tasks.create_task(self._beat(writer)),
                    tasks.create_task(self._obey(reader, writer, server, stop)),
                )
                yield
                for duty in duties:
                    duty.cancel()
        finally:
            self._entrance.close()
            self._tally.close()
            if not writer.is_closing():
                writer.write(Word.LEAVING.value)
            # Its end stays open until the process is gone: closing it would say that too early.

    def close_door(self) -> None:
        """No further connection comes in; the others take it."""
        self._entrance.close()

    async def _beat(self, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            if writer.transport.get_write_buffer_size() < UNREAD_MAX_BYTES:
                writer.write(Word.BEAT.value)
            self._entrance.publish()
            await asyncio.sleep(BEAT_EVERY_S)

    async def _obey(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server: Server,
        stop: Callable[[], None],
    ) -> None:
        while message := await read_word(reader):
            if message[0] is Word.ASK_PAGE:
                writer.write(page_words(self._page()))
            elif message[0] is Word.RETIRE:
                await self._retire(server, stop)
        log.warning("the supervisor is gone: this worker lets go of the port, and leaves when its calls have ended")
        writer.close()
        await self._retire(server, stop)

    async def _retire(self, server: Server, stop: Callable[[], None]) -> None:
        self._entrance.close()
        try:
            async with asyncio.timeout(SETTLE_LIMIT_S):
                while self._entrance.coming or not server.let_requests_finish():  # noqa: ASYNC110
                    # uvicorn has no event for a connection that is gone.
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            log.info("retired: some requests are not finished; they may be turned away")
        stop()
