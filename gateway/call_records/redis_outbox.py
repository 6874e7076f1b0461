"""The outbox of many workers, in Redis.

All of it has one hash tag, so in a cluster it lies on one node, where one script may touch all of it: putting a
letter and making it due is one step, and so is claiming. A lease is a due time: whoever claims a letter makes it
due again when the lease ends, and a worker that dies need not say so. Every key expires.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway.call_records.outbox import (
    DEAD_KEPT_S,
    DONE_KEPT_S,
    MOST_DEAD,
    MOST_LETTERS,
    DeadLetter,
    Fate,
    Fill,
    Letter,
    OutboxUnavailable,
)
from gateway.call_records.outbox_scripts import BURY, CLAIM, DELIVER, PUT, PUT_OFF, REVIVE
from gateway.redis.link import RedisLink, RedisUnavailable
from gateway.redis.script import Command, Script, Word

KEPT_S: Final = DEAD_KEPT_S + 86_400
"""Of all keys; whatever is put or tried begins it anew, and what is tried, is tried within an hour."""

MOST_CLAIMED: Final = 16
"""At once: their bodies come in one answer, which must fit into an operation's time."""


class RedisOutbox:
    """See the module's docstring."""

    def __init__(self, link: RedisLink, prefix: str, *, most_letters: int = MOST_LETTERS) -> None:
        base = f"{prefix}:{{outbox}}"
        self._link = link
        self._most_letters = most_letters
        self.due = f"{base}:due"
        """Sorted set: CallSids by the time they are due."""
        self.letters = f"{base}:letters"
        """Hash: of each CallSid `body`, `tries`, `put` (Unix seconds) and, of dead ones, `why`; as `CA…:body`."""
        self.put_times = f"{base}:put"
        """Sorted set: CallSids that wait or are under way, by the time they were put."""
        self.buried = f"{base}:dead"
        """Sorted set: CallSids that are not tried any more, by the time of that."""
        self.done = f"{base}:done"
        """Sorted set: CallSids delivered lately, by the time of that."""
        self._keys = (self.due, self.letters, self.put_times, self.buried, self.done)

    async def put(self, call_sid: str, body: bytes, now_s: float) -> bool:
        args: list[Word] = [call_sid, body, now_s, self._most_letters, now_s - DONE_KEPT_S, now_s - DEAD_KEPT_S]
        answer = await self._run(PUT, args)
        if answer == b"full":
            raise OutboxUnavailable(f"the outbox is full: {self._most_letters} records wait to be taken")
        return bool(answer == b"put")

    async def claim(self, now_s: float, *, most: int, lease_s: float) -> Sequence[Letter]:
        claimed = await self._run(CLAIM, [now_s, min(most, MOST_CLAIMED), now_s + lease_s])
        return [Letter(sid.decode(), body, float(put_at_s), int(tries)) for sid, body, put_at_s, tries in claimed]

    async def deliver(self, letter: Letter, now_s: float) -> None:
        await self._run(DELIVER, [letter.call_sid, now_s])

    async def put_off(self, letter: Letter, due_at_s: float) -> None:
        await self._run(PUT_OFF, [letter.call_sid, letter.tries, due_at_s])

    async def bury(self, letter: Letter, why: str, now_s: float) -> None:
        await self._run(BURY, [letter.call_sid, letter.tries, why, now_s, MOST_DEAD])

    async def fates(self, call_sids: Sequence[str]) -> Sequence[Fate]:
        if not call_sids:
            return []
        keys = (self.due, self.done, self.buried)
        due, done, buried = await self._batch(*(Command("ZMSCORE", (key, *call_sids)) for key in keys))
        return [
            Fate.WAITING if waits is not None else Fate.OVER if (gone, dead) != (None, None) else Fate.UNKNOWN
            for waits, gone, dead in zip(due, done, buried, strict=True)
        ]

    async def fill(self) -> Fill:
        waiting, oldest, dead = await self._batch(
            Command("ZCARD", (self.due,)),
            Command("ZRANGE", (self.put_times, 0, 0, "WITHSCORES")),
            Command("ZCARD", (self.buried,)),
        )
        return Fill(int(waiting), _first_score(oldest), int(dead))

    async def dead(self) -> Sequence[DeadLetter]:
        (told,) = await self._batch(
            Command("ZRANGE", (self.buried, 0, MOST_DEAD - 1, "REV", "WITHSCORES")),
        )
        times = [(sid.decode(), float(died_at_s)) for sid, died_at_s in _pairs(told)]
        if not times:
            return []
        fields = [name for sid, _ in times for name in (f"{sid}:tries", f"{sid}:why")]
        (values,) = await self._batch(Command("HMGET", (self.letters, *fields)))
        return [
            DeadLetter(sid, died_at_s, int(tries or 0), (why or b"").decode())
            for (sid, died_at_s), tries, why in zip(times, values[::2], values[1::2], strict=True)
        ]

    async def dead_body(self, call_sid: str) -> bytes | None:
        is_dead, body = await self._batch(
            Command("ZSCORE", (self.buried, call_sid)), Command("HGET", (self.letters, f"{call_sid}:body"))
        )
        return bytes(body) if is_dead is not None and body is not None else None

    async def revive(self, call_sid: str, now_s: float) -> bool:
        return bool(await self._run(REVIVE, [call_sid, now_s]) == b"revived")

    async def _run(self, script: Script, args: Sequence[Word]) -> Any:
        try:
            return await self._link.script(script, self._keys, [int(KEPT_S), *args])
        except RedisUnavailable as error:
            raise OutboxUnavailable(str(error)) from error

    async def _batch(self, *commands: Command) -> list[Any]:
        try:
            answers = await self._link.batch(commands, op="outbox")
        except RedisUnavailable as error:
            raise OutboxUnavailable(str(error)) from error
        for answer in answers:
            if isinstance(answer, Exception):
                raise OutboxUnavailable(str(answer)) from answer
        return answers


def _pairs(told: Sequence[Any]) -> list[tuple[bytes, Any]]:
    """Members with their scores: redis-py gives pairs where it knows the command, and a flat list where not."""
    if told and not isinstance(told[0], tuple | list):
        return list(zip(told[::2], told[1::2], strict=True))
    return [(member, score) for member, score in told]


def _first_score(told: Sequence[Any]) -> float | None:
    pairs = _pairs(told)
    return float(pairs[0][1]) if pairs else None
