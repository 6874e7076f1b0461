"""The journal of a call that streams on another worker, or on none just now: read from its stream in Redis.

Of a live call it is what that worker has written so far, a fraction of a second behind. Reads only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final

import msgspec

from gateway.calls.journal import LAST_EVENT, JournalEvent
from gateway.redis.link import RedisLink, RedisUnavailable

LOOK_EVERY_S: Final = 0.25
"""How often somebody who follows looks for more. A blocking read would take a connection for each of them."""

MOST_AT_ONCE: Final = 200


class RedisJournal:
    """See the module's docstring."""

    def __init__(self, link: RedisLink, key: str) -> None:
        self._link = link
        self._key = key

    async def read(self, since: int = 0) -> list[JournalEvent]:
        """The events after the first `since`, as far as they are kept. Raises `RedisUnavailable`."""
        events: list[JournalEvent | None] = []
        last = b"-"
        while True:
            more, last = await self._after(last)
            events += more
            if len(more) < MOST_AT_ONCE:
                return [event for event in events[since:] if event is not None]

    async def follow(self, since: int = 0) -> AsyncGenerator[JournalEvent, None]:
        """The events after the first `since`, as they come; ends when the call has ended."""
        last, seen = b"-", 0
        while True:
            try:
                events, last = await self._after(last)
            except RedisUnavailable:
                events = []  # whoever watches goes on watching
            for event in events:
                seen += 1
                if event is None:
                    continue
                if seen > since:
                    yield event
                if event.get("event") == LAST_EVENT:
                    return
            if len(events) < MOST_AT_ONCE:
                await asyncio.sleep(LOOK_EVERY_S)

    async def _after(self, last: bytes) -> tuple[list[JournalEvent | None], bytes]:
        """The next events, None for one that is none, and the place behind them."""
        begin = last if last == b"-" else b"(" + last
        entries: list[Any] = await self._link.run(
            "XRANGE", self._key, begin, "+", "COUNT", MOST_AT_ONCE, op="journal"
        )
        events = [decoded_event(fields) for _, fields in entries]
        return events, entries[-1][0] if entries else last


def encoded_event(event: JournalEvent) -> bytes:
    return _encode(event)


def decoded_event(fields: dict[bytes, bytes]) -> JournalEvent | None:
    """None for what is no event: another version may have written it."""
    try:
        event = _decode(fields[b"event"])
    except (KeyError, msgspec.MsgspecError):
        return None
    return event if "event" in event else None


_encode = msgspec.json.Encoder(enc_hook=str).encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
