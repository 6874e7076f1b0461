"""The witness: a number in Redis that says up to which round trip it still has what a worker has written. Pure.

A Redis that was restarted or flushed has none. One that took over from another, as a replica does when its primary
dies, may lack the last moments, although they were confirmed: replication is asynchronous
(https://redis.io/docs/latest/operate/oss_and_stack/management/replication/). Commands are replicated in order, so
where a round trip's number has arrived, everything before it has.

In a cluster the number lies on one node, and tells of that one.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from gateway.calls.keys import WITNESS_TTL_S
from gateway.redis.script import Script, ScriptCall

WITNESS: Final = Script(
    "witness",
    """
-- KEYS: witness. ARGV: number, ttl_ms. Returns the number before, 0 for none. A smaller one comes late: it was
-- given up, and done all the same.
local before = tonumber(redis.call('GET', KEYS[1]) or 0)
if before < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return before
""",
)

MOST_MARKS: Final = 64
"""Of one call: more than half a minute's writing, which no replica lags behind."""


class Witness:
    """Of one worker. `first`: above any number of an earlier worker of the same name."""

    def __init__(self, key: str, first: int) -> None:
        self._key = key
        self._sent = first
        self._confirmed = 0

    @property
    def number(self) -> int:
        """Of the last round trip that was begun."""
        return self._sent

    def next(self) -> ScriptCall:
        """The end of a round trip: what stands before it in there was done before it."""
        self._sent += 1
        return ScriptCall(WITNESS, (self._key,), (self._sent, 1000 * WITNESS_TTL_S))

    def heard(self, before: int) -> int | None:
        """Redis has done it, and `before` was its number until then. The last round trip that it knows of, if it
        had confirmed later ones; 0: it knows of none. None: it has everything."""
        confirmed, self._confirmed = self._confirmed, self._sent
        return before if before < confirmed else None


class Marks:
    """How many events of a call were told by which round trip."""

    def __init__(self) -> None:
        self._marks: deque[tuple[int, int]] = deque(maxlen=MOST_MARKS)

    def note(self, number: int, told: int) -> None:
        self._marks.append((number, told))

    def told_by(self, number: int) -> int:
        """How many stand in a Redis that knows of that round trip and of none after it."""
        if not number:
            return 0
        known = [told for mark, told in self._marks if mark <= number]
        if known:
            return known[-1]
        # What was written before the oldest mark that is kept, was long before.
        return self._marks[0][1] if len(self._marks) == MOST_MARKS else 0
