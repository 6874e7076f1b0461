"""The spare copies in Redis of the calls that stream on this worker, kept up to date while they run.

Writing is nobody's errand but that of one task: it writes what has changed of all calls in one round trip, and
while that is under way further changes gather for the next. So nothing queues up, however slow Redis is, and a call
never waits for it, except where `settle` says so. If Redis has forgotten a call, all of it is written anew; if it
knows of a newer stream or of the call's end, the call is lost to this worker, and told so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from gateway.calls.call import Call, CallState, EndReason
from gateway.calls.journal import JOURNAL_LIMIT_EVENTS, Journal
from gateway.calls.keys import ENDED_TTL_S, LIVE_TTL_S, Keys
from gateway.calls.record import facts_of
from gateway.calls.redis_journal import encoded_event
from gateway.calls.scripts import SAVE
from gateway.calls.talk import Difference, Written, difference
from gateway.calls.witness import Marks, Witness
from gateway.redis.link import RedisLink, RedisUnavailable
from gateway.redis.script import ScriptCall, Word
from pipeline.snapshot import Snapshot

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5
"""How often it is looked how far the agent has been heard: that much at most is said twice after a crash."""

ALIVE_EVERY_S: Final = 20.0
"""How often it is told that the calls here are alive; a sixth of the time after which a silent one is given up."""

RETRY_S: Final = 0.2
"""After Redis failed."""

SETTLE_LIMIT_S: Final = 0.5
"""How long a step of a call waits to be written; it is taken all the same."""

END_LIMIT_S: Final = 5.0
"""How long the end that we mean for a call waits to be written: whoever answers the way back must know of it, and
after a farewell nobody minds the silence."""

KEPT_AFTER_S: Final = 30.0
"""How long what could not be written of a call is kept, after its stream has ended."""

MOST_BYTES_AT_ONCE: Final = 1024 * 1024
"""Of one round trip: an operation has 0.2 s, and a Redis far away a slow line."""

MOST_AT_ONCE: Final = 100
"""Calls in one round trip: some milliseconds of encoding, and less than an operation may take in Redis."""


@dataclass(slots=True, eq=False)
class Held:
    """A call that streams here."""

    call: Call
    snapshot: Callable[[], Snapshot | None]
    """What was said, as it stands; None before anything was."""
    lost: Callable[[], None]
    """Told once that the call goes on elsewhere, or is over."""
    stream: int = field(init=False)
    """The generation of its stream; the call's own is ahead of it once the next one is offered."""
    journal: Journal = field(default_factory=Journal)
    written: Written = field(default_factory=Written)
    facts: bytes = b""
    """What was written of them last."""
    told: int = 0
    """Events of the journal that were written."""
    is_forgotten: bool = False
    """Redis does not know the call: write all of it."""
    wanted: int = 0
    """Counts the changes that are to be written."""
    done: int = 0
    """Of these, those that were."""
    leaves_at_s: float | None = None
    """Its stream is over: until when it is kept for what is still to be written. None: it streams."""
    is_lost: bool = False
    """Another worker has a newer stream of the call, or was quicker to end it."""
    is_faulty: bool = False
    """Its copy could not be made, which was said."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    marks: Marks = field(default_factory=Marks)
    """How many events were told, and when."""

    def __post_init__(self) -> None:
        self.stream = self.call.generation

    @property
    def is_settled(self) -> bool:
        return self.done >= self.wanted

    def kept_until(self, number: int) -> None:
        """Redis has lost what was written after that round trip."""
        self.written, self.facts, self.told = Written(), b"", self.marks.told_by(number)
        self.is_forgotten = self.is_forgotten or not number


class SpareCopies:
    """See the module's docstring. `now` is Unix seconds."""

    def __init__(self, link: RedisLink, keys: Keys, *, worker_id: str, now: Callable[[], float]) -> None:
        self._link = link
        self._keys = keys
        self._worker_id = worker_id
        self._now = now
        self._held: dict[str, Held] = {}
        self._dirty: dict[str, Held] = {}
        self._wake = asyncio.Event()
        self._told_alive_at_s = float("-inf")
        self._witness = Witness(keys.witness(worker_id), first=round(now() * 1000))

    def __len__(self) -> int:
        """Calls that stream here."""
        return sum(held.leaves_at_s is None for held in self._held.values())

    def __iter__(self) -> Iterator[Held]:
        return iter(tuple(held for held in self._held.values() if held.leaves_at_s is None))

    def held(self, call_sid: str) -> Held | None:
        """A call that streams here."""
        held = self._held.get(call_sid)
        return held if held is not None and held.leaves_at_s is None else None

    def remembered(self, call_sid: str) -> Call | None:
        """A call whose stream here is over: as it was then, which is good enough while Redis is away."""
        held = self._held.get(call_sid)
        return None if held is None else held.call

    def touch(self, call_sid: str) -> None:
        """Something has changed that is to be written soon."""
        held = self._held.get(call_sid)
        if held is not None:
            held.wanted += 1
            self._dirty[call_sid] = held
            self._wake.set()

    async def settle(self, call_sid: str) -> bool:
        """Wait until all is written, if Redis is quick; whether it was."""
        held = self._held.get(call_sid)
        if held is None:
            return False
        self.touch(call_sid)
        wanted = held.wanted
        limit_s = END_LIMIT_S if held.call.state is CallState.ENDING else SETTLE_LIMIT_S
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while held.done < wanted:
                    held.changed.clear()
                    await held.changed.wait()
        return held.done >= wanted

    @asynccontextmanager
    async def holding(self, held: Held) -> AsyncGenerator[Callable[[], None]]:
        """While inside, the call is this worker's. Gives what is to be called when something has changed."""
        call_sid = held.call.call_sid
        before = self._held.get(call_sid)
        if before is not None:  # a stream of the call here before: what was not written of it yet, is not lost
            held.journal, held.told, held.written = before.journal, before.told, before.written
            held.marks = before.marks
            held.facts, held.is_forgotten = b"", before.is_forgotten
        self._held[call_sid] = held
        self.touch(call_sid)
        try:
            yield lambda: self.touch(call_sid)
        finally:
            held.leaves_at_s = self._now() + KEPT_AFTER_S
            self.touch(call_sid)

    async def run(self) -> None:
        """Write, until cancelled."""
        loop, look_at_s = asyncio.get_running_loop(), 0.0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._wake.wait()
            self._wake.clear()
            try:
                if loop.time() >= look_at_s:
                    look_at_s = loop.time() + LOOK_EVERY_S
                    self._look()
                    await self._look_for_loss()
                    await self._tell_alive()
                while self._dirty:
                    await self._write()
            except RedisUnavailable:
                look_at_s = 0.0  # before anything is written again: it may be another Redis by then
                await asyncio.sleep(RETRY_S)

    def _look(self) -> None:
        """A change may have no event: how far the agent was heard."""
        now_s = self._now()
        for call_sid, held in tuple(self._held.items()):
            if held.leaves_at_s is None:
                self._dirty[call_sid] = held
            elif held.is_settled or now_s >= held.leaves_at_s:
                if not held.is_settled:
                    log.warning("the end of a stream could not be written to Redis: %s", call_sid)
                del self._held[call_sid]
                self._dirty.pop(call_sid, None)

    async def _look_for_loss(self) -> None:
        """A call of which nothing changes writes nothing, and would not notice that Redis has forgotten it."""
        if not self._held:
            return
        (before,) = await self._link.batch([self._witness.next()], op="witness")
        if isinstance(before, Exception):
            raise before
        self._make_good(before)

    def _make_good(self, before: int) -> None:
        """What Redis has lost is written anew."""
        known = self._witness.heard(before)
        if known is None:
            return
        words = "its last moments" if known else "everything"
        log.warning("Redis has lost %s: %d calls are written anew", words, len(self._held))
        for call_sid, held in self._held.items():
            held.kept_until(known)
            self._dirty[call_sid] = held
        self._told_alive_at_s = float("-inf")

    async def _tell_alive(self) -> None:
        now_s = self._now()
        if now_s - self._told_alive_at_s < ALIVE_EVERY_S:
            return
        live = [held.call.call_sid for held in self if held.call.is_live]
        if live:
            await self._link.batch(self._keys.told_alive(live, now_s), op="alive")
        self._told_alive_at_s = now_s

    async def _write(self) -> None:
        """What has changed of some calls. Raises `RedisUnavailable` with everything still to be written."""
        writes: list[_Write] = []
        size_bytes = 0
        while self._dirty and len(writes) < MOST_AT_ONCE and size_bytes < MOST_BYTES_AT_ONCE:
            call_sid = next(iter(self._dirty))
            if (write := self._perhaps_write_of(self._dirty.pop(call_sid))) is not None:
                writes.append(write)
                size_bytes += write.size_bytes
        if not writes:
            return
        try:
            scripts = [*(write.script for write in writes), self._witness.next()]
            *answers, before = await self._link.batch(scripts, op="save")
        except RedisUnavailable:
            self._dirty.update((write.held.call.call_sid, write.held) for write in writes)
            raise
        failure = None
        for write, answer in zip(writes, answers, strict=True):
            if isinstance(answer, Exception):
                self._dirty[write.held.call.call_sid] = write.held
                failure = answer
            else:
                self._follow(write, bytes(answer))
        if isinstance(before, int):
            self._make_good(before)
        if failure is not None:
            raise RedisUnavailable(f"a call could not be saved: {failure}") from failure

    def _perhaps_write_of(self, held: Held) -> _Write | None:
        try:
            return self._write_of(held)
        except Exception:
            # One call's fault must not leave all the others without a copy.
            if not held.is_faulty:
                held.is_faulty = True
                log.exception("the spare copy of a call cannot be made: %s", held.call.call_sid)
            return None

    def _write_of(self, held: Held) -> _Write | None:
        """None if Redis has it all."""
        call = held.call
        snapshot = held.snapshot()
        before = Written() if held.is_forgotten else held.written
        change = Difference((), (), before) if snapshot is None else difference(snapshot, before)
        facts = facts_of(call) + call.state.value.encode()
        events = held.journal.recent(0 if held.is_forgotten else held.told)
        wanted = held.wanted
        if change.is_nothing and facts == held.facts and not events and not held.is_forgotten:
            self._settled(held, wanted)
            return None
        ttl_s = LIVE_TTL_S if call.is_live else ENDED_TTL_S
        args: list[Word] = [
            call.generation, self._worker_id, held.stream, int(held.is_forgotten), call.state.value, facts_of(call),
            ttl_s * 1000, JOURNAL_LIMIT_EVENTS, len(change.gone), *change.gone, len(change.set), *change.set,
            *(encoded_event(event) for event in events),
        ]  # fmt: skip
        keys = (self._keys.call(call.call_sid), self._keys.journal(call.call_sid))
        return _Write(held, ScriptCall(SAVE, keys, args), change.after, facts, held.journal.count, wanted)

    def _follow(self, write: _Write, answer: bytes) -> None:
        held = write.held
        match answer:
            case b"kept":
                held.written, held.facts, held.told = write.after, write.facts, write.told
                held.marks.note(self._witness.number, write.told)
                if held.is_forgotten:
                    held.is_forgotten = False
                    self._told_alive_at_s = float("-inf")  # Redis has forgotten that, too
                self._settled(held, write.wanted)
            case b"missing":
                held.is_forgotten = True
                self._dirty[held.call.call_sid] = held
            case _:
                self._lose(held, is_over=answer == b"ended")

    def _settled(self, held: Held, wanted: int) -> None:
        held.done = max(held.done, wanted)
        held.changed.set()

    def _lose(self, held: Held, *, is_over: bool) -> None:
        """Another worker has a newer stream of the call, or was told of its end."""
        log.info("a call is no longer this worker's: %s", "it has ended" if is_over else "a newer stream has begun")
        held.is_lost, call = True, held.call
        if is_over:
            call.end(EndReason.COMPLETED, self._now())
        else:
            call.supersede()
        if self._held.get(call.call_sid) is held:
            del self._held[call.call_sid]
        self._settled(held, held.wanted)
        held.lost()


@dataclass(frozen=True, slots=True)
class _Write:
    """One call's, on its way."""

    held: Held
    script: ScriptCall
    after: Written
    facts: bytes
    told: int
    wanted: int

    @property
    def size_bytes(self) -> int:
        return sum(len(word) for word in self.script.args if isinstance(word, bytes))
