from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from simulator import toxic_proxy
from simulator.toxic_proxy import Gate, ToxicProxy
from simulator.toxics import Ending, Toxics

pytestmark = pytest.mark.anyio

LIMIT_S = 20.0


class Echo:
    """A server that sends back what it gets, in front of it a word of its own."""

    def __init__(self, word: bytes = b"") -> None:
        self.word = word
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        """Each read; b"" at the end of a connection, and b"!" when it was reset."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(self.word)
            while data := await reader.read(65_536):
                self.heard.put_nowait(data)
                writer.write(data)
                await writer.drain()
            self.heard.put_nowait(b"")
        except ConnectionError:
            self.heard.put_nowait(b"!")
        finally:
            writer.close()


@asynccontextmanager
async def echoing(echo: Echo) -> AsyncIterator[tuple[str, int]]:
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()
        yield host, port
    finally:
        server.close()


@asynccontextmanager
async def proxied(echo: Echo) -> AsyncIterator[ToxicProxy]:
    async with asyncio.timeout(LIMIT_S), echoing(echo) as (host, port), ToxicProxy(host, port, seed=1) as proxy:
        yield proxy


@asynccontextmanager
async def client_of(proxy: ToxicProxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*proxy.address)
    try:
        yield reader, writer
    finally:
        writer.close()


async def test_without_toxics_it_is_not_there() -> None:
    async with proxied(Echo()) as proxy, client_of(proxy) as (reader, writer):
        sent = bytes(range(256)) * 4_000
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent
        writer.write_eof()
        assert await reader.read() == b""
        assert proxy.accepted == 1


async def test_latency_is_waited_for_by_its_clock_and_ends_when_it_is_healed() -> None:
    async with proxied(Echo()) as proxy, client_of(proxy) as (reader, writer):
        loop = asyncio.get_running_loop()
        proxy.poison(down=Toxics(latency_ms=120, jitter_ms=20))
        began_s = loop.time()
        writer.write(b"late")
        assert await reader.readexactly(4) == b"late"
        assert loop.time() - began_s >= 0.099
        proxy.poison(down=Toxics(latency_ms=3_600_000))
        writer.write(b"never")
        answer = asyncio.ensure_future(reader.readexactly(5))
        await asyncio.sleep(0)
        proxy.heal()
        assert await answer == b"never"


async def test_a_blackhole_accepts_and_says_nothing_until_it_is_gone() -> None:
    echo = Echo()
    async with proxied(echo) as proxy:
        proxy.poison(up=Toxics(is_blackhole=True))
        async with client_of(proxy) as (reader, writer):
            writer.write(b"hello")
            await writer.drain()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await reader.read(1)
            assert echo.heard.empty()
            proxy.heal()
            assert await reader.readexactly(5) == b"hello"


async def test_a_blackhole_holds_a_bounded_amount_and_then_the_sender() -> None:
    echo = Echo()
    async with proxied(echo) as proxy:
        proxy.poison(up=Toxics(is_blackhole=True))
        async with client_of(proxy) as (reader, writer):
            sent = b"x" * 32_000_000
            writer.write(sent)
            drained = asyncio.ensure_future(writer.drain())
            done, _ = await asyncio.wait([drained], timeout=0.3)
            assert not done, "the sender must feel that nobody reads"
            proxy.heal()
            got_bytes = 0
            while got_bytes < len(sent):
                got_bytes += len(await reader.read(1 << 20))
            await drained


async def test_a_bandwidth_slows_a_stream_down() -> None:
    async with proxied(Echo()) as proxy, client_of(proxy) as (reader, writer):
        proxy.poison(down=Toxics(bandwidth_kbps=800))
        began_s = asyncio.get_running_loop().time()
        writer.write(b"x" * 20_000)
        await reader.readexactly(20_000)
        # 160 kbit at 800 kbit/s take 200 ms, less the first piece, which goes at once.
        assert asyncio.get_running_loop().time() - began_s >= 0.17


async def test_slices_arrive_in_small_pieces() -> None:
    echo = Echo()
    async with proxied(echo) as proxy, client_of(proxy) as (_, writer):
        proxy.poison(up=Toxics(slice_bytes=3))
        writer.write(b"abcdefghij")
        pieces = [await echo.heard.get()]
        while b"".join(pieces) != b"abcdefghij":
            pieces.append(await echo.heard.get())
        assert len(pieces) > 1


async def test_a_limit_cuts_after_its_bytes() -> None:
    async with proxied(Echo()) as proxy, client_of(proxy) as (reader, writer):
        proxy.poison(down=Toxics(ending=Ending.CUT, after_bytes=4))
        writer.write(b"abcdefgh")
        assert await reader.read() == b"abcd"


@pytest.mark.parametrize("after_bytes", [0, 2])
async def test_a_reset_is_a_reset_on_both_sides(after_bytes: int) -> None:
    echo = Echo()
    async with proxied(echo) as proxy, client_of(proxy) as (reader, writer):
        writer.write(b"hi")
        assert await reader.readexactly(2) == b"hi"
        proxy.poison(down=Toxics(ending=Ending.RESET, after_bytes=after_bytes))
        with pytest.raises(ConnectionResetError):
            await reader.read()
        assert [await echo.heard.get() for _ in range(2)] == [b"hi", b"!"]


async def test_a_half_close_leaves_the_other_direction_alive() -> None:
    echo = Echo()
    async with proxied(echo) as proxy, client_of(proxy) as (reader, writer):
        proxy.poison(down=Toxics(ending=Ending.HALF_CLOSE))
        assert await reader.read() == b""
        writer.write(b"still here")
        assert await echo.heard.get() == b"still here"
        writer.write_eof()
        assert await echo.heard.get() == b""


async def test_who_connects_is_refused_while_the_others_go_on_and_the_port_stays_the_same() -> None:
    async with proxied(Echo()) as proxy, client_of(proxy) as (reader, writer):
        writer.write(b"1")
        await reader.readexactly(1)
        port = proxy.port
        proxy.refuse()
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*proxy.address)
        writer.write(b"2")
        assert await reader.readexactly(1) == b"2"
        proxy.accept()
        proxy.accept()
        assert proxy.port == port
        async with client_of(proxy) as (other, wire):
            wire.write(b"3")
            assert await other.readexactly(1) == b"3"


@pytest.mark.parametrize("ending", [Ending.CUT, Ending.RESET])
async def test_a_cut_ends_every_open_connection_even_one_that_is_held(ending: Ending) -> None:
    async with proxied(Echo()) as proxy, client_of(proxy) as (one, wire), client_of(proxy) as (other, second):
        for reader, writer in ((one, wire), (other, second)):
            writer.write(b"x")
            await reader.readexactly(1)
        proxy.poison(down=Toxics(is_blackhole=True))
        assert proxy.open_connections == 2
        proxy.cut(ending)
        for reader in (one, other):
            if ending is Ending.RESET:
                with pytest.raises(ConnectionResetError):
                    await reader.read()
            else:
                assert await reader.read() == b""
        assert proxy.open_connections == 0
        with pytest.raises(ValueError, match="both directions"):
            proxy.cut(Ending.HALF_CLOSE)


async def test_it_can_be_pointed_at_another_server_while_it_runs() -> None:
    async with proxied(Echo(b"A")) as proxy, echoing(Echo(b"B")) as (host, port):
        async with client_of(proxy) as (reader, writer):
            assert await reader.readexactly(1) == b"A"
            proxy.point_at(host, port)
            writer.write(b"a")
            assert await reader.readexactly(1) == b"a"
        async with client_of(proxy) as (reader, _):
            assert await reader.readexactly(1) == b"B"


async def test_a_server_that_is_not_there_resets_the_client() -> None:
    async with proxied(Echo()) as proxy:
        async with ToxicProxy("127.0.0.1", 1) as nowhere:
            with pytest.raises(ConnectionResetError):
                async with client_of(nowhere) as (reader, _):
                    await reader.read()
        assert nowhere.gate is Gate.SHUT
        assert proxy.gate is Gate.ACCEPTING


async def test_a_server_that_resets_is_told_to_the_client() -> None:
    async with proxied(Echo()) as inner, ToxicProxy(*inner.address) as outer, client_of(outer) as (reader, writer):
        writer.write(b"x")
        await reader.readexactly(1)
        inner.cut(Ending.RESET)
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_more_connections_than_it_may_have_are_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toxic_proxy, "MOST_CONNECTIONS", 1)
    async with proxied(Echo(b"A")) as proxy, client_of(proxy) as (first, _):
        assert await first.readexactly(1) == b"A"
        with pytest.raises(ConnectionResetError):
            async with client_of(proxy) as (second, _):
                await second.read()


async def test_nothing_is_left_when_it_is_closed_with_connections_open() -> None:
    async with asyncio.timeout(LIMIT_S), echoing(Echo()) as (host, port):
        async with ToxicProxy(host, port) as proxy:
            reader, writer = await asyncio.open_connection(*proxy.address)
            writer.write(b"x")
            await reader.readexactly(1)
        assert await reader.read() == b""
        writer.close()
        assert proxy.open_connections == 0
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*proxy.address)
        with pytest.raises(RuntimeError, match="shut"):
            proxy.refuse()
