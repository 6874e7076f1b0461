"""The names of everything we keep in Redis, in one place, and how long each lives. Pure.

All that belongs to one call has its CallSid as hash tag, so in a cluster it lies on one node, where one script may
touch all of it (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/). Every key expires.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.calls.journal import JOURNAL_LIMIT_EVENTS
from gateway.redis.script import Command

LIVE_TTL_S: Final = 5 * 3600
"""Of a call that has not ended. Twilio ends every call after four hours; each write begins anew."""

ENDED_TTL_S: Final = 15 * 60
"""Of a call that has: a late or replayed webhook meets it and not a blank."""

ONCE_TTL_S: Final = 180
"""Of the mark that a token was used: longer than the token itself is good for."""

ANSWER_TTL_S: Final = 60
"""Of the answer to a webhook that Twilio may ask again; it gives up after 15 seconds."""

WITNESS_TTL_S: Final = 3600
"""Of the witness; it is written twice a second while a call streams."""

FEED_TTL_S: Final = 3600
"""Of the feed, after the last event of all."""

WORKER_TTL_S: Final = 5
"""Of a worker that has stopped telling that it is there."""


class Keys:
    """Of one deployment, which its prefix names."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.live = f"{prefix}:live"
        """Sorted set: CallSids of calls that have not ended, by the Unix time of their last sign of life."""
        self.ended = f"{prefix}:ended"
        """Sorted set: CallSids of calls that ended lately, by the Unix time of it."""
        self.workers = f"{prefix}:workers"
        """Sorted set: ids of workers, by the Unix time of their last heartbeat."""
        self.feed = f"{prefix}:feed"
        """Stream: what happened in all calls lately."""

    def told_alive(self, call_sids: Sequence[str], now_s: float) -> list[Command]:
        """What tells that these calls are alive."""
        scores = [value for call_sid in call_sids for value in (now_s, call_sid)]
        return [Command("ZADD", (self.live, *scores)), Command("EXPIRE", (self.live, LIVE_TTL_S))]

    def told_ended(self, call_sid: str, now_s: float) -> list[Command]:
        """What tells that this call is over, and forgets those that have been for long."""
        return [
            Command("ZREM", (self.live, call_sid)),
            Command("ZADD", (self.ended, now_s, call_sid)),
            Command("ZREMRANGEBYSCORE", (self.ended, "-inf", now_s - ENDED_TTL_S)),
            Command("EXPIRE", (self.ended, ENDED_TTL_S)),
            Command("EXPIRE", (self.journal(call_sid), ENDED_TTL_S)),
        ]

    def told(self, call_sid: str, event: bytes) -> list[Command]:
        """What writes an event into the journal of a call that streams elsewhere, or nowhere."""
        key = self.journal(call_sid)
        return [
            Command("XADD", (key, "MAXLEN", "~", JOURNAL_LIMIT_EVENTS, "*", "event", event)),
            # Only where there is no time yet: a word that comes after the call's end must not keep it.
            Command("EXPIRE", (key, LIVE_TTL_S, "NX")),
        ]

    def call(self, call_sid: str) -> str:
        """Hash: where the call stands, and what was said in it."""
        return f"{self._prefix}:{{{call_sid}}}:call"

    def journal(self, call_sid: str) -> str:
        """Stream: what happened in the call, capped."""
        return f"{self._prefix}:{{{call_sid}}}:journal"

    def once(self, call_sid: str, nonce: str) -> str:
        """String: who used the media token with this nonce."""
        return f"{self._prefix}:{{{call_sid}}}:once:{nonce}"

    def answer(self, call_sid: str, request: str) -> str:
        """String: what a webhook was answered, for when Twilio asks the same again."""
        return f"{self._prefix}:{{{call_sid}}}:answer:{request}"

    def worker(self, worker_id: str) -> str:
        """String: a worker's load, as JSON."""
        return f"{self._prefix}:worker:{worker_id}"

    def witness(self, worker_id: str) -> str:
        """String: that Redis still has what this worker has written. Gone, it has forgotten all."""
        return f"{self._prefix}:witness:{worker_id}"

    def orders(self, worker_id: str) -> str:
        """Channel: what others ask of this worker."""
        return f"{self._prefix}:orders:{worker_id}"
