"""Calls that several workers share through Redis.

A call that streams here is this worker's: its memory is the authority, and `SpareCopies` keeps what others would
need to go on with it. Every other call is read from Redis when it is asked for, and written with compare-and-set.
Redis may be away at any time: nothing here waits longer than an operation's limit, and whoever can do without the
answer is told `StoreUnavailable` and goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from gateway.calls.call import Call, CallState, EndReason
from gateway.calls.feed import listener
from gateway.calls.journal import Journal, JournalEvent, Reading
from gateway.calls.keys import ANSWER_TTL_S, ENDED_TTL_S, LIVE_TTL_S, ONCE_TTL_S, Keys
from gateway.calls.media_tokens import MediaTokens
from gateway.calls.record import UnreadableRecord, call_of, facts_of
from gateway.calls.redis_feed import RedisFeed
from gateway.calls.redis_journal import RedisJournal, encoded_event
from gateway.calls.scripts import CLAIM, PUT
from gateway.calls.spare_copies import Held, SpareCopies
from gateway.calls.store import ABANDONED_AFTER_S, SWEEP_EVERY_S, Attended, last_event, unrecorded
from gateway.calls.talk import Written, talk_of
from gateway.credentials.once import Once
from gateway.errors import Outpaced, StoreUnavailable, TokenRefused
from gateway.redis.link import RedisLink, RedisRefused, RedisUnavailable
from gateway.redis.script import Command, Word
from pipeline.snapshot import Snapshot

log = logging.getLogger(__name__)

MOST_SWEPT: Final = 100
"""Abandoned calls that one sweep ends; the next goes on."""

ARRIVAL_LOOK_S: Final = 0.25
"""How often somebody who waits for a call looks whether it has come in somewhere."""

MOST_LISTED: Final = 1_000
"""Calls that a list shows."""

LISTED: Final = ("facts", "state", "generation", "revision", "holder")
"""What is read of them: without their conversations, which nobody could fetch at once."""

OUTAGE_GRACE_S: Final = 20.0
"""After Redis was away, so long no call is taken for abandoned: each worker has to say first which ones live."""


class RedisStore:
    """The calls of a deployment, as one of its workers sees them. See the module's docstring."""

    def __init__(
        self, link: RedisLink, keys: Keys, tokens: MediaTokens, *, worker_id: str, now: Callable[[], float]
    ) -> None:
        """`now` is Unix seconds, as all times of calls."""
        self._link = link
        self._keys = keys
        self._tokens = tokens
        self._worker_id = worker_id
        self._now = now
        self._claimed = Once()
        self._swept_at_s = float("-inf")
        self.recorded: Callable[[Call], Awaitable[bool]] = unrecorded
        self.feed = RedisFeed(link, keys, worker_id)
        self.copies = SpareCopies(link, keys, worker_id=worker_id, now=now)

    @property
    def here(self) -> int:
        """Calls that stream on this worker."""
        return len(self.copies)

    async def open(self, call: Call) -> None:
        try:
            answer = await self._put(call, was_known=False)
        except StoreUnavailable:
            log.warning("call taken in while Redis is away", extra={"call_sid": call.call_sid})
            return
        if answer != b"kept":
            raise KeyError(f"{call.call_sid} is open already")

    async def find(self, call_sid: str) -> Call | None:
        held = self.copies.held(call_sid)
        if held is not None:
            return held.call
        try:
            fields = await self._read(call_sid)
        except StoreUnavailable:
            if (remembered := self.copies.remembered(call_sid)) is not None:
                return remembered
            raise
        return self._call(call_sid, fields) if fields else None

    async def arrival(self, call_sid: str) -> Call:
        while True:
            try:
                if (call := await self.find(call_sid)) is not None:
                    return call
            except StoreUnavailable:
                pass  # it may come back within the time the caller of this has
            await asyncio.sleep(ARRIVAL_LOOK_S)

    async def calls(self) -> list[Call]:
        here = {held.call.call_sid: held.call for held in self.copies}
        try:
            names = [Command("ZRANGE", (key, -MOST_LISTED, -1)) for key in (self._keys.live, self._keys.ended)]
            listed = await self._link.batch(names, op="list")
            sids = [name.decode() for named in listed if isinstance(named, list) for name in named]
            others = [sid for sid in dict.fromkeys(sids) if sid not in here]
            read = await self._link.batch(
                [Command("HMGET", (self._keys.call(sid), *LISTED)) for sid in others], op="list"
            )
        except RedisUnavailable:
            return list(here.values())
        found = [
            call
            for sid, values in zip(others, read, strict=True)
            if isinstance(values, list) and (call := self._listed(sid, values)) is not None
        ]
        return sorted((*here.values(), *found), key=lambda call: call.started_at_s)

    async def live_count(self) -> int:
        try:
            return int(await self._link.run("ZCARD", self._keys.live, op="count"))
        except RedisUnavailable:
            return len(self.copies)

    async def journal(self, call_sid: str) -> Reading | None:
        held = self.copies.held(call_sid)
        if held is None:
            try:
                if not await self._link.run("EXISTS", self._keys.call(call_sid), op="find"):
                    return None
            except RedisUnavailable as error:
                raise StoreUnavailable(str(error)) from error
        # Also of a call that streams here: what happened before, on another worker, is only there.
        return RedisJournal(self._link, self._keys.journal(call_sid))

    async def note(self, call_sid: str, event: JournalEvent) -> None:
        held = self.copies.held(call_sid)
        if held is not None:
            held.journal.append(event)
            self.copies.touch(call_sid)
            return
        self.feed.append(call_sid, event)
        try:
            await self._link.batch(self._keys.told(call_sid, encoded_event(event)), op="note")
        except RedisUnavailable:
            pass  # it is for those who watch, and nobody waits for it

    async def issue_token(self, call: Call, now_s: float) -> str:
        token = self._tokens.issue(call.call_sid, call.generation + 1)
        call.offer_stream(token, now_s)
        await self.keep(call)
        return token

    async def claim(self, token: str, now_s: float) -> Call:
        ticket = self._tokens.read(token)
        if not self._claimed.take(ticket.nonce, until_s=now_s + ONCE_TTL_S, now_s=now_s):
            raise TokenRefused("used")
        call_sid = ticket.call_sid
        keys = [self._keys.call(call_sid), self._keys.once(call_sid, ticket.nonce)]
        args: list[Word] = [ticket.generation, self._worker_id, ONCE_TTL_S * 1000]
        try:
            answer, *fields = await self._link.script(CLAIM, keys, args)
        except RedisUnavailable as error:
            answer, fields = b"missing", []
            if isinstance(error, RedisRefused):  # it is full, and can still be read
                with suppress(StoreUnavailable):
                    fields = [await self._read(call_sid)]
        if answer in (b"used", b"superseded", b"ended"):
            raise TokenRefused("used" if answer == b"used" else "expired")
        call = self._known(call_sid, self._call(call_sid, fields[0]) if fields and fields[0] else None)
        if call is None:
            # Nobody knows it, and the token is ours all the same; `start` will say who calls.
            call = Call.forgotten(call_sid, ticket.generation, now_s)
        if ticket.generation < call.generation or call.state in (CallState.ENDING, CallState.ENDED):
            raise TokenRefused("expired")
        while call.generation < ticket.generation:  # the offer was made elsewhere, or could not be written
            call.offer_stream("", now_s)
        call.token = None
        return call

    def _known(self, call_sid: str, read: Call | None) -> Call | None:
        """Of a call that streams here, memory knows best, though not how often others had to offer it a stream;
        of one that streamed here lately, it is good enough."""
        held = self.copies.held(call_sid)
        if held is None:
            return read or self.copies.remembered(call_sid)
        if read is not None:
            held.call.resumed_at_s = read.resumed_at_s
        return held.call

    @asynccontextmanager
    async def attend(
        self, call: Call, snapshot: Callable[[], Snapshot | None], lost: Callable[[], None]
    ) -> AsyncGenerator[Attended]:
        journal = Journal(listener(self.feed, call.call_sid))
        held = Held(call, snapshot, lost, journal, is_forgotten=call.revision == 0)
        if call.talk is not None:
            held.written = Written({item.id: item for item in call.talk.items})
        async with self.copies.holding(held) as touch:
            yield Attended(held.journal, touch)

    async def keep(self, call: Call) -> None:
        held = self.copies.held(call.call_sid)
        if held is not None and held.call is call:
            await self.copies.settle(call.call_sid)
            return
        try:
            answer = await self._put(call, was_known=call.revision > 0)
        except StoreUnavailable:
            return  # its token says enough to go on with it
        if answer == b"missing":
            call.revision = 0
            answer = await self._put(call, was_known=False)
        if answer != b"kept":
            raise Outpaced(call.call_sid)

    async def end(self, call: Call, reason: EndReason, now_s: float) -> bool:
        if not call.end(reason, now_s):
            return False
        event = last_event(call, now_s)
        held = self.copies.held(call.call_sid)
        if held is not None and held.call is call:
            generation = call.generation
            held.journal.append(event)
            held.journal.close()
            await self.copies.settle(call.call_sid)
            if call.generation != generation:
                raise Outpaced(call.call_sid)  # a newer stream was offered: it is not the copy here that must end
            if held.is_lost:
                return False  # another worker has ended it
        else:
            await self.keep(call)
            await self.note(call.call_sid, event)
        if not await self.recorded(call):
            return True  # it stays among those that live, so that a sweep asks again, here or elsewhere
        try:
            await self._link.batch(self._keys.told_ended(call.call_sid, now_s), op="end")
        except RedisUnavailable:
            pass  # the sweep finds that it has ended
        return True

    async def sweep(self, now_s: float) -> list[Call]:
        """Ends the calls that give no sign of life: their worker is gone, and Twilio has not asked again."""
        if now_s - self._swept_at_s < SWEEP_EVERY_S:
            return []
        self._swept_at_s = now_s
        try:
            silent = await self._link.run(
                "ZRANGE", self._keys.live, "-inf", now_s - ABANDONED_AFTER_S, "BYSCORE", "LIMIT", 0, MOST_SWEPT,
                op="sweep",
            )  # fmt: skip
            ended = [await self._abandon(name.decode(), now_s) for name in silent]
        except (RedisUnavailable, StoreUnavailable):
            self._swept_at_s = now_s + OUTAGE_GRACE_S
            return []
        return [call for call in ended if call is not None]

    async def recall(self, call_sid: str, request: str) -> str | None:
        try:
            answer = await self._link.run("GET", self._keys.answer(call_sid, _short(request)), op="recall")
        except RedisUnavailable:
            return None
        return None if answer is None else answer.decode()

    async def remember(self, call_sid: str, request: str, answer: str) -> None:
        key = self._keys.answer(call_sid, _short(request))
        try:
            await self._link.run("SET", key, answer, "EX", ANSWER_TTL_S, op="remember")
        except RedisUnavailable:
            pass  # asked again, it is worked out again

    async def _abandon(self, call_sid: str, now_s: float) -> Call | None:
        call = await self.find(call_sid)
        if call is not None and self.copies.held(call_sid) is not None:
            self.copies.touch(call_sid)  # it lives, and Redis was away when it last said so
            return None
        if call is not None and not call.is_live and not await self.recorded(call):
            return None  # who ended it was gone before its record was safe; the next sweep asks again
        if call is not None and await self._streams_elsewhere(call):
            return None
        try:
            if call is not None and await self.end(call, EndReason.ABANDONED, now_s):
                return call
        except Outpaced:
            return None  # it lives
        await self._link.run("ZREM", self._keys.live, call_sid, op="sweep")
        return None

    async def _streams_elsewhere(self, call: Call) -> bool:
        """On a worker that lives: whatever the clocks say, it will notice itself what it has lost."""
        if call.state is not CallState.STREAMING or call.holder in ("", self._worker_id):
            return False
        return bool(await self._link.run("EXISTS", self._keys.worker(call.holder), op="sweep"))

    def _listed(self, call_sid: str, values: list[bytes | None]) -> Call | None:
        pairs = zip(LISTED, values, strict=True)
        fields = {name.encode(): value for name, value in pairs if value is not None}
        return self._call(call_sid, fields) if fields else None

    async def _put(self, call: Call, *, was_known: bool) -> bytes:
        """Raises `StoreUnavailable`."""
        keys = [self._keys.call(call.call_sid), self._keys.journal(call.call_sid)]
        ttl_s = LIVE_TTL_S if call.is_live else ENDED_TTL_S
        revision: Word = call.revision if was_known else ""
        args = [revision, call.state.value, call.generation, facts_of(call), ttl_s * 1000]
        try:
            answer, *kept = await self._link.script(PUT, keys, args)
            if answer == b"kept":
                call.revision = int(kept[0])
                if call.is_live:
                    await self._link.batch(self._keys.told_alive([call.call_sid], self._now()), op="alive")
        except RedisUnavailable as error:
            raise StoreUnavailable(str(error)) from error
        return bytes(answer)

    async def _read(self, call_sid: str) -> Any:
        try:
            return await self._link.run("HGETALL", self._keys.call(call_sid), op="find")
        except RedisUnavailable as error:
            raise StoreUnavailable(str(error)) from error

    def _call(self, call_sid: str, fields: Any) -> Call | None:
        if not isinstance(fields, dict):
            fields = dict(zip(fields[::2], fields[1::2], strict=True))
        try:
            call = call_of(call_sid, fields)
        except UnreadableRecord as error:
            log.error("%s; it is begun anew", error)
            return None
        call.talk = talk_of(fields)
        return call


def _short(request: str) -> str:
    """A header may be long, and holds whatever somebody sent."""
    return hashlib.sha256(request.encode("utf-8", "surrogatepass")).hexdigest()[:32]
