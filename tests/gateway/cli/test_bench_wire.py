"""What crossed the sockets: counted by the system, to the byte."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.bench_wire import Crossed, between, sockets_to

pytestmark = pytest.mark.anyio

LIMIT_S = 10.0


async def test_every_byte_that_was_acknowledged_is_counted_on_each_connection_to_the_port() -> None:
    async def double(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                writer.write(2 * await reader.readexactly(100))
        writer.close()

    server = await asyncio.start_server(double, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    before = sockets_to(port)
    assert len(before) == 2, "the listening socket and the server's ends have other peers"
    for reader, writer in lines:
        for _ in range(3):
            writer.write(bytes(100))
            async with asyncio.timeout(LIMIT_S):
                await reader.readexactly(200)
    after = sockets_to(port)
    crossed = between(before, after)
    assert (crossed.bytes_out, crossed.bytes_in) == (600, 1_200)
    assert (crossed.data_segments_out, crossed.data_segments_in) == (6, 6)
    assert crossed.segments >= 12, "acknowledgements come on top"
    for _, writer in lines:
        writer.close()
        await writer.wait_closed()
    server.close()
    assert sockets_to(port) == {}


crossings = st.builds(Crossed, *(st.integers(0, 10**9) for _ in range(5)))


@given(st.dictionaries(st.integers(0, 20), crossings), st.dictionaries(st.integers(0, 20), crossings))
def test_only_connections_that_were_there_at_both_moments_count(
    before: dict[int, Crossed], after: dict[int, Crossed]
) -> None:
    both = before.keys() & after.keys()
    crossed = between(before, after)
    assert crossed.bytes_in == sum(after[one].bytes_in - before[one].bytes_in for one in both)
    assert crossed == between({one: before[one] for one in both}, {one: after[one] for one in both})
