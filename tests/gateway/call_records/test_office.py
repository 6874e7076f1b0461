from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.call_records import registrar
from gateway.call_records.deliveries import Outcome
from gateway.call_records.file_outbox import FileOutbox
from gateway.call_records.office import Destination, RecordsOffice, outbox_of, remembered_by
from gateway.call_records.outbox import Outbox
from gateway.call_records.redis_outbox import RedisOutbox
from gateway.calls.call import EndReason
from gateway.calls.journal import JOURNAL_LIMIT_EVENTS
from gateway.calls.redis_store import RedisStore
from gateway.calls.store import ABANDONED_AFTER_S, CallStore, MemoryStore
from gateway.errors import SettingsError
from gateway.redis.link import RedisLink
from tests.gateway.call_records.support import (
    BEGAN_S,
    LIMIT_S,
    SECRET,
    Behaviour,
    Clock,
    Inbox,
    Request,
    happened,
    inbox,
    new_call,
    recorded_store,
    sid,
    until,
)
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.anyio

SEED = 6
CALLS = 100
LONG_LIMIT_S = 40.0


def is_genuine(request: Request) -> bool:
    """By the words of Standard Webhooks, "Signature scheme": written anew, beside `pipeline.webhook_tool`."""
    key = base64.b64decode(SECRET.split("_", 1)[1])
    name, at = request.headers["webhook-id"].encode(), request.headers["webhook-timestamp"].encode()
    digest = hmac.digest(key, b".".join((name, at, request.body)), hashlib.sha256)
    return request.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


def office_for(
    store: CallStore, outbox: Outbox, url: str, clock: Clock, counted: list[Outcome], secret: str = SECRET
) -> RecordsOffice:
    return RecordsOffice(
        store,
        outbox,
        Destination(url=url, secret=secret, limit_s=5.0, give_up_after_s=86_400),
        now=clock,
        count=counted.append,
        show=lambda fill, now_s: None,
        draw=lambda: 0.0,
    )


@dataclass
class Worker:
    """One in this process."""

    store: RedisStore
    office: RecordsOffice
    link: RedisLink


@dataclass
class Fleet:
    server: RedisServer
    box: Inbox
    stack: AsyncExitStack
    clock: Clock = field(default_factory=Clock)
    counted: list[Outcome] = field(default_factory=list)

    async def worker(self, name: str) -> Worker:
        link = RedisLink(self.server.url, now=time.monotonic)
        self.stack.push_async_callback(link.aclose)
        store = recorded_store(link, "test", worker_id=name, now=self.clock)
        office = office_for(store, RedisOutbox(link, "test"), self.box.url, self.clock, self.counted)
        store.recorded = office.registrar.record
        await self.stack.enter_async_context(office.opened())
        return Worker(store, office, link)


@asynccontextmanager
async def fleet(*behaviours: Behaviour) -> AsyncIterator[Fleet]:
    async with asyncio.timeout(LIMIT_S), redis_server() as server, inbox(*behaviours) as box:
        async with AsyncExitStack() as stack:
            yield Fleet(server, box, stack)


def test_the_outbox_is_in_redis_where_there_is_one(tmp_path: Path) -> None:
    link = RedisLink("redis://127.0.0.1:1", now=time.monotonic)
    assert isinstance(outbox_of(link, "test", str(tmp_path)), RedisOutbox)
    assert isinstance(outbox_of(None, "test", str(tmp_path)), FileOutbox)


async def test_a_call_that_ends_in_memory_is_told_and_one_that_ended_before_a_crash_too(tmp_path: Path) -> None:
    counted: list[Outcome] = []
    async with asyncio.timeout(LIMIT_S), inbox() as box:
        # The first process ends before it delivers anything: it never opens its office.
        before = FileOutbox(tmp_path / "box")
        await before.prepare()
        await before.put(sid(7), b'{"data":{"call_sid":"CA7"}}', BEGAN_S)
        store, clock = MemoryStore(), Clock()
        office = office_for(store, FileOutbox(tmp_path / "box"), box.url, clock, counted)
        async with office.opened():
            call = new_call()
            await store.open(call)
            await store.end(call, EndReason.COMPLETED, BEGAN_S + 5)
            assert await office.registrar.record(call)
            await until(lambda: len(box.taken) == 2)
        assert sorted(box.taken) == [sid(1), "CA7"]
        assert all(is_genuine(request) for request in box.requests)


async def test_settings_that_will_not_do_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="SWITCHBOARD_WEBHOOK_SECRET"):
        office_for(MemoryStore(), FileOutbox(tmp_path), "http://x", Clock(), [], secret="none")
    office = office_for(MemoryStore(), FileOutbox(tmp_path / "file"), "http://x", Clock(), [])
    with pytest.raises(SettingsError, match="SWITCHBOARD_OUTBOX"):
        async with office.opened():
            pass


async def test_a_call_that_two_workers_sign_out_is_told_once() -> None:
    async with fleet() as here:
        one, two = await here.worker("one"), await here.worker("two")
        for number in range(10):
            await one.store.open(new_call(number))
            calls = [await worker.store.find(sid(number)) for worker in (one, two)]
            assert calls[0] is not None and calls[1] is not None
            await asyncio.gather(
                one.store.end(calls[0], EndReason.COMPLETED, here.clock()),
                two.store.end(calls[1], EndReason.FAILED, here.clock()),
                return_exceptions=True,  # one of them is outpaced
            )
            ended = [await worker.store.find(sid(number)) for worker in (one, two)]
            assert ended[0] is not None and ended[1] is not None
            # And as after an answer of Redis that was lost: both ask for the record once more.
            again = [one.office.registrar.record(ended[0]), two.office.registrar.record(ended[1])]
            assert all(await asyncio.gather(*again))
        await until(lambda: len(here.counted) == 10)
        assert (await one.office.outbox.fill()).waiting == 0
        assert Counter(here.box.taken) == {sid(number): 1 for number in range(10)}


async def test_a_record_tells_what_happened_on_all_workers() -> None:
    async with fleet() as here:
        one, two = await here.worker("one"), await here.worker("two")
        await one.store.open(new_call())
        await one.store.note(sid(1), happened("call.started"))
        await two.store.note(sid(1), happened("filler", 2, text="One moment."))
        call = await two.store.find(sid(1))
        assert call is not None
        await two.store.end(call, EndReason.CALLER_HUNG_UP, here.clock() + 30)
        await until(lambda: here.box.taken == [sid(1)])
        data = json.loads(here.box.requests[0].body)["data"]
        assert (data["from"], data["end_reason"], data["duration_s"], data["is_complete"]) == (
            "+14155550134",
            "caller_hung_up",
            30.0,
            True,
        )
        assert [line["text"] for line in data["transcript"]] == ["One moment."]


async def test_when_redis_is_away_as_a_call_ends_its_record_comes_once_it_is_back() -> None:
    async with fleet() as here:
        worker = await here.worker("one")
        call = new_call()
        await worker.store.open(call)
        here.server.kill()
        await worker.store.end(call, EndReason.COMPLETED, here.clock())
        assert worker.office.registrar.owed == 1
        await here.server.restart()
        await until(lambda: here.box.taken == [sid(1)])
        assert worker.office.registrar.owed == 0


async def test_a_record_that_redis_lost_before_it_was_delivered_is_put_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registrar, "RETRY_S", 0.01)
    async with fleet(503) as here:
        worker = await here.worker("one")
        call = new_call()
        await worker.store.open(call)
        await worker.store.end(call, EndReason.COMPLETED, here.clock())
        await until(lambda: here.counted == [Outcome.FAILED])
        here.server.kill()
        await here.server.restart()
        here.clock.at_s += registrar.WATCH_EVERY_S
        await until(lambda: here.box.taken == [sid(1)])
        first, second = here.box.requests
        assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])

        def is_forgotten() -> bool:
            here.clock.at_s += registrar.WATCH_EVERY_S
            return not worker.office.registrar._watched

        await until(is_forgotten)


async def test_the_journal_of_a_call_that_streams_here_is_remembered_without_redis() -> None:
    async with fleet() as here:
        worker = await here.worker("one")
        call = new_call()
        await worker.store.open(call)
        remembered = remembered_by(worker.store)
        assert remembered(sid(1)) == []
        async with worker.store.attend(call, lambda: None, lambda: None) as attended:
            attended.journal.append(happened("stream.started"))
            assert remembered(sid(1)) == [happened("stream.started")]
            for number in range(JOURNAL_LIMIT_EVENTS):
                attended.journal.append(happened("dtmf", number))
            assert len(remembered(sid(1))) == JOURNAL_LIMIT_EVENTS
        assert remembered_by(MemoryStore())(sid(1)) == []


@dataclass
class Process:
    """A worker that is a process of its own."""

    process: asyncio.subprocess.Process

    async def says(self, *expected: str) -> None:
        assert self.process.stdout is not None
        line = (await self.process.stdout.readline()).decode().split()
        assert line == list(expected)

    def tell(self, *words: str | float) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)).encode() + b"\n")

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def processes(server: RedisServer, box: Inbox) -> AsyncIterator[Any]:
    begun: list[Process] = []

    async def begin(*how: str) -> Process:
        words = [sys.executable, "-m", "tests.gateway.call_records.worker", server.url, box.url, f"w{len(begun)}"]
        pipe = asyncio.subprocess.PIPE
        one = Process(await asyncio.create_subprocess_exec(*words, *how, stdin=pipe, stdout=pipe))
        begun.append(one)
        await one.says("ready")
        return one

    try:
        yield begin
    finally:
        for one in begun:
            if one.process.returncode is None:
                await one.kill()


@asynccontextmanager
async def opener(server: RedisServer) -> AsyncIterator[RedisStore]:
    """Takes calls in, and ends none."""
    link = RedisLink(server.url, now=time.monotonic)
    try:
        yield recorded_store(link, "test", worker_id="opener", now=time.time)
    finally:
        await link.aclose()


async def test_a_worker_killed_between_the_end_of_a_call_and_its_record_leaves_it_to_the_sweep_of_another() -> None:
    async with asyncio.timeout(LONG_LIMIT_S), redis_server() as server, inbox() as box:
        async with opener(server) as store, processes(server, box) as begin:
            await store.open(new_call())
            doomed = await begin("stop-before-record")
            doomed.tell("end", sid(1))
            await doomed.says("stopped", sid(1))
            await doomed.kill()
            ended = await store.find(sid(1))
            assert ended is not None and not ended.is_live
            heir = await begin()
            heir.tell("later", 2 * ABANDONED_AFTER_S)
            heir.tell("sweep")
            await until(lambda: box.taken == [sid(1)])
            assert json.loads(box.requests[0].body)["data"]["end_reason"] == "completed"
            assert await store.live_count() == 0


async def test_a_worker_killed_in_the_middle_of_a_delivery_leaves_it_to_another_under_the_same_id() -> None:
    async with asyncio.timeout(LONG_LIMIT_S), redis_server() as server, inbox("hang") as box:
        async with opener(server) as store, processes(server, box) as begin:
            await store.open(new_call())
            doomed = await begin()
            doomed.tell("end", sid(1))
            await until(lambda: len(box.requests) == 1)
            await doomed.kill()
            heir = await begin()
            heir.tell("later", 60)
            await until(lambda: box.taken == [sid(1)])
            first, second = box.requests
            assert first.headers["webhook-id"] == second.headers["webhook-id"]
            assert first.body == second.body


async def test_of_a_hundred_calls_ended_under_random_kills_and_faults_no_record_is_lost() -> None:
    chance = random.Random(SEED)
    faults: list[Behaviour] = [500, 503, "drop", 429, (503, {"retry-after": "3"}), 200, 200, 200, 200]

    def behaves(request: Request) -> Behaviour:
        return chance.choice(faults)

    async with asyncio.timeout(LONG_LIMIT_S), redis_server() as server, inbox(behaves=behaves) as box:
        async with opener(server) as store, processes(server, box) as begin:
            for number in range(CALLS):
                await store.open(new_call(number))
            workers = [await begin() for _ in range(3)]
            for number in range(CALLS):
                chance.choice(workers).tell("end", sid(number))
                if chance.random() < 0.08:
                    place = chance.randrange(len(workers))
                    await asyncio.sleep(chance.random() * 0.02)  # any instant of what it is doing
                    await workers[place].kill()
                    workers[place] = await begin()
            faults[:] = [200]
            wanted = {sid(number) for number in range(CALLS)}
            while set(box.taken) != wanted:
                for worker in workers:
                    worker.tell("later", 2 * ABANDONED_AFTER_S)  # past every lease and wait
                    worker.tell("sweep")
                await asyncio.sleep(0.1)
    ids = {request.call_sid: set[str]() for request in box.requests}
    for request in box.requests:
        ids[request.call_sid].add(request.headers["webhook-id"])
        assert is_genuine(request)
    assert ids.keys() == wanted
    assert all(len(names) == 1 for names in ids.values())
    assert len({name for names in ids.values() for name in names}) == CALLS
