"""What a caller heard of the agent, placed on the stream's clock. Pure.

Sound is placed when it is known to have been played, and where: not by the time it was made or sent. A mark that
comes back at `t` says that the sound before it ended at `t`, less the time the mark travelled; the mark that
travelled least says most, so a piece waits for the marks of the second after its own. Pieces follow each other
without a gap, unless they were sent after the ones before had ended, or all marks agree that playback stood still.
What a `clear` threw away was never heard and is not placed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

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


class AgentTrack:
    """See the module's docstring. Times are seconds of our clock, positions samples."""

    def __init__(self, rate_hz: int, clock: StreamClock, track: Track) -> None:
        self._rate = rate_hz
        self._clock = clock
        self._track = track
        self._stall = STALL_MS * rate_hz // 1000
        self._pieces: deque[_Piece] = deque()
        self._marks: deque[tuple[int, int]] = deque(maxlen=MARKS_KEPT)
        """Positions, and where the stream stood when it said that they were played."""
        self._placed_until = 0
        """On the stream's clock: where the piece placed last ends."""
        self._trip: int | None = None
        """The shortest way there seen, as the stream's clock has it: from our sending until the sound began."""

    @property
    def waits_since(self) -> int | None:
        """The first sample of the stream that sound which was sent may still be placed at; None: none waits."""
        return self._earliest(self._pieces[0]) if self._pieces else None

    def sent(self, audio: bytes, position: int, now_s: float) -> None:
        """Sound went to the phone; `position` is behind it."""
        self._pieces.append(_Piece(position - len(audio), audio, now_s))

    def played(self, position: int, now_s: float, *, by_mark: bool) -> None:
        """Everything before `position` was played; `by_mark` if a mark has said so, and not our clock."""
        if by_mark:
            self._marks.append((position, self._clock.sent_at(now_s)))
        for piece in self._pieces:
            if piece.end > position:
                break
            if piece.played_s is None:
                piece.played_s = now_s

    def flushed(self, position: int, now_s: float) -> None:
        """What was behind `position` is thrown away, and was never heard."""
        self._cut(position, now_s)
        # Marks of before tell nothing of what is sent from here on: playback stops and begins anew.
        self._settle(now_s, wait=False)
        self._marks.clear()

    def settle(self, now_s: float) -> None:
        """Place what is certain by now."""
        self._settle(now_s, wait=True)

    def finish(self, now_s: float) -> None:
        """The stream is over: what was not played by now is not played any more."""
        self._settle(now_s, wait=False)
        stands = self._clock.at(now_s)
        while self._pieces:
            piece = self._pieces.popleft()
            start = self._place_of(piece)
            if start < stands:
                self._put(start, piece.audio[: stands - start])

    def _cut(self, position: int, now_s: float) -> None:
        while self._pieces and self._pieces[-1].first >= position:
            self._pieces.pop()
        if self._pieces and self._pieces[-1].end > position:
            last = self._pieces[-1]
            last.audio = last.audio[: position - last.first]
        for piece in self._pieces:
            if piece.played_s is None:
                piece.played_s = now_s

    def _settle(self, now_s: float, *, wait: bool) -> None:
        while self._pieces:
            piece = self._pieces[0]
            if piece.played_s is not None:
                if wait and now_s < piece.played_s + SETTLE_S:
                    return
            elif not wait or not self._is_overdue(piece, now_s):
                return
            self._pieces.popleft()
            self._put(self._place_of(piece), piece.audio)

    def _is_overdue(self, piece: _Piece, now_s: float) -> bool:
        end = self._earliest(piece) + len(piece.audio)
        return self._clock.at(now_s) - end >= OVERDUE_S * self._rate

    def _put(self, start: int, audio: bytes) -> None:
        self._track.put(start, audio)
        self._placed_until = start + len(audio)

    def _place_of(self, piece: _Piece) -> int:
        """Where on the stream's clock a piece begins, all before it being placed."""
        sent, latest = self._clock.at(piece.sent_s), self._latest(piece)
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

    def _latest(self, piece: _Piece) -> int | None:
        """By the marks behind it: the quickest of them."""
        starts = [stands - (position - piece.first) for position, stands in self._marks if position >= piece.end]
        return min(starts) if starts else None
