from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from simulator.balancer import Balancer, balancer

pytestmark = pytest.mark.anyio

LIMIT_S = 20.0


@asynccontextmanager
async def worker(name: str) -> AsyncGenerator[int, None]:
    """Says its name, then says back what it hears, until its peer ends; gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{name}\n".encode())
        try:
            while data := await reader.read(1024):
                writer.write(data)
            writer.write(b"bye")
        except OSError:
            pass
        finally:
            writer.close()

    gone: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        gone.add(task)
        task.add_done_callback(gone.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in gone:
            task.cancel()


class Caller:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def line(self) -> str:
        async with asyncio.timeout(LIMIT_S):
            return (await self.reader.readline()).decode().strip()

    async def rest(self) -> bytes:
        async with asyncio.timeout(LIMIT_S):
            return await self.reader.read()


async def call(door: Balancer) -> Caller:
    return Caller(*await asyncio.open_connection("127.0.0.1", door.port))


async def answered_by(door: Balancer) -> str:
    """By whom a call is taken that ends at once."""
    caller = await call(door)
    name = await caller.line()
    caller.writer.close()
    return name


@asynccontextmanager
async def two_workers() -> AsyncGenerator[Balancer, None]:
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(worker(name)) for name in ("one", "two")]
        door = await stack.enter_async_context(balancer(seed=1))
        for port in ports:
            door.add(port)
        yield door


async def test_each_connection_comes_to_whoever_has_the_fewest() -> None:
    async with two_workers() as door:
        callers = [await call(door) for _ in range(6)]
        names = [await caller.line() for caller in callers]
        assert sorted(names) == ["one"] * 3 + ["two"] * 3
        assert [upstream.connections for upstream in door.upstreams] == [3, 3]
        for caller in callers:
            caller.writer.close()


async def test_pairs_of_connections_do_not_all_begin_at_the_same_worker() -> None:
    async with two_workers() as door:
        callers = [await call(door) for _ in range(40)]
        firsts = {await caller.line() for caller in callers[::2]}
        assert firsts == {"one", "two"}
        for caller in callers:
            caller.writer.close()


async def test_what_is_said_passes_both_ways_and_an_end_in_order_is_passed_on() -> None:
    async with two_workers() as door:
        caller = await call(door)
        await caller.line()
        caller.writer.write(b"hello\n")
        assert await caller.line() == "hello"
        caller.writer.close()


async def test_one_that_refuses_is_passed_over() -> None:
    async with worker("one") as port, balancer(seed=1) as door:
        async with worker("gone") as gone:
            door.add(gone)
        door.add(port)
        assert {await answered_by(door) for _ in range(4)} == {"one"}


async def test_without_workers_a_connection_is_closed() -> None:
    async with balancer() as door:
        caller = await call(door)
        try:
            assert await caller.rest() == b""
        except ConnectionResetError:
            pass  # closed without a word
        caller.writer.close()
    assert door.url == f"http://127.0.0.1:{door.port}"


async def test_one_that_is_taken_out_keeps_what_it_has_and_gets_no_more() -> None:
    async with two_workers() as door:
        first = await call(door)
        name = await first.line()
        taken = next(upstream for upstream in door.upstreams if upstream.connections)
        door.remove(taken)
        door.remove(taken)
        others = {await answered_by(door) for _ in range(3)}
        assert others == {"one", "two"} - {name}
        first.writer.write(b"still here\n")
        assert await first.line() == "still here"
        first.writer.close()
