"""Who listens in on a stream: the seam between what carries sound and what records it.

The reader and the phone tell what passes and know nothing of who hears it; with nobody there, it costs them one
comparison.
"""

from __future__ import annotations

from typing import Protocol


class Tap(Protocol):
    """Told what a stream carries. Must not block and must not raise; times are seconds of the pacer's clock."""

    def hear(self, audio: bytes, timestamp_ms: int, now_s: float) -> None:
        """A frame of the caller's came, with its time on the stream's clock."""
        ...

    def sent(self, audio: bytes, position: int, now_s: float) -> None:
        """Sound went to the phone; `position` is behind it, in samples to be played since the stream began."""
        ...

    def played(self, position: int, now_s: float, *, by_mark: bool) -> None:
        """What is before `position` was played, as a mark says (`by_mark`), or the clock, because none came."""
        ...

    def flushed(self, position: int, now_s: float) -> None:
        """What was behind `position`, by our estimate, is thrown away, and is not heard."""
        ...

    def returned(self, position: int, now_s: float) -> None:
        """A mark came back after a flush, for the sound sent before it that ended at `position`: it was played, or
        the `clear` has arrived."""
        ...
