"""The relay: what is wanted of a call reaches the worker that streams it, through Redis, and its answer comes back.

Every worker hears one channel, its own. An order is answered within a second or is not known to be done; whether
its letter comes once or twice, it is carried out once. An errand (somebody listens, or holds a side-band) goes
through the same channels under an id of its own, which costs no connection for each. Who asks was let in before,
where they asked; here it counts that the letter bears the deployment's seal.

Knows nothing of what orders mean. Redis being away is told as such, at once or within an operation's limit.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Final, Protocol

from gateway.calls.errand import ErrandEnd
from gateway.calls.keys import Keys
from gateway.calls.letters import FRESH_S, Alive, Answer, Ask, Letters, Message, Over, Piece
from gateway.calls.orders import (
    NO_ANSWER,
    NOT_STREAMING,
    OUT_OF_REACH,
    WORKER_GONE,
    AnyOrder,
    Done,
    Errand,
    Join,
    Listen,
    Outcome,
    Refused,
)
from gateway.calls.seals import Seals
from gateway.credentials.once import Once
from gateway.logs import about
from gateway.redis.link import RedisLink, RedisUnavailable

log = logging.getLogger(__name__)

ANSWER_LIMIT_S: Final = 1.0
"""For an order's whole way there and back. A healthy worker answers within a few milliseconds."""

AGAIN_S: Final = 0.1
"""After Redis failed, a letter is sent once more: its failure may have been a blink."""

MOST_AT_ONCE: Final = 200
"""Orders and errands that others may have here at a time."""

TOO_MANY: Final = Refused(
    status_code=429,
    code="too_many_orders",
    message=f"{MOST_AT_ONCE} orders and errands are under way on the call's worker, which is the most. Try again.",
    retry_after_s=1,
)

Attend = Callable[[ErrandEnd], Awaitable[None]]
"""Serves an errand to its end."""


class Here(Protocol):
    """What this worker can do for others."""

    async def carry_out(self, call_sid: str, order: AnyOrder) -> Outcome:
        """On a call that streams here."""
        ...

    def attend(self, call_sid: str, errand: Errand) -> Attend | Refused:
        """How to serve it, if it can be served here."""
        ...


class Relay:
    """See the module's docstring. `now` is Unix seconds of a clock that does not jump."""

    def __init__(
        self, link: RedisLink, keys: Keys, seals: Seals, *, worker_id: str, now: Callable[[], float]
    ) -> None:
        self._link = link
        self._keys = keys
        self._worker_id = worker_id
        self._now = now
        self._letters = Letters(seals, worker_id)
        self._here: Here | None = None
        self._asked: dict[str, asyncio.Future[Outcome]] = {}
        self._errands: dict[str, ErrandEnd] = {}
        self._seen = Once()
        self._tasks: asyncio.TaskGroup | None = None
        self._under_way = 0
        self.is_listening = False
        """Letters reach this worker."""

    def serve(self, here: Here) -> None:
        """From now on others may ask this worker."""
        self._here = here

    async def run(self) -> None:
        """Hear what others ask, until cancelled."""
        channel = self._keys.orders(self._worker_id)
        async with asyncio.TaskGroup() as self._tasks:
            async with aclosing(self._link.subscribe(channel, told=self._told)) as letters:
                async for letter in letters:
                    message = self._letters.read(letter, self._now())
                    if message is None:
                        log.warning("a letter to this worker was refused: not sealed by us, not for it, or too old")
                    else:
                        self._take(message)

    async def order(self, worker_id: str, call_sid: str, order: AnyOrder) -> Outcome:
        """Have it carried out there."""
        return await self._ask(worker_id, Ask(_new_id(), self._worker_id, call_sid, order))

    @asynccontextmanager
    async def errand(
        self, worker_id: str, call_sid: str, errand: Errand
    ) -> AsyncGenerator[ErrandEnd | Refused, None]:
        """Our end of an errand there, for as long as one is inside; or why there is none."""
        id = _new_id()
        end = self._end(id, worker_id, errand, is_askers=True)
        self._errands[id] = end
        try:
            outcome = await self._ask(worker_id, Ask(id, self._worker_id, call_sid, errand))
            if isinstance(outcome, Refused):
                yield outcome
                return
            async with asyncio.TaskGroup() as tasks:
                carrying = tasks.create_task(end.run())
                try:
                    yield end
                finally:
                    end.end()
                    await asyncio.shield(asyncio.wait((carrying,), timeout=ANSWER_LIMIT_S))
                    carrying.cancel()
        finally:
            del self._errands[id]

    async def _ask(self, worker_id: str, ask: Ask) -> Outcome:
        if not self.is_listening:
            return OUT_OF_REACH  # no answer would reach us
        answered = self._asked[ask.id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                return await self._sent(worker_id, ask) or await answered
        except TimeoutError:
            return NO_ANSWER
        finally:
            del self._asked[ask.id]

    async def _sent(self, worker_id: str, ask: Ask) -> Refused | None:
        """None once somebody has got it."""
        try:
            receivers = await self._post(worker_id, ask)
        except RedisUnavailable:
            await asyncio.sleep(AGAIN_S)
            try:
                receivers = await self._post(worker_id, ask)
            except RedisUnavailable:
                return OUT_OF_REACH
        return None if receivers else WORKER_GONE

    async def _post(self, worker_id: str, message: Message) -> int:
        letter = self._letters.written(worker_id, message, self._now())
        return await self._link.publish(self._keys.orders(worker_id), letter)

    def _told(self, is_listening: bool) -> None:
        self.is_listening = is_listening

    def _take(self, message: Message) -> None:
        match message:
            case Ask():
                self._begin(message)
            case Answer(id=id, outcome=outcome):
                asked = self._asked.get(id)
                if asked is not None and not asked.done():
                    asked.set_result(outcome)
            case Piece() | Alive() | Over():
                if (end := self._errands.get(message.id)) is not None:
                    end.take(message)

    def _begin(self, ask: Ask) -> None:
        now_s = self._now()
        if not self._seen.take(ask.id, until_s=now_s + 2 * FRESH_S, now_s=now_s):
            return
        assert self._tasks is not None, "it runs"
        self._tasks.create_task(self._serve(ask))

    async def _serve(self, ask: Ask) -> None:
        """One order or errand of another worker, to its end."""
        self._under_way += 1
        try:
            with about(ask.call_sid):
                if self._under_way > MOST_AT_ONCE:
                    await self._answer(ask, TOO_MANY)
                elif isinstance(ask.wish, Listen | Join):
                    await self._attend(ask, ask.wish)
                elif self._here is None:
                    await self._answer(ask, NOT_STREAMING)
                else:
                    await self._answer(ask, await self._here.carry_out(ask.call_sid, ask.wish))
        except RedisUnavailable as error:
            log.warning("the answer to an order of another worker is lost: %s", error)
        except Exception:
            log.exception("an order of another worker failed by a fault of ours")
        finally:
            self._under_way -= 1

    async def _attend(self, ask: Ask, errand: Errand) -> None:
        attend = NOT_STREAMING if self._here is None else self._here.attend(ask.call_sid, errand)
        if isinstance(attend, Refused):
            await self._answer(ask, attend)
            return
        end = self._errands[ask.id] = self._end(ask.id, ask.reply_to, errand, is_askers=False)
        try:
            await self._answer(ask, Done("open"))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(end.run())
                await attend(end)
                end.end()
        finally:
            del self._errands[ask.id]

    async def _answer(self, ask: Ask, outcome: Outcome) -> None:
        await self._post(ask.reply_to, Answer(ask.id, outcome))

    def _end(self, id: str, worker_id: str, errand: Errand, *, is_askers: bool) -> ErrandEnd:
        post = partial(self._post, worker_id)
        is_lossy = isinstance(errand, Listen)
        return ErrandEnd(id, post, is_askers=is_askers, is_lossy=is_lossy, now=self._now)


def _new_id() -> str:
    return secrets.token_urlsafe(16)
