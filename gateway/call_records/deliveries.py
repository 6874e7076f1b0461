"""Deliveries: takes what is due out of the outbox and gives it to the operator, again and again until it is taken.

One in each worker; which of them delivers a record is decided by who claims it. A worker that dies over a delivery
leaves a lease that runs out. So a record arrives at least once, and twice where an answer was lost: `webhook-id`
tells. The end of the process waits for nothing: what is under way is tried again by others, or after a restart.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol

from gateway.call_records.outbox import Fill, Letter, Outbox, OutboxUnavailable
from gateway.call_records.receiver import Answer, Reply
from gateway.call_records.schedule import Schedule
from gateway.logs import about

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0
"""For letters that became due, or were put by others. Our own are told."""

SHOW_EVERY_S: Final = 10.0
"""How often it is counted how full the outbox is."""

MOST_AT_ONCE: Final = 8
"""Tries under way at a time of one worker, so that a slow receiver is not flooded."""

LEASE_MARGIN_S: Final = 10.0
"""Beyond the limit of a try: for Redis to be told what came of it."""

RETRY_S: Final = 0.5
"""After the outbox could not be reached."""


class Outcome(enum.Enum):
    """Of one try, or of a record; few enough to be a metric's label."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """It is tried again."""
    REFUSED = "refused"
    """The receiver will never take it."""
    GIVEN_UP = "given_up"
    """It was tried for too long."""
    LOST = "lost"
    """There was no outbox for too long, and too many records waited for it in memory."""


class Post(Protocol):
    async def post(self, letter: Letter) -> Answer: ...


class Deliveries:
    """See the module's docstring."""

    def __init__(
        self,
        outbox: Outbox,
        receiver: Post,
        schedule: Schedule,
        *,
        limit_s: float,
        now: Callable[[], float],
        draw: Callable[[], float],
        count: Callable[[Outcome], None],
        show: Callable[[Fill, float], None],
    ) -> None:
        """`limit_s`: what `receiver` keeps to. `now`: Unix seconds that do not jump. `draw`: a number from 0 to 1.
        `show` is told how full the outbox is, and the time."""
        self._outbox = outbox
        self._receiver = receiver
        self._schedule = schedule
        self._lease_s = limit_s + LEASE_MARGIN_S
        self._now = now
        self._draw = draw
        self._count = count
        self._show = show
        self._wake = asyncio.Event()
        self._under_way = 0
        self._shown_at_s = float("-inf")

    def look(self) -> None:
        """Something was put."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tries:
            while True:
                self._wake.clear()
                try:
                    for letter in await self._claimed():
                        self._under_way += 1
                        tries.create_task(self._try(letter))
                    await self._show_fill()
                except OutboxUnavailable as error:
                    log.debug("no records are delivered: %s", error)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._wake.wait()

    async def _claimed(self) -> list[Letter]:
        room = MOST_AT_ONCE - self._under_way
        if not room:
            return []  # whoever is done, wakes
        return list(await self._outbox.claim(self._now(), most=room, lease_s=self._lease_s))

    async def _show_fill(self) -> None:
        now_s = self._now()
        if now_s - self._shown_at_s >= SHOW_EVERY_S:
            self._show(await self._outbox.fill(), now_s)
            self._shown_at_s = now_s

    async def _try(self, letter: Letter) -> None:
        with about(letter.call_sid):
            try:
                answer = await self._receiver.post(letter)
                await self._follow(letter, answer)
            except Exception:
                log.exception("a record could not be delivered by a fault of ours; it is tried again")
            finally:
                self._under_way -= 1
                self._wake.set()

    async def _follow(self, letter: Letter, answer: Answer) -> None:
        """What becomes of a letter now that it was tried."""
        now_s = self._now()
        if answer.reply is Reply.TAKEN:
            self._count(Outcome.DELIVERED)
            log.info("> the call's record was delivered", extra={"tries": letter.tries})
            await self._told(lambda: self._outbox.deliver(letter, now_s))
            return
        next_s = None
        if answer.reply is Reply.NOT_NOW:
            next_s = self._schedule.next_try_s(
                tries=letter.tries,
                put_at_s=letter.put_at_s,
                now_s=now_s,
                wait_s=answer.wait_s,
                spread=self._draw(),
            )
        if next_s is not None:
            self._count(Outcome.FAILED)
            extra = {"tries": letter.tries, "again_in_s": round(next_s - now_s, 1)}
            log.warning("> the call's record was not delivered: %s", answer.why, extra=extra)
            due_at_s = next_s
            await self._told(lambda: self._outbox.put_off(letter, due_at_s))
        else:
            self._count(Outcome.REFUSED if answer.reply is Reply.NEVER else Outcome.GIVEN_UP)
            log.error("> the call's record is not tried any more: %s", answer.why, extra={"tries": letter.tries})
            await self._told(lambda: self._outbox.bury(letter, answer.why, now_s))

    async def _told(self, tell: Callable[[], Awaitable[None]]) -> None:
        """The outbox must know; while it cannot, the lease lasts, and after that others would find it unchanged."""
        try:
            async with asyncio.timeout(self._lease_s):
                while True:
                    try:
                        return await tell()
                    except OutboxUnavailable:
                        await asyncio.sleep(RETRY_S)
        except TimeoutError:
            log.warning("the outbox does not know what came of a record: it is tried again")
