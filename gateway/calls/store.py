"""Where the calls are: found by CallSid, entered once by a media token, forgotten in time.

`CallStore` is the seam; `MemoryStore` keeps one process's calls, `RedisStore` those of many. Times are Unix seconds
of a clock that does not jump, handed in. A store knows nothing of TwiML, sockets or metrics.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from gateway.calls.call import Call, CallState, EndReason
from gateway.calls.feed import Feed, LocalFeed, listener
from gateway.calls.journal import LAST_EVENT, Journal, JournalEvent, Reading
from gateway.errors import TokenRefused
from pipeline.snapshot import Snapshot

TOKEN_LIFE_S = 60.0
"""Twilio opens the stream a moment after it has the document; a minute covers a slow retry."""

TOKEN_MEMORY_S = 120.0
"""How long a dead token is remembered, so that the log can say `expired` or `used` rather than `unknown`."""

ENDED_LIFE_S = 15 * 60.0
"""How long an ended call is known, so that a late or replayed webhook meets it and not a blank."""

ENDED_LIMIT_CALLS = 10_000
"""However many calls end within `ENDED_LIFE_S`, no more are kept; the longest ended go first."""

ABANDONED_AFTER_S = 120.0
"""A call without a stream for this long is over: Twilio gives a webhook 15 s and goes on at once."""

CALL_LIFE_S = 24 * 3600.0 + ABANDONED_AFTER_S
"""Twilio ends a call after four hours, or after a day where an account has asked for it."""

SWEEP_EVERY_S = 5.0
"""The most often a sweep looks at every call."""


MOST_ANSWERS = 1_000
"""Answers to webhooks that are remembered, for when Twilio asks again."""


async def unrecorded(_call: Call) -> bool:
    """For a gateway that sends no records."""
    return True


class CallStore(Protocol):
    """The calls this gateway knows."""

    recorded: Callable[[Call], Awaitable[bool]]
    """Asked of every call that has ended, before it is let go of: whether its record is safe. Until it is, the call
    is asked about again."""

    @property
    def feed(self) -> Feed:
        """What happens in all of them."""
        ...

    @property
    def here(self) -> int:
        """Calls this worker has to do with: those that stream here, or all that live where there is no other."""
        ...

    async def open(self, call: Call) -> None:
        """Keeps a new call. Raises `KeyError` if it is known already."""
        ...

    async def find(self, call_sid: str) -> Call | None:
        """The call, live or ended not long ago. Raises `StoreUnavailable`."""
        ...

    async def arrival(self, call_sid: str) -> Call:
        """The call, waiting for it to be opened; the wait is bounded by the caller."""
        ...

    async def calls(self) -> list[Call]:
        """All calls it knows, live and ended, the oldest first."""
        ...

    async def live_count(self) -> int:
        """How many calls have not ended."""
        ...

    async def journal(self, call_sid: str) -> Reading | None:
        """What happened in the call, for as long as the call is known. Raises `StoreUnavailable`."""
        ...

    async def note(self, call_sid: str, event: JournalEvent) -> None:
        """Writes into the journal of a call that is known."""
        ...

    async def issue_token(self, call: Call, now_s: float) -> str:
        """Offers the call a new stream, and gives the token that opens it; every earlier token is void.

        Raises `Outpaced`.
        """
        ...

    async def claim(self, token: str, now_s: float) -> Call:
        """The call a token opens, exactly once; its `generation` is the one to begin the stream with.

        Raises `TokenRefused`: unknown, expired or used.
        """
        ...

    def attend(
        self, call: Call, snapshot: Callable[[], Snapshot | None], lost: Callable[[], None]
    ) -> AbstractAsyncContextManager[Attended]:
        """While inside, this worker streams the call. `snapshot`: what was said, as it stands. `lost` is called if
        it turns out that another worker has a newer stream of the call, or that the call is over."""
        ...

    async def keep(self, call: Call) -> None:
        """The call has taken a step: whoever else may have to know of it will. Raises `Outpaced`, unless it streams
        here."""
        ...

    async def end(self, call: Call, reason: EndReason, now_s: float) -> bool:
        """Ends the call: its token is void and its journal has its last event. True the first time only.

        Raises `Outpaced`.
        """
        ...

    async def sweep(self, now_s: float) -> list[Call]:
        """Forgets what is old; ends the calls that were abandoned, and gives those."""
        ...

    async def recall(self, call_sid: str, request: str) -> str | None:
        """What was answered to this request, should it be the second time that it is made."""
        ...

    async def remember(self, call_sid: str, request: str, answer: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Attended:
    """A call that streams here, as its stream sees it."""

    journal: Journal
    touch: Callable[[], None]
    """To be called when something was said that is worth keeping."""


@dataclass(slots=True)
class _Ticket:
    call_sid: str
    expires_at_s: float
    is_used: bool = False


class MemoryStore:
    """The calls of one process, in its memory."""

    def __init__(self, feed: Feed | None = None) -> None:
        self._feed = feed or LocalFeed("", time.time)
        self.recorded: Callable[[Call], Awaitable[bool]] = unrecorded
        self._calls: dict[str, Call] = {}
        self._journals: dict[str, Journal] = {}
        self._ended: dict[str, float] = {}
        self._tickets: dict[str, _Ticket] = {}
        self._answers: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._opened = asyncio.Event()
        self._swept_at_s = float("-inf")

    @property
    def feed(self) -> Feed:
        return self._feed

    @property
    def here(self) -> int:
        return len(self._calls) - len(self._ended)

    async def open(self, call: Call) -> None:
        if call.call_sid in self._calls:
            raise KeyError(f"{call.call_sid} is open already")
        self._calls[call.call_sid] = call
        self._journals[call.call_sid] = Journal(listener(self._feed, call.call_sid))
        opened, self._opened = self._opened, asyncio.Event()
        opened.set()

    async def find(self, call_sid: str) -> Call | None:
        return self._calls.get(call_sid)

    async def arrival(self, call_sid: str) -> Call:
        while (call := self._calls.get(call_sid)) is None:
            await self._opened.wait()
        return call

    async def calls(self) -> list[Call]:
        return list(self._calls.values())

    async def live_count(self) -> int:
        return self.here

    async def journal(self, call_sid: str) -> Journal | None:
        return self._journals.get(call_sid)

    async def note(self, call_sid: str, event: JournalEvent) -> None:
        journal = self._journals.get(call_sid)
        if journal is not None:
            journal.append(event)

    async def issue_token(self, call: Call, now_s: float) -> str:
        self._forget_tickets(now_s)
        earlier = call.token
        token = secrets.token_urlsafe(32)
        call.offer_stream(token, now_s)
        if earlier is not None:
            self._tickets.pop(earlier, None)
        self._tickets[token] = _Ticket(call.call_sid, now_s + TOKEN_LIFE_S)
        return token

    async def claim(self, token: str, now_s: float) -> Call:
        self._forget_tickets(now_s)
        ticket = self._tickets.get(token)
        if ticket is None:
            raise TokenRefused("unknown")
        if ticket.is_used:
            raise TokenRefused("used")
        call = self._calls.get(ticket.call_sid)
        if call is None or now_s >= ticket.expires_at_s or call.token != token:
            raise TokenRefused("expired")
        ticket.is_used = True
        call.token = None
        return call

    @asynccontextmanager
    async def attend(
        self, call: Call, snapshot: Callable[[], Snapshot | None], lost: Callable[[], None]
    ) -> AsyncGenerator[Attended]:
        yield Attended(self._journals.get(call.call_sid) or Journal(), lambda: None)

    async def keep(self, call: Call) -> None:
        """It is the one copy there is."""

    async def end(self, call: Call, reason: EndReason, now_s: float) -> bool:
        if not call.end(reason, now_s):
            return False
        call_sid = call.call_sid
        self._ended[call_sid] = now_s
        self._journals[call_sid].append(last_event(call, now_s))
        self._journals[call_sid].close()
        await self.recorded(call)
        self._forget_ended(now_s)
        return True

    async def sweep(self, now_s: float) -> list[Call]:
        if now_s - self._swept_at_s < SWEEP_EVERY_S:
            return []
        self._swept_at_s = now_s
        self._forget_tickets(now_s)
        self._forget_ended(now_s)
        abandoned = [call for call in self._calls.values() if _is_abandoned(call, now_s)]
        for call in abandoned:
            await self.end(call, EndReason.ABANDONED, now_s)
        return abandoned

    async def recall(self, call_sid: str, request: str) -> str | None:
        return self._answers.get((call_sid, request))

    async def remember(self, call_sid: str, request: str, answer: str) -> None:
        self._answers[call_sid, request] = answer
        if len(self._answers) > MOST_ANSWERS:
            self._answers.popitem(last=False)

    def _forget_ended(self, now_s: float) -> None:
        """Calls stand in the order they ended, so the first that may stay ends the search."""
        while self._ended:
            call_sid, ended_at_s = next(iter(self._ended.items()))
            if now_s - ended_at_s < ENDED_LIFE_S and len(self._ended) <= ENDED_LIMIT_CALLS:
                return
            del self._ended[call_sid], self._calls[call_sid], self._journals[call_sid]

    def _forget_tickets(self, now_s: float) -> None:
        """Tickets stand in the order they expire."""
        while self._tickets:
            token, ticket = next(iter(self._tickets.items()))
            if now_s - ticket.expires_at_s < TOKEN_MEMORY_S:
                return
            del self._tickets[token]


def last_event(call: Call, now_s: float) -> JournalEvent:
    """What a call's journal ends with."""
    assert call.end_reason is not None, "it has ended"
    seconds = round(call.seconds(now_s), 3)
    return {"event": LAST_EVENT, "at_s": round(now_s, 3), "reason": call.end_reason.value, "seconds": seconds}


def _is_abandoned(call: Call, now_s: float) -> bool:
    if not call.is_live:
        return False
    if call.state is CallState.STREAMING:
        return now_s - call.started_at_s >= CALL_LIFE_S
    return now_s - call.waiting_since_s >= ABANDONED_AFTER_S
