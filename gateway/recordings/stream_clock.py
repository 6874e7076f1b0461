"""The clock of one media stream as it is seen from here. Pure; our times in seconds, the stream's in samples.

A frame that ends at sample `e` of the stream and arrives at `t` says that the stream's clock stands at `e`, less
the time the frame travelled. The frame that travelled least says most, so the clock is the best of the last
seconds: old ones are forgotten, because the two clocks do not run equally fast. What it tells is the stream as it
is seen here, one shortest journey late; a mark that comes back is seen the same journey late, so the two agree.

Messages of one socket come in the order they were sent. So what comes between two frames was sent between them,
which says when it was sent to 20 ms however long the network held it back.
"""

from __future__ import annotations

WINDOW_S = 5.0
"""The best of the last one to two windows counts. Clocks that differ by 100 millionths part by 1 ms in it."""


FRAME_MS = 20
"""The next frame would have come before what was sent later than this after the one before."""

MUTED_MS = 1_000
"""A stream without frames for longer sends none; then its frames tell nothing of what comes."""


class StreamClock:
    """Where a stream stands. `began_s`: when it began, which is believed until its first frame is seen."""

    def __init__(self, rate_hz: int, began_s: float) -> None:
        self._rate = rate_hz
        self._began_s = began_s
        self._best: float | None = None
        self._before: float | None = None
        """Of the window before."""
        self._window_ends_s = 0.0
        self._last_end = 0
        self._frame = rate_hz * FRAME_MS // 1000
        self._muted = rate_hz * MUTED_MS // 1000

    def see(self, end: int, now_s: float) -> None:
        """Sound up to sample `end` of the stream is here."""
        self._last_end = end
        ahead = end - self._rate * now_s
        if self._best is None or now_s >= self._window_ends_s:
            self._before, self._best = self._best, ahead
            self._window_ends_s = now_s + WINDOW_S
        elif ahead > self._best:
            self._best = ahead

    def at(self, now_s: float) -> int:
        """The sample at which the stream is seen to stand."""
        if self._best is None:
            return max(0, round(self._rate * (now_s - self._began_s)))
        best = self._best if self._before is None else max(self._best, self._before)
        return max(0, round(best + self._rate * now_s))

    def sent_at(self, now_s: float) -> int:
        """The sample at which the stream stood when what comes now was sent."""
        stands = self.at(now_s)
        if stands - self._last_end > self._muted:
            return stands
        return max(self._last_end, min(stands, self._last_end + self._frame))
