"""What every outbox promises, proved of both kinds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.call_records.file_outbox import FileOutbox
from gateway.call_records.outbox import (
    DEAD_KEPT_S,
    DONE_KEPT_S,
    MOST_DEAD,
    Fate,
    Fill,
    Letter,
    Outbox,
    OutboxUnavailable,
)
from gateway.call_records.redis_outbox import RedisOutbox
from gateway.redis.link import RedisLink
from tests.gateway.call_records.support import BEGAN_S, LIMIT_S, sid
from tests.redis_server import redis_server

pytestmark = pytest.mark.anyio

KINDS = ["files", "redis", "cluster"]
BODY = '{"data":"für alle"}'.encode()


@asynccontextmanager
async def outbox(kind: str, folder: Path, most_letters: int = 100) -> AsyncIterator[Outbox]:
    async with asyncio.timeout(LIMIT_S):
        if kind == "files":
            files = FileOutbox(folder / "outbox", most_letters=most_letters)
            await files.prepare()
            yield files
            return
        async with redis_server(cluster=kind == "cluster") as server:
            link = RedisLink(server.url, cluster=server.is_cluster, now=time.monotonic)
            try:
                yield RedisOutbox(link, "test", most_letters=most_letters)
            finally:
                await link.aclose()


async def claimed(box: Outbox, now_s: float = BEGAN_S, most: int = 10) -> list[Letter]:
    return list(await box.claim(now_s, most=most, lease_s=20.0))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_letter_is_put_once_claimed_by_one_and_gone_when_delivered(kind: str, tmp_path: Path) -> None:
    async with outbox(kind, tmp_path) as box:
        assert await box.put(sid(1), BODY, BEGAN_S)
        assert not await box.put(sid(1), b"another", BEGAN_S + 1)
        assert await box.fill() == Fill(1, BEGAN_S, 0)
        (letter,) = await claimed(box)
        assert letter == Letter(sid(1), BODY, BEGAN_S, 1)
        assert await claimed(box) == []
        assert not await box.put(sid(1), BODY, BEGAN_S + 2)
        await box.deliver(letter, BEGAN_S + 3)
        assert await box.fill() == Fill(0, None, 0)
        assert not await box.put(sid(1), BODY, BEGAN_S + DONE_KEPT_S)
        assert await box.put(sid(1), BODY, BEGAN_S + 10 + DONE_KEPT_S)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_letter_is_due_again_when_its_lease_ends_and_no_sooner(kind: str, tmp_path: Path) -> None:
    async with outbox(kind, tmp_path) as box:
        await box.put(sid(1), BODY, BEGAN_S)
        (first,) = await claimed(box)
        assert await claimed(box, BEGAN_S + 19) == []
        (second,) = await claimed(box, BEGAN_S + 20)
        assert (first.tries, second.tries) == (1, 2)
        # The one who came back from the dead cannot take it from the one who has it now,
        await box.put_off(first, BEGAN_S + 21)
        await box.bury(first, "late", BEGAN_S + 21)
        assert (await claimed(box, BEGAN_S + 25), (await box.fill()).dead) == ([], 0)
        # but if it was taken after all, it was taken.
        await box.deliver(first, BEGAN_S + 26)
        assert await claimed(box, BEGAN_S + 100) == []
        await box.bury(second, "gone already", BEGAN_S + 101)
        await box.put_off(second, BEGAN_S + 101)
        assert await box.fill() == Fill(0, None, 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_became_of_a_letter_is_known(kind: str, tmp_path: Path) -> None:
    async with outbox(kind, tmp_path) as box:
        assert await box.fates([]) == []
        for number in (1, 2, 3):
            await box.put(sid(number), BODY, BEGAN_S)
        delivered, buried, _ = await claimed(box)
        await box.deliver(delivered, BEGAN_S)
        await box.bury(buried, "HTTP 410", BEGAN_S)
        fates = await box.fates([sid(number) for number in (1, 2, 3)])
        assert list(fates) == [Fate.OVER, Fate.OVER, Fate.WAITING]


async def test_a_redis_that_was_flushed_knows_nothing_of_a_letter(tmp_path: Path) -> None:
    async with outbox("redis", tmp_path) as box:
        assert list(await box.fates([sid(1)])) == [Fate.UNKNOWN]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_put_off_is_due_then(kind: str, tmp_path: Path) -> None:
    async with outbox(kind, tmp_path) as box:
        await box.put(sid(1), BODY, BEGAN_S)
        (letter,) = await claimed(box)
        await box.put_off(letter, BEGAN_S + 5.5)
        assert await claimed(box, BEGAN_S + 5.25) == []
        assert [one.tries for one in await claimed(box, BEGAN_S + 5.5)] == [2]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_oldest_come_first_and_no_more_than_asked_for(kind: str, tmp_path: Path) -> None:
    async with outbox(kind, tmp_path) as box:
        for number in (3, 1, 2):
            await box.put(sid(number), BODY, BEGAN_S + number)
        assert [one.call_sid for one in await claimed(box, BEGAN_S + 9, most=2)] == [sid(1), sid(2)]
        assert [one.call_sid for one in await claimed(box, BEGAN_S + 9, most=2)] == [sid(3)]


@pytest.mark.parametrize("kind", KINDS)
async def test_many_who_claim_at_once_get_each_letter_once(kind: str, tmp_path: Path) -> None:
    async with outbox(kind, tmp_path) as box:
        for number in range(40):
            await box.put(sid(number), BODY, BEGAN_S)
        hands = await asyncio.gather(*(claimed(box, most=3) for _ in range(20)))
        got = [letter.call_sid for letters in hands for letter in letters]
        assert sorted(got) == [sid(number) for number in range(40)]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_dead_are_listed_and_read_and_may_wait_again(kind: str, tmp_path: Path) -> None:
    async with outbox(kind, tmp_path) as box:
        assert await box.dead() == []
        for number in (1, 2):
            await box.put(sid(number), BODY, BEGAN_S)
        first, second = await claimed(box)
        await box.bury(first, "HTTP 410", BEGAN_S + 5)
        await box.bury(second, "HTTP 400", BEGAN_S + 6)
        assert [(one.call_sid, one.died_at_s - BEGAN_S, one.tries, one.why) for one in await box.dead()] == [
            (sid(2), 6.0, 1, "HTTP 400"),
            (sid(1), 5.0, 1, "HTTP 410"),
        ]
        assert await box.fill() == Fill(0, None, 2)
        assert not await box.put(sid(1), BODY, BEGAN_S + 7)
        assert await claimed(box, BEGAN_S + 1000) == []
        assert (await box.dead_body(sid(1)), await box.dead_body(sid(3))) == (BODY, None)
        assert await box.revive(sid(1), BEGAN_S + 8)
        assert not await box.revive(sid(1), BEGAN_S + 8)
        assert await box.dead_body(sid(1)) is None
        assert await box.fill() == Fill(1, BEGAN_S + 8, 1)
        (again,) = await claimed(box, BEGAN_S + 8)
        assert (again.call_sid, again.body, again.put_at_s) == (sid(1), BODY, BEGAN_S + 8)


@pytest.mark.parametrize("kind", ["files", "redis"])
async def test_the_dead_are_forgotten_in_time(kind: str, tmp_path: Path) -> None:
    async with outbox(kind, tmp_path) as box:
        for number, at_s in ((1, BEGAN_S), (2, BEGAN_S + DEAD_KEPT_S + 10)):
            await box.put(sid(number), BODY, at_s)
            (letter,) = await claimed(box, at_s)
            await box.bury(letter, "HTTP 410", at_s)
        assert [one.call_sid for one in await box.dead()] == [sid(2)]
        assert await box.dead_body(sid(1)) is None


async def test_of_the_dead_only_so_many_are_kept_in_redis_and_the_latest(tmp_path: Path) -> None:
    async with outbox("redis", tmp_path, most_letters=2 * MOST_DEAD) as box:
        for number in range(MOST_DEAD + 3):
            await box.put(sid(number), BODY, BEGAN_S + number)
        now_s = BEGAN_S + 2 * MOST_DEAD
        while letters := await claimed(box, now_s, most=16):
            await asyncio.gather(*(box.bury(one, "HTTP 410", one.put_at_s) for one in letters))
        assert (await box.fill()).dead == MOST_DEAD
        assert await box.dead_body(sid(2)) is None
        assert await box.dead_body(sid(3)) == BODY


@pytest.mark.parametrize("kind", KINDS)
async def test_a_full_outbox_says_so_until_there_is_room(kind: str, tmp_path: Path) -> None:
    async with outbox(kind, tmp_path, most_letters=2) as box:
        for number in (1, 2):
            await box.put(sid(number), BODY, BEGAN_S)
        with pytest.raises(OutboxUnavailable, match="full"):
            await box.put(sid(3), BODY, BEGAN_S)
        await box.deliver((await claimed(box))[0], BEGAN_S)
        assert await box.put(sid(3), BODY, BEGAN_S)
