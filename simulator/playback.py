"""The playback buffer of one telephone: what was sent, and what of it was truly heard.

Time is handed in, in seconds on any steady clock and never going back. Inside, it is counted in samples since the
stream began; a G.711 sample is one byte, so bytes, samples and eighths of a millisecond are the same number.
Knows no socket, no message and no codec: the bytes are G.711 of either law.

The rules, from https://www.twilio.com/docs/voice/media-streams/websocket-messages#send-websocket-messages-to-twilio:
media are "buffered and played in the order received"; a mark comes back "when the audio before it has played, or
at once if the buffer is empty"; `clear` "empties the buffer and causes any received mark messages to be sent back".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass

BYTES_PER_S = 8_000
BYTES_PER_MS = BYTES_PER_S // 1000
RESUMED_WITHIN_MS = 1_000
"""A buffer that ran dry and filled again within this time was meant to sound continuous: an underrun.
Longer, and somebody simply had nothing to say."""
_ROUNDING_BYTES = 1e-3
"""Floating-point seconds may lie this far below the sample they mean."""


@dataclass(frozen=True, slots=True)
class Span:
    """Sound that plays without a break."""

    start: int
    """First sample, counted from the stream's beginning."""
    audio: bytes

    @property
    def end(self) -> int:
        return self.start + len(self.audio)


@dataclass(frozen=True, slots=True)
class Underrun:
    """The buffer was dry in the middle of something: the listener heard a hole."""

    at_ms: float
    gap_ms: float


@dataclass(frozen=True, slots=True)
class Cleared:
    """What a `clear` did."""

    marks: tuple[str, ...]
    """Outstanding marks, oldest first; all come back now."""
    heard_bytes: int
    """Heard since the stream began."""
    utterance_heard_bytes: int
    """Heard since the first byte of the utterance now cut; 0 if its first byte was not reached."""
    discarded_bytes: int
    """Buffered and now never heard."""


class Playback:
    """One phone's buffer, and the record of what came out of it.

    The record holds every byte heard, so its memory grows by 8 kB per second of speech and not with silence.
    """

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self._spans: list[Span] = []
        self._starts: list[int] = []
        self._heard_before: list[int] = []  # bytes in all spans before the one of the same index
        self._marks: deque[tuple[str, int]] = deque()
        self._utterance_first = 0  # in bytes heard, where the current utterance begins
        self._is_cut = True  # the next media begins an utterance
        self._received_bytes = 0
        self._underruns: list[Underrun] = []

    @property
    def received_bytes(self) -> int:
        return self._received_bytes

    @property
    def underruns(self) -> tuple[Underrun, ...]:
        return tuple(self._underruns)

    @property
    def _end(self) -> int:
        return self._spans[-1].end if self._spans else 0

    def position(self, now_s: float) -> int:
        """The sample that sounds at `now_s`, counted from the stream's beginning."""
        return max(0, int((now_s - self._start_s) * BYTES_PER_S + _ROUNDING_BYTES))

    def receive(self, audio: bytes, now_s: float) -> None:
        """Media arrived: it plays after everything that is buffered, or from now on."""
        if not audio:
            return
        now, end = self.position(now_s), self._end
        start = max(now, end)
        gap_ms = (start - end) / BYTES_PER_MS
        if self._is_cut or gap_ms >= RESUMED_WITHIN_MS:
            self._utterance_first = self._total()
        elif gap_ms > 0:
            self._underruns.append(Underrun(at_ms=end / BYTES_PER_MS, gap_ms=gap_ms))
        self._is_cut = False
        self._received_bytes += len(audio)
        self._append(Span(start, audio))

    def mark(self, name: str, now_s: float) -> None:
        """A mark arrived. Collect it, even one that is due at once, with `marks_due`."""
        self._marks.append((name, max(self.position(now_s), self._end)))

    def marks_due(self, now_s: float) -> list[str]:
        """Marks whose sound has been played by now, oldest first; each is handed out once."""
        now, due = self.position(now_s), []
        while self._marks and self._marks[0][1] <= now:
            due.append(self._marks.popleft()[0])
        return due

    @property
    def next_mark_s(self) -> float | None:
        """When the oldest outstanding mark comes back, on the caller's clock."""
        return self._start_s + self._marks[0][1] / BYTES_PER_S if self._marks else None

    def clear(self, now_s: float) -> Cleared:
        """Forget all sound not yet heard, and give back every outstanding mark."""
        heard = self.heard_bytes(until_s=now_s)
        cleared = Cleared(
            marks=tuple(name for name, _ in self._marks),
            heard_bytes=heard,
            utterance_heard_bytes=max(0, heard - self._utterance_first),
            discarded_bytes=self._total() - heard,
        )
        self._marks.clear()
        self._cut_at(self.position(now_s))
        self._utterance_first = heard
        self._is_cut = True
        return cleared

    def buffered_bytes(self, now_s: float) -> int:
        """Received and not yet heard."""
        return self._total() - self.heard_bytes(until_s=now_s)

    def heard_bytes(self, *, since_s: float | None = None, until_s: float) -> int:
        """Bytes that came out of the loudspeaker between two instants; from the beginning without `since_s`."""
        before = 0 if since_s is None else self._bytes_before(self.position(since_s))
        return max(0, self._bytes_before(self.position(until_s)) - before)

    def heard_ms(self, since_s: float, until_s: float) -> float:
        """The same as a duration."""
        return self.heard_bytes(since_s=since_s, until_s=until_s) / BYTES_PER_MS

    def window(self, first: int, last: int, silence: bytes) -> bytes | None:
        """What sounded from sample `first` up to `last`, gaps filled; None if nothing did.

        `last` must not lie in the future, or a later `clear` makes the answer untrue.
        """
        pieces: list[bytes] = []
        at = first
        for index in range(max(0, bisect_right(self._starts, first) - 1), len(self._spans)):
            span = self._spans[index]
            if span.start >= last:
                break
            if span.end <= at:
                continue
            if span.start > at:
                pieces.append(silence * (span.start - at))
                at = span.start
            pieces.append(span.audio[at - span.start : last - span.start])
            at = min(span.end, last)
        if not pieces:
            return None
        pieces.append(silence * (last - at))
        return b"".join(pieces)

    def sound(self, until_s: float, silence: bytes) -> bytes:
        """Everything heard since the stream began, one byte per sample, `silence` where nothing played."""
        last = self.position(until_s)
        return self.window(0, last, silence) or silence * last

    def _append(self, span: Span) -> None:
        self._heard_before.append(self._total())
        self._spans.append(span)
        self._starts.append(span.start)

    def _total(self) -> int:
        """Bytes in all spans: heard, or still to be heard."""
        return self._heard_before[-1] + len(self._spans[-1].audio) if self._spans else 0

    def _bytes_before(self, position: int) -> int:
        index = bisect_left(self._starts, position) - 1
        if index < 0:
            return 0
        return self._heard_before[index] + min(len(self._spans[index].audio), position - self._starts[index])

    def _cut_at(self, position: int) -> None:
        while self._spans and self._spans[-1].end > position:
            last = self._spans.pop()
            self._starts.pop()
            self._heard_before.pop()
            if last.start < position:
                self._append(Span(last.start, last.audio[: position - last.start]))
