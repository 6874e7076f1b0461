"""Playback of one Media Stream: what waits to be sent, when to send it, and how much of it the caller has heard.

Sound leaves by clock with a bounded lead, never as fast as the voice makes it: otherwise `clear` would wait behind
it in the network, and nobody could tell what was heard. Each piece is followed by a mark that carries its
generation and the position behind it. Pure: the time is a parameter everywhere, in seconds.

How the position is told. Within one uninterrupted run of playback, a mark for position m that arrives at t says
that playback stands at m, less the time the mark travelled. The mark that travelled least says most; so the best
line through the last marks is `max(m - rate * t)`. To it is added the shortest round trip seen so far, because what
counts is not where playback is now but where it will be when our `clear` arrives there; and what the last marks
travelled longer than the quickest of them, on average, because on a line that jitters so will the `clear`. Before a
run's first mark, the time since its first piece was sent is the same thing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from pipeline.audio.formats import AudioFormat

PIECE_MS = 100
"""Sound per message. Sending less often costs less than sending faster; a mark per piece bounds the error."""

EARLY_MS = 10
"""A piece may leave so much before it is due: who wakes us does it in ticks of this length, and never late."""

MARKS_KEPT = 10
"""A second of marks: long enough to meet one that was not delayed, short enough to notice that playback stalled."""

LONGEST_QUEUE_MS = 5_000
"""Sound that may wait here; above it `has_room` is False and the voice is made to wait."""

UNDERRUN_WITHIN_S = 0.5
"""Sound that follows so soon after playback ran dry belongs to what was being said: the caller heard a hole."""

MARKS_MISSING_S = 1.0
"""Marks that are this late are not coming: the clock alone then says that playback has ended."""

LONGEST_POSITION_DIGITS = 15
"""Samples in four thousand years of sound."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Sound to send now, and the mark to send behind it."""

    audio: bytes
    mark: str
    position: int
    """Behind it: what the mark says."""


class Playback:
    """See the module's docstring. Positions are samples (one byte each in G.711) since the stream began, not
    counting what was cleared."""

    def __init__(self, audio_format: AudioFormat, lead_ms: int) -> None:
        if audio_format.encoding.bytes_per_sample != 1:
            raise ValueError("Media Streams carry G.711: one byte a sample")
        self._rate = audio_format.rate_hz
        self._lead = audio_format.bytes_in(lead_ms)
        self._piece = min(audio_format.bytes_in(PIECE_MS), self._lead)
        self._early = audio_format.bytes_in(EARLY_MS)
        self._longest = audio_format.bytes_in(LONGEST_QUEUE_MS)
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._generation = 0
        self._sent = 0
        self._acknowledged = 0
        self._has_marks = False
        """The peer has sent a mark back; some carriers never do."""
        self._run_position = 0
        self._run_began = 0.0
        """When and from where the present run of playback began: its first piece was sent to an empty buffer."""
        self._marks: deque[float] = deque(maxlen=MARKS_KEPT)
        """`m - rate * t` of the run's last marks."""
        self._shortest_trip_s: float | None = None
        self.underruns = 0
        """Times playback ran dry in the middle of speech."""

    @property
    def has_room(self) -> bool:
        return self._queued < self._longest

    @property
    def is_idle(self) -> bool:
        """Nothing waits and everything sent is known to be played."""
        return not self._queued and self._acknowledged >= self._sent

    def push(self, audio: bytes) -> None:
        """Sound to play after all before."""
        self._queue.append(audio)
        self._queued += len(audio)

    def position(self, now: float) -> int:
        """Where playback will stand when a `clear` sent now arrives."""
        if self._marks:
            trip = self._shortest_trip_s or 0.0
            best = max(self._marks)
            jitter = best - sum(self._marks) / len(self._marks)
            estimate = best + jitter + self._rate * (now + trip)
        else:
            estimate = self._run_position + self._rate * (now - self._run_began)
        return min(self._sent, max(self._acknowledged, int(estimate)))

    def take_due(self, now: float) -> list[Piece]:
        """The pieces that must leave by `now`; after a stall, all that it held up."""
        pieces: list[Piece] = []
        while self._queued:
            played = self._clock(now)
            if self._sent + self._next_size - played > self._lead + self._early:
                break
            if played >= self._sent:
                if self._sent > self._run_position and now - self._ends_at < UNDERRUN_WITHIN_S:
                    self.underruns += 1
                self._begin_run(now)
            audio = self._take(self._next_size)
            self._sent += len(audio)
            pieces.append(Piece(audio, f"g{self._generation}:{self._sent}", self._sent))
        return pieces

    def due_at(self, now: float) -> float | None:
        """When to ask again for pieces, or look whether playback has ended; None while there is nothing to do."""
        if self._queued:
            ahead = self._sent + self._next_size - self._lead - self._run_position
            return max(now, self._run_began + ahead / self._rate)
        if self._acknowledged < self._sent:
            return max(now, self._ends_at + MARKS_MISSING_S)
        return None

    def marked(self, name: str, now: float) -> int | None:
        """A mark came back: the position known to be played. None for one of an earlier generation, or not ours."""
        generation, _, position_text = name.partition(":")
        # The length first: Python refuses to read thousands of digits, and whoever sends a mark back may send any.
        is_position = len(position_text) <= LONGEST_POSITION_DIGITS and position_text.isdecimal()
        if generation != f"g{self._generation}" or not is_position:
            return None
        position = int(position_text)
        if not self._acknowledged < position <= self._sent:
            return None
        self._acknowledged = position
        self._has_marks = True
        trip = now - self._run_began - (position - self._run_position) / self._rate
        if position > self._run_position and trip >= 0:
            self._shortest_trip_s = min(trip, self._shortest_trip_s if self._shortest_trip_s is not None else trip)
            self._marks.append(position - self._rate * now)
        return position

    def returned(self, name: str) -> int | None:
        """The position of a mark that the last flush has overtaken; None for any other."""
        generation, _, position_text = name.partition(":")
        is_position = len(position_text) <= LONGEST_POSITION_DIGITS and position_text.isdecimal()
        return int(position_text) if generation == f"g{self._generation - 1}" and is_position else None

    def overdue_s(self, now: float) -> float:
        """How long a mark has been missing for sound that must have been played, where marks used to come."""
        return max(0.0, (self._clock(now) - self._acknowledged) / self._rate) if self._has_marks else 0.0

    def give_up_marks(self, now: float) -> int | None:
        """The marks of sound long played never came: believe the clock. The position, if that changes it."""
        if self._queued or self._acknowledged >= self._sent or now < self._ends_at + MARKS_MISSING_S:
            return None
        self._acknowledged = self._sent
        return self._sent

    def flush(self, now: float) -> int:
        """Forget all that waits and all that was sent and not yet heard; returns where playback then stands.

        From here on marks of before are of an earlier generation. Send `clear` right after.
        """
        position = self.position(now)
        self._queue.clear()
        self._queued = 0
        self._generation += 1
        self._sent = self._acknowledged = position
        self._begin_run(now)
        return position

    @property
    def _next_size(self) -> int:
        return min(self._piece, self._queued)

    @property
    def _ends_at(self) -> float:
        return self._run_began + (self._sent - self._run_position) / self._rate

    def _clock(self, now: float) -> int:
        """Where playback stands by our clock alone; pacing needs no better, and marks may be late."""
        return min(self._sent, self._run_position + int(self._rate * (now - self._run_began)))

    def _begin_run(self, now: float) -> None:
        self._run_position, self._run_began = self._sent, now
        self._marks.clear()

    def _take(self, size: int) -> bytes:
        """Up to `size` bytes off the front of the queue."""
        parts: list[bytes] = []
        while size and self._queue:
            part = self._queue.popleft()
            if len(part) > size:
                self._queue.appendleft(part[size:])
                part = part[:size]
            size -= len(part)
            self._queued -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
