"""All who listen in on one stream, as one `Tap`: they come and go while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.media_stream.tap import Tap


class Taps:
    """A `Tap`. With nobody there, a frame costs it one empty loop."""

    __slots__ = ("_taps",)

    def __init__(self) -> None:
        self._taps: tuple[Tap, ...] = ()

    @contextmanager
    def attached(self, tap: Tap | None) -> Iterator[None]:
        """Told of all that passes while inside; None is nobody."""
        if tap is None:
            yield
            return
        self._taps = (*self._taps, tap)
        try:
            yield
        finally:
            self._taps = tuple(one for one in self._taps if one is not tap)

    def __len__(self) -> int:
        return len(self._taps)

    def hear(self, audio: bytes, timestamp_ms: int, now_s: float) -> None:
        for tap in self._taps:
            tap.hear(audio, timestamp_ms, now_s)

    def sent(self, audio: bytes, position: int, now_s: float) -> None:
        for tap in self._taps:
            tap.sent(audio, position, now_s)

    def played(self, position: int, now_s: float, *, by_mark: bool) -> None:
        for tap in self._taps:
            tap.played(position, now_s, by_mark=by_mark)

    def flushed(self, position: int, now_s: float) -> None:
        for tap in self._taps:
            tap.flushed(position, now_s)

    def returned(self, position: int, now_s: float) -> None:
        for tap in self._taps:
            tap.returned(position, now_s)
