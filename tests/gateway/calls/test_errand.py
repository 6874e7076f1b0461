from __future__ import annotations

import asyncio
from typing import TypeAlias

import pytest

from gateway.calls.errand import MOST_EVENTS, MOST_SOUND_PIECES, SILENT_S, ErrandEnd
from gateway.calls.letters import Alive, Over, Piece
from gateway.redis.link import RedisUnavailable
from tests.virtual_time import VIRTUAL_TIME, VirtualTime

pytestmark = pytest.mark.anyio

NOTICED_S = 3.0
"""Within this an end knows that the other is gone."""

Letter: TypeAlias = Piece | Alive | Over


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


class Post:
    """The way between two ends, which may fail."""

    def __init__(self) -> None:
        self.ends: dict[bool, ErrandEnd] = {}
        self.lost: list[Letter] = []
        self.loses = False
        """Letters get nowhere, and nobody is told."""
        self.is_away = False
        """Redis is."""
        self.receivers = 1

    def end(self, *, is_askers: bool, is_lossy: bool) -> ErrandEnd:
        async def post(letter: Letter) -> int:
            if self.is_away:
                raise RedisUnavailable("away")
            if self.loses:
                self.lost.append(letter)
            elif (other := self.ends.get(not is_askers)) is not None:
                other.take(letter)
            return self.receivers

        now = asyncio.get_running_loop().time
        end = self.ends[is_askers] = ErrandEnd("1", post, is_askers=is_askers, is_lossy=is_lossy, now=now)
        return end


def both(post: Post, *, is_lossy: bool = False) -> tuple[ErrandEnd, ErrandEnd]:
    return post.end(is_askers=True, is_lossy=is_lossy), post.end(is_askers=False, is_lossy=is_lossy)


async def test_pieces_go_both_ways_in_order_and_one_end_that_leaves_ends_both() -> None:
    one, two = both(Post())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(one.run())
        tasks.create_task(two.run())
        for number in range(100):
            one.send(bytes([number]))
            two.send(bytes([number, number]))
        assert [await two.get() for _ in range(100)] == [bytes([number]) for number in range(100)]
        assert [await one.get() for _ in range(100)] == [bytes([number, number]) for number in range(100)]
        await asyncio.sleep(60)  # nothing is said, and both know the other is there
        assert not one.is_over and not two.is_over
        one.send(b"last")
        one.end()
        assert [await two.get(), await two.get()] == [b"last", None]
    assert two.was_left and not one.was_left


@pytest.mark.parametrize("is_lossy", [True, False])
async def test_an_end_that_hears_nothing_knows_it_within_three_seconds(is_lossy: bool) -> None:
    post = Post()
    one, two = both(post, is_lossy=is_lossy)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(one.run())
        tasks.create_task(two.run())
        await asyncio.sleep(10)
        post.loses = True
        began_s = asyncio.get_running_loop().time()
        assert await one.get() is None and await two.get() is None
        assert SILENT_S < asyncio.get_running_loop().time() - began_s + 1 and not one.was_left
        assert asyncio.get_running_loop().time() - began_s <= NOTICED_S


async def test_a_worker_that_hears_no_letters_any_more_is_noticed_at_the_next_one() -> None:
    post = Post()
    one, _ = both(post)
    post.receivers = 0
    one.send(b"anybody?")
    await one.run()
    assert one.is_over


async def test_an_event_that_went_missing_ends_it_and_a_sound_does_not() -> None:
    for is_lossy in (False, True):
        post = Post()
        one, two = both(post, is_lossy=is_lossy)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(one.run())
            running = tasks.create_task(two.run())
            one.send(b"a")
            assert await two.get() == b"a"
            post.loses = True
            one.send(b"b")
            while not any(isinstance(letter, Piece) for letter in post.lost):  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(0.01)
            post.loses = False
            if is_lossy:
                one.send(b"c")
                assert await two.get() == b"c"
                one.end()
            else:
                assert await two.get() is None  # its other end is alive and has sent more than came
            await running


async def test_without_redis_sound_is_dropped_and_events_end_it() -> None:
    for is_lossy in (False, True):
        post = Post()
        one, two = both(post, is_lossy=is_lossy)
        post.is_away = True
        one.send(b"a")
        running = asyncio.ensure_future(one.run())
        await asyncio.sleep(0.1)
        assert one.is_over is not is_lossy
        post.is_away = False
        one.send(b"b")
        one.end()
        await running
        if is_lossy:
            assert [await two.get(), await two.get()] == [b"b", None]


async def test_a_slow_reader_of_sound_has_the_newest_and_one_of_events_is_given_up() -> None:
    for is_lossy, most in ((True, MOST_SOUND_PIECES), (False, MOST_EVENTS)):
        _, two = both(Post(), is_lossy=is_lossy)
        for number in range(most + 1):
            two.take(Piece("1", True, number, str(number).encode()))
        assert await two.get() == (b"1" if is_lossy else None)


async def test_what_comes_twice_or_back_to_its_writer_is_heard_once_or_not() -> None:
    one, two = both(Post())
    for number in (0, 0, 1, 1, 0):
        two.take(Piece("1", True, number, bytes([number])))
    two.take(Piece("1", False, 2, b"our own"))
    two.take(Over("1", True, 2))
    assert [await two.get() for _ in range(3)] == [b"\x00", b"\x01", None]
    assert not one.is_over


async def test_an_end_whose_task_is_cancelled_says_that_it_leaves() -> None:
    one, two = both(Post())
    running = asyncio.ensure_future(one.run())
    await asyncio.sleep(0.1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await two.get() is None
    assert two.was_left
