from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.call_records import deliveries as module
from gateway.call_records.deliveries import MOST_AT_ONCE, Deliveries, Outcome, Post
from gateway.call_records.file_outbox import FileOutbox
from gateway.call_records.outbox import DeadLetter, Fate, Fill, Letter, Outbox, OutboxUnavailable
from gateway.call_records.receiver import Answer, Reply
from gateway.call_records.schedule import Schedule
from tests.gateway.call_records.support import BEGAN_S, LIMIT_S, Clock, ScriptedReceiver, sid, until

pytestmark = pytest.mark.anyio

HOUR_S = 3600.0
NOT_NOW = Answer(Reply.NOT_NOW, "HTTP 503")


@dataclass
class Running:
    deliveries: Deliveries
    outbox: Outbox
    clock: Clock
    counted: list[Outcome]
    shown: list[tuple[Fill, float]]

    async def put(self, number: int = 1) -> None:
        await self.outbox.put(sid(number), b"{}", self.clock())
        self.deliveries.look()

    def pass_(self, seconds: float) -> None:
        self.clock.at_s += seconds
        self.deliveries.look()

    async def counts(self, *outcomes: Outcome) -> None:
        await until(lambda: self.counted == list(outcomes))


@asynccontextmanager
async def running(folder: Path, receiver: Post, outbox: Outbox | None = None) -> AsyncIterator[Running]:
    box, clock = FileOutbox(folder), Clock()
    await box.prepare()
    counted: list[Outcome] = []
    shown: list[tuple[Fill, float]] = []
    deliveries = Deliveries(
        outbox or box,
        receiver,
        Schedule(HOUR_S),
        limit_s=1.0,
        now=clock,
        draw=lambda: 0.0,
        count=counted.append,
        show=lambda fill, now_s: shown.append((fill, now_s)),
    )
    run = Running(deliveries, outbox or box, clock, counted, shown)
    async with asyncio.timeout(LIMIT_S):
        task = asyncio.create_task(deliveries.run())
        try:
            yield run
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_what_is_put_is_delivered_at_once_and_counted(tmp_path: Path) -> None:
    receiver = ScriptedReceiver()
    async with running(tmp_path, receiver) as run:
        await run.put()
        await run.counts(Outcome.DELIVERED)
        await until(lambda: not any(tmp_path.glob("*.json")))
    assert [(one.call_sid, one.tries) for one in receiver.letters] == [(sid(1), 1)]


async def test_a_failure_is_tried_again_when_its_wait_is_over_and_not_before(tmp_path: Path) -> None:
    receiver = ScriptedReceiver([NOT_NOW, NOT_NOW])
    async with running(tmp_path, receiver) as run:
        await run.put()
        await run.counts(Outcome.FAILED)
        run.pass_(4.9)
        await run.put(2)  # proves that the outbox was looked at
        await run.counts(Outcome.FAILED, Outcome.FAILED)
        assert [one.call_sid for one in receiver.letters] == [sid(1), sid(2)]
        run.pass_(0.2)
        await run.counts(Outcome.FAILED, Outcome.FAILED, Outcome.DELIVERED)
        assert [(one.call_sid, one.tries) for one in receiver.letters[2:]] == [(sid(1), 2)]


async def test_a_receiver_that_asks_for_patience_gets_it(tmp_path: Path) -> None:
    receiver = ScriptedReceiver([Answer(Reply.NOT_NOW, "HTTP 429", wait_s=600.0)])
    async with running(tmp_path, receiver) as run:
        await run.put()
        await run.counts(Outcome.FAILED)
        run.pass_(599)
        await run.put(2)
        await run.counts(Outcome.FAILED, Outcome.DELIVERED)
        assert receiver.letters[-1].call_sid == sid(2)
        run.pass_(2)
        await run.counts(Outcome.FAILED, Outcome.DELIVERED, Outcome.DELIVERED)


async def test_what_is_refused_for_good_is_buried_with_the_reason(tmp_path: Path) -> None:
    async with running(tmp_path, ScriptedReceiver([Answer(Reply.NEVER, "HTTP 410")])) as run:
        await run.put()
        await run.counts(Outcome.REFUSED)
        await until(lambda: any((tmp_path / "dead").glob("*.json")))
        assert [(one.call_sid, one.why) for one in await run.outbox.dead()] == [(sid(1), "HTTP 410")]


async def test_after_the_last_try_it_is_given_up(tmp_path: Path) -> None:
    async with running(tmp_path, ScriptedReceiver([NOT_NOW] * 99)) as run:
        await run.put()
        await run.counts(Outcome.FAILED)
        run.pass_(HOUR_S)
        await run.counts(Outcome.FAILED, Outcome.GIVEN_UP)


@dataclass
class Patient:
    """Keeps everybody waiting until it is opened."""

    letters: list[Letter] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def post(self, letter: Letter) -> Answer:
        self.letters.append(letter)
        await self.open.wait()
        return Answer(Reply.TAKEN)


async def test_only_so_many_are_under_way_at_once_and_then_the_next(tmp_path: Path) -> None:
    receiver = Patient()
    async with running(tmp_path, receiver) as run:
        for number in range(MOST_AT_ONCE + 5):
            await run.put(number)
        await until(lambda: len(receiver.letters) == MOST_AT_ONCE)
        run.pass_(1)
        await until(lambda: run.deliveries._wake.is_set() is False)
        assert len(receiver.letters) == MOST_AT_ONCE
        receiver.open.set()
        await until(lambda: len(run.counted) == MOST_AT_ONCE + 5)
    assert len({letter.call_sid for letter in receiver.letters}) == MOST_AT_ONCE + 5


class Broken:
    async def post(self, letter: Letter) -> Answer:
        raise RuntimeError("a fault of ours")


async def test_a_fault_of_ours_costs_one_try_and_not_the_deliveries(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, Broken()) as run:
        await run.put()
        await until(lambda: "a fault of ours" in caplog.text)
        assert [one.tries for one in await run.outbox.claim(BEGAN_S + 60, most=1, lease_s=1)] == [2]


async def test_how_full_it_is_is_shown_now_and_then(tmp_path: Path) -> None:
    async with running(tmp_path, Patient()) as run:
        await until(lambda: len(run.shown) == 1)
        await run.put()
        run.pass_(20)
        await until(lambda: len(run.shown) == 2)
    assert run.shown == [(Fill(0, None, 0), BEGAN_S), (Fill(1, BEGAN_S, 0), BEGAN_S + 20)]


@dataclass
class Flaky:
    """An outbox that is away at times: it answers only while `is_there`."""

    box: FileOutbox
    is_there: bool = True
    asked: int = 0

    def _check(self) -> None:
        self.asked += 1
        if not self.is_there:
            raise OutboxUnavailable("it is away")

    async def put(self, call_sid: str, body: bytes, now_s: float) -> bool:
        return await self.box.put(call_sid, body, now_s)

    async def claim(self, now_s: float, *, most: int, lease_s: float) -> Sequence[Letter]:
        self._check()
        return await self.box.claim(now_s, most=most, lease_s=lease_s)

    async def deliver(self, letter: Letter, now_s: float) -> None:
        self._check()
        await self.box.deliver(letter, now_s)

    async def put_off(self, letter: Letter, due_at_s: float) -> None:
        await self.box.put_off(letter, due_at_s)

    async def bury(self, letter: Letter, why: str, now_s: float) -> None:
        await self.box.bury(letter, why, now_s)

    async def fates(self, call_sids: Sequence[str]) -> Sequence[Fate]:
        return await self.box.fates(call_sids)

    async def fill(self) -> Fill:
        self._check()
        return await self.box.fill()

    async def dead(self) -> Sequence[DeadLetter]:
        return await self.box.dead()

    async def dead_body(self, call_sid: str) -> bytes | None:
        return await self.box.dead_body(call_sid)

    async def revive(self, call_sid: str, now_s: float) -> bool:
        return await self.box.revive(call_sid, now_s)


async def test_an_outbox_that_is_away_is_asked_again_and_told_later_what_was_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    box = FileOutbox(tmp_path)
    await box.prepare()
    flaky, receiver = Flaky(box, is_there=False), Patient()
    async with running(tmp_path, receiver, flaky) as run:
        await run.put()
        await until(lambda: flaky.asked == 1)
        flaky.is_there = True
        run.deliveries.look()
        await until(lambda: len(receiver.letters) == 1)
        flaky.is_there = False
        asked = flaky.asked
        receiver.open.set()
        await until(lambda: flaky.asked > asked + 3)
        assert (await box.fill()).waiting == 1
        flaky.is_there = True
        await until(lambda: not any(tmp_path.glob("*.json")))
    assert (len(receiver.letters), run.counted) == (1, [Outcome.DELIVERED])


async def test_an_outbox_that_stays_away_is_left_to_find_the_lease_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LEASE_MARGIN_S", -0.99)
    box = FileOutbox(tmp_path)
    await box.prepare()
    flaky, receiver = Flaky(box), Patient()
    async with running(tmp_path, receiver, flaky) as run:
        await run.put()
        await until(lambda: len(receiver.letters) == 1)
        flaky.is_there = False
        receiver.open.set()
        await until(lambda: "tried again" in caplog.text)
        flaky.is_there = True
        run.pass_(60)
        await until(lambda: len(receiver.letters) == 2)
