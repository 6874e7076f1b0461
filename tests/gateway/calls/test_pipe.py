from __future__ import annotations

import asyncio

import pytest

from gateway.calls.pipe import Pipe

pytestmark = pytest.mark.anyio

LIMIT_S = 10.0


async def test_what_is_put_comes_out_in_its_order_and_then_the_end() -> None:
    pipe = Pipe(3, drops_oldest=False)
    for piece in (b"a", b"b", b"c"):
        pipe.put(piece)
    pipe.end()
    pipe.put(b"too late")
    assert [await pipe.get() for _ in range(4)] == [b"a", b"b", b"c", None]
    assert pipe.dropped == 0


async def test_a_reader_waits_for_what_is_not_there_yet() -> None:
    pipe = Pipe(3, drops_oldest=False)
    reading = asyncio.ensure_future(pipe.get())
    await asyncio.sleep(0)
    assert not reading.done()
    pipe.put(b"a")
    async with asyncio.timeout(LIMIT_S):
        assert await reading == b"a"
        reading = asyncio.ensure_future(pipe.get())
        await asyncio.sleep(0)
        pipe.end()
        assert await reading is None


async def test_live_sound_that_is_not_taken_makes_room_for_newer() -> None:
    pipe = Pipe(2, drops_oldest=True)
    for piece in (b"a", b"b", b"c"):
        pipe.put(piece)
    assert [await pipe.get(), await pipe.get()] == [b"b", b"c"]
    assert (pipe.dropped, pipe.is_over) == (1, False)


async def test_events_that_are_not_taken_end_it_because_none_may_be_missing() -> None:
    pipe = Pipe(2, drops_oldest=False)
    for piece in (b"a", b"b", b"c"):
        pipe.put(piece)
    assert await pipe.get() is None
    assert (pipe.dropped, pipe.is_over) == (3, True)


async def test_bytes_are_bounded_too_but_one_piece_always_fits() -> None:
    pipe = Pipe(10, drops_oldest=True, most_bytes=4)
    pipe.put(b"longer than that")
    assert pipe.dropped == 0
    pipe.put(b"ab")
    pipe.put(b"cd")
    assert [await pipe.get(), await pipe.get()] == [b"ab", b"cd"]
