"""A load balancer on loopback, in front of several workers: TCP, fewest connections first, and the next worker
where one refuses.

What a proxy of the operator's does in production, as far as it matters to calls: it knows nothing of HTTP, and of a
worker that dies it only sees that connections end. Each byte is passed on as it comes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

CHUNK_BYTES: Final = 64 * 1024
"""Read at once; a peer that does not read stops the other after about as much."""

CONNECT_LIMIT_S: Final = 1.0
"""For a worker to accept. One that is stopped has its connections accepted by the system all the same."""


@dataclass(slots=True, eq=False)
class Upstream:
    """A worker."""

    host: str
    port: int
    connections: int = 0


@dataclass(slots=True, eq=False)
class Balancer:
    """See the module's docstring."""

    port: int = 0
    """Of its own, once it listens."""
    upstreams: list[Upstream] = field(default_factory=list)
    """Those that get connections; whoever is taken out keeps the ones it has."""
    draw: random.Random = field(default_factory=random.Random)
    """Among those with equally few: in turn would not do, as each call brings two connections, one for its webhooks
    and one for its stream, and all streams would come to one worker."""

    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    """The near ends of all connections."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, port: int, host: str = "127.0.0.1") -> Upstream:
        upstream = Upstream(host, port)
        self.upstreams.append(upstream)
        return upstream

    def remove(self, upstream: Upstream) -> None:
        if upstream in self.upstreams:
            self.upstreams.remove(upstream)

    def cut(self) -> None:
        """End every connection, without a word."""
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            connected = await self._connected()
            if connected is None:
                return
            upstream, (far_reader, far_writer) = connected
            upstream.connections += 1
            try:
                await _joined(reader, writer, far_reader, far_writer)
            finally:
                upstream.connections -= 1
        finally:
            writer.transport.abort()
            self._open.discard(writer)

    async def _connected(self) -> tuple[Upstream, tuple[asyncio.StreamReader, asyncio.StreamWriter]] | None:
        for upstream in sorted(self.upstreams, key=lambda one: (one.connections, self.draw.random())):
            with suppress(OSError):  # a TimeoutError is one
                async with asyncio.timeout(CONNECT_LIMIT_S):
                    return upstream, await asyncio.open_connection(upstream.host, upstream.port)
        return None


async def _joined(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    """Until one side is gone; then so is the other, however it ended."""
    there = asyncio.create_task(_passed_on(reader, far_writer))
    back = asyncio.create_task(_passed_on(far_reader, writer))
    try:
        await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        if back.done() and not back.cancelled() and back.result():
            # It has said all it had to say, which may still be on its way.
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_LIMIT_S):
                    writer.write_eof()
                    await there
    finally:
        there.cancel()
        back.cancel()
        far_writer.transport.abort()


async def _passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Until the reader's side ends; whether it ended in order."""
    try:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    except OSError:
        return False
    return True


@asynccontextmanager
async def balancer(*, seed: int | None = None) -> AsyncGenerator[Balancer, None]:
    """Listens on a free port of loopback until the end; without upstreams it closes what comes."""
    here = Balancer(draw=random.Random(seed))
    server = await asyncio.start_server(here._serve, "127.0.0.1", 0)
    here.port = int(server.sockets[0].getsockname()[1])
    try:
        yield here
    finally:
        server.close()
        here.cut()
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * CONNECT_LIMIT_S):
                while here._open:  # noqa: ASYNC110 - each ends by itself, once its peer is gone
                    await asyncio.sleep(0.01)
