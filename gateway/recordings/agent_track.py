"""What a caller heard of the agent, placed on the stream's clock. Pure.

Sound is placed when it is known to have been played, and where: not by the time it was made or sent. A mark that
comes back at `t` says that the sound before it ended at `t`, less the time the mark travelled; the mark that
travelled least says most, so a piece waits for the marks of the second after its own. Pieces follow each other
without a gap, unless they were sent after the ones before had ended, or all marks agree that playback stood still.

What a `clear` threw away was never heard and is not placed. Where it cut is told by the marks it sends back, all of
them at once: they come between two frames of the caller's, which say when that was. Only where none comes back does
our own estimate count.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from gateway.recordings.stream_clock import StreamClock
from gateway.recordings.track import Track

SETTLE_S = 1.0
"""Marks heard for so long after a piece's own say where it was played: ten of them, as long as sound goes on."""

OVERDUE_S = 3.0
"""A piece whose mark is so late is placed by the clock alone: some carriers send no marks."""

STALL_MS = 100
"""Playback that stood still for less cannot be told from marks that were held back."""

MARKS_KEPT = 64
"""More than come within `SETTLE_S`, a piece of sound being 100 ms long."""

CUT_S = 1.0
"""The marks that a `clear` sends back are waited for so long: the journey there and back, and much jitter."""


@dataclass(slots=True)
class _Piece:
    """Sound that was sent, and not placed yet."""

    first: int
    """Of the samples of this stream that were played, as marks count them."""
    audio: bytes
    sent_s: float
    played_s: float | None = None
    """When it was known to be played."""

    @property
    def end(self) -> int:
        return self.first + len(self.audio)


@dataclass(frozen=True, slots=True)
class _Flush:
    """We have thrown away what was not played."""

    position: int
    """What was played by then, as we estimated it."""
    at_s: float


@dataclass(slots=True)
class _Run:
    """Sound that was sent between two flushes."""

    pieces: deque[_Piece] = field(default_factory=deque)
    """Those that were not placed yet."""
    marks: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=MARKS_KEPT))
    """Positions, and where the stream stood when it said that they were played."""
    end: int = 0
    """The position behind all that was sent."""
    flush: _Flush | None = None
    """How it ended; None while it goes on."""
    last_returned: tuple[int, int] | None = None
    """Of the marks that came back after the flush the last, as `marks`: because of the `clear`, or of the end."""

    @property
    def is_told(self) -> bool:
        """Nothing more will be heard of it."""
        return self.last_returned is not None and self.last_returned[0] >= self.end

    def latest(self, piece: _Piece) -> int | None:
        """Where the piece begins at the latest, by the quickest of the marks behind it."""
        starts = [stands - (position - piece.first) for position, stands in self.marks if position >= piece.end]
        return min(starts) if starts else None


class AgentTrack:
    """See the module's docstring. Times are seconds of our clock, positions samples."""

    def __init__(self, rate_hz: int, clock: StreamClock, track: Track) -> None:
        self._rate = rate_hz
        self._clock = clock
        self._track = track
        self._stall = STALL_MS * rate_hz // 1000
        self._runs: deque[_Run] = deque([_Run()])
        """The last one goes on; those before wait to be cut."""
        self._placed_until = 0
        """On the stream's clock: where the piece placed last ends."""
        self._trip: int | None = None
        """The shortest way there seen, as the stream's clock has it: from our sending until the sound began."""

    @property
    def waits_since(self) -> int | None:
        """The first sample of the stream that sound which was sent may still be placed at; None: none waits."""
        first = next((run.pieces[0] for run in self._runs if run.pieces), None)
        return None if first is None else self._earliest(first)

    def sent(self, audio: bytes, position: int, now_s: float) -> None:
        """Sound went to the phone; `position` is behind it."""
        run = self._runs[-1]
        run.pieces.append(_Piece(position - len(audio), audio, now_s))
        run.end = position

    def played(self, position: int, now_s: float, *, by_mark: bool) -> None:
        """Everything before `position` was played; `by_mark` if a mark has said so, and not our clock."""
        run = self._runs[-1]
        if by_mark:
            run.marks.append((position, self._clock.sent_at(now_s)))
        for piece in run.pieces:
            if piece.end > position:
                break
            if piece.played_s is None:
                piece.played_s = now_s

    def flushed(self, position: int, now_s: float) -> None:
        """What was behind `position`, or near it, is thrown away, and was never heard."""
        run = self._runs[-1]
        run.flush = _Flush(position, now_s)
        self._runs.append(_Run())
        self._settle(now_s, wait=True)

    def returned(self, position: int, now_s: float) -> None:
        """A mark came back that the last flush has overtaken."""
        if len(self._runs) > 1:
            self._runs[-2].last_returned = position, self._clock.sent_at(now_s)
            self._settle(now_s, wait=True)

    def settle(self, now_s: float) -> None:
        """Place what is certain by now."""
        self._settle(now_s, wait=True)

    def finish(self, now_s: float) -> None:
        """The stream is over: what was not played by now is not played any more."""
        self._settle(now_s, wait=False)
        run, stands = self._runs[-1], self._clock.at(now_s)
        while run.pieces:
            piece = run.pieces.popleft()
            start = self._place_of(run, piece)
            if start < stands:
                self._put(start, piece.audio[: stands - start])

    def _settle(self, now_s: float, *, wait: bool) -> None:
        while (flush := self._runs[0].flush) is not None:
            run = self._runs[0]
            is_whole = not run.pieces or run.pieces[-1].played_s is not None
            if wait and not is_whole and not run.is_told and now_s < flush.at_s + CUT_S:
                return
            self._runs.popleft()
            self._place_cut(run, flush)
        self._place_played(self._runs[0], now_s, wait=wait)

    def _place_cut(self, run: _Run, flush: _Flush) -> None:
        """What was heard of a run: up to where the stream stood when the `clear` was obeyed, if marks say so."""
        heard_until = run.last_returned[1] if run.last_returned else None
        for piece in run.pieces:
            start = self._place_of(run, piece)
            size = flush.position - piece.first if heard_until is None else heard_until - start
            if size <= 0:
                return
            self._put(start, piece.audio[:size])

    def _place_played(self, run: _Run, now_s: float, *, wait: bool) -> None:
        while run.pieces:
            piece = run.pieces[0]
            if piece.played_s is not None:
                if wait and now_s < piece.played_s + SETTLE_S:
                    return
            elif not wait or not self._is_overdue(piece, now_s):
                return
            run.pieces.popleft()
            self._put(self._place_of(run, piece), piece.audio)

    def _is_overdue(self, piece: _Piece, now_s: float) -> bool:
        end = self._earliest(piece) + len(piece.audio)
        return self._clock.at(now_s) - end >= OVERDUE_S * self._rate

    def _put(self, start: int, audio: bytes) -> None:
        self._track.put(start, audio)
        self._placed_until = start + len(audio)

    def _place_of(self, run: _Run, piece: _Piece) -> int:
        """Where on the stream's clock a piece begins, all before it being placed."""
        sent, latest = self._clock.at(piece.sent_s), run.latest(piece)
        arrives = sent + (self._trip or 0)
        if self._placed_until >= arrives:
            if latest is not None and latest - self._placed_until >= self._stall:
                return latest
            return self._placed_until
        if latest is None:
            return arrives
        if latest >= sent and (self._trip is None or latest - sent < self._trip):
            self._trip = latest - sent
        return max(self._placed_until, sent, latest)

    def _earliest(self, piece: _Piece) -> int:
        """Not before what was sent before it has ended, and not before it was sent."""
        return max(self._placed_until, self._clock.at(piece.sent_s))
