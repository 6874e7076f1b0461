"""Idling: how long nobody has spoken since the last answer was heard. Pure; positions are samples of input.

Where the client plays for itself, the end of playback is reckoned: sound is played from when it was made, one piece
after the other (Realtime reference, section D.12).
"""

from __future__ import annotations


class Idle:
    """The wait for a caller who says nothing. Not armed before the first answer."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._since: int | None = None
        self._played_until = 0

    def follow(self, rate_hz: int) -> None:
        """Positions are counted at another rate from now on."""
        if self._since is not None:
            self._since = self._since * rate_hz // self._rate_hz
        self._played_until = self._played_until * rate_hz // self._rate_hz
        self._rate_hz = rate_hz

    @property
    def is_armed(self) -> bool:
        return self._since is not None

    def sound(self, now: int, seconds: float) -> None:
        """So much of an answer's sound was made."""
        self._played_until = max(self._played_until, now) + int(seconds * self._rate_hz)

    def is_playing(self, now: int) -> bool:
        """Whether sound that was made is still being heard, as far as that can be reckoned."""
        return now < self._played_until

    def arm(self, now: int) -> None:
        """The answer is over; its sound may still be playing."""
        self._since = max(now, self._played_until)

    def restart(self, now: int) -> None:
        """Somebody speaks: what was being played no longer counts, and the wait begins anew."""
        self._played_until = 0
        if self._since is not None:
            self._since = now

    def is_over(self, now: int, timeout_ms: int) -> bool:
        return self._since is not None and now - self._since >= timeout_ms * self._rate_hz // 1000

    def take(self) -> int:
        """Where the wait began; it is over."""
        since, self._since = self._since or 0, None
        return since
