"""How fast a client may go: events of one connection a second, responses of one API key a minute.

Token buckets, pure: time is a parameter, in seconds of a monotonic clock. What is done about somebody who is too
fast, others decide: events wait, a `response.create` is refused.
"""

from __future__ import annotations

import math

from pipeline.events.response import RateLimit

BURST_S = 2
"""Events may come in bursts of as much as is allowed in so many seconds: a client sends what it recorded while it
connected all at once."""

MINUTE_S = 60.0
MOST_OWNERS = 1_000
"""Allowances kept before those are forgotten that are whole again, and so tell nothing."""


class EventRate:
    """The events of one connection. `per_s` 0 is no limit."""

    def __init__(self, per_s: int, now_s: float) -> None:
        self._per_s = per_s
        self._most = float(per_s * BURST_S)
        self._left = self._most
        self._counted_s = now_s

    def take(self, now_s: float) -> bool:
        """Count one event; False, and nothing is counted, if it is one too many at this moment."""
        if not self._per_s:
            return True
        self._left = min(self._most, self._left + (now_s - self._counted_s) * self._per_s)
        self._counted_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def wait_s(self) -> float:
        """After `take` said no: when to ask again."""
        return (1.0 - self._left) / self._per_s if self._per_s else 0.0


class ResponseAllowance:
    """The responses of all sessions of one API key, `per_min` a minute and as many at once."""

    def __init__(self, per_min: int, now_s: float) -> None:
        self._per_min = per_min
        self._left = float(per_min)
        self._counted_s = now_s

    def has(self, now_s: float) -> bool:
        """Whether one more may be asked for."""
        return self._refilled(now_s) >= 1.0

    def count(self, now_s: float) -> None:
        """A response was made. Turn detection makes them without asking, so there may be none left to count."""
        self._left = max(0.0, self._refilled(now_s) - 1.0)

    def is_whole(self, now_s: float) -> bool:
        """As good as new."""
        return self._refilled(now_s) >= self._per_min

    def shown(self, now_s: float) -> RateLimit:
        """As `rate_limits.updated` tells it; `reset_seconds` until all are there again."""
        left = self._refilled(now_s)
        reset_s = (self._per_min - left) * MINUTE_S / self._per_min
        return RateLimit(
            name="requests", limit=self._per_min, remaining=math.floor(left), reset_seconds=round(reset_s, 3)
        )

    def _refilled(self, now_s: float) -> float:
        gained = (now_s - self._counted_s) * self._per_min / MINUTE_S
        self._left = min(float(self._per_min), self._left + gained)
        self._counted_s = now_s
        return self._left


class Allowances:
    """The allowance of each owner of sessions. `per_min` 0 is no limit, and then there are none."""

    def __init__(self, per_min: int) -> None:
        self._per_min = per_min
        self._by_owner: dict[str, ResponseAllowance] = {}

    def __len__(self) -> int:
        return len(self._by_owner)

    def of(self, owner: str, now_s: float) -> ResponseAllowance | None:
        if not self._per_min:
            return None
        if owner not in self._by_owner:
            if len(self._by_owner) >= MOST_OWNERS:
                self._forget(now_s)
            self._by_owner[owner] = ResponseAllowance(self._per_min, now_s)
        return self._by_owner[owner]

    def _forget(self, now_s: float) -> None:
        self._by_owner = {owner: one for owner, one in self._by_owner.items() if not one.is_whole(now_s)}
