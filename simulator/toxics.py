"""What a bad network does to the bytes of one direction of one connection. Pure: time and chance are handed in.

    way = ToxicWay(draw=random.Random(7).random)
    way.take(b"PING", now_s=0.0)
    way.step(Toxics(latency_ms=50), now_s=0.0)     -> Wait(until_s=0.05)
    way.step(Toxics(latency_ms=50), now_s=0.05)    -> Send(b"PING")

The toxics may be others at each step: what is held back by one that is gone, goes on at once. Bytes are never lost
nor reordered, because to the ends it is TCP.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

MOST_HELD_BYTES: Final = 1 << 20
"""Of one direction. When it is full, nothing more is read, and TCP holds the sender."""
BANDWIDTH_PIECE_S: Final = 0.02
"""With a bandwidth, bytes go on in pieces of about so long: a stream and no bursts."""
SLICE_GAP_S: Final = 0.001
"""Between slices, or the receiver's system would put them together again."""


class Ending(enum.Enum):
    """How a connection may end before its time."""

    CUT = enum.auto()
    """Closed to both sides."""
    RESET = enum.auto()
    """RST to both sides (RFC 9293, section 3.5.2)."""
    HALF_CLOSE = enum.auto()
    """The receiver is told that no more will come; the other direction goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxics:
    """Of one direction; as made, none."""

    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    """Added to or taken from the latency, evenly."""
    bandwidth_kbps: float | None = None
    """Kilobits (1,000) a second."""
    is_blackhole: bool = False
    """Everything is held until this is gone."""
    slice_bytes: int | None = None
    """Pieces of at most so many bytes, with a gap after each."""
    ending: Ending | None = None
    after_bytes: int = 0
    """How many bytes of a connection go on before `ending`; 0: at once, also without any."""

    def __post_init__(self) -> None:
        if not 0 <= self.jitter_ms <= self.latency_ms:
            raise ValueError(f"jitter_ms is {self.jitter_ms}; expected 0 to latency_ms, {self.latency_ms}")
        if self.bandwidth_kbps is not None and self.bandwidth_kbps <= 0:
            raise ValueError(f"bandwidth_kbps is {self.bandwidth_kbps}; expected more than 0; is_blackhole is none")
        if self.slice_bytes is not None and self.slice_bytes < 1:
            raise ValueError(f"slice_bytes is {self.slice_bytes}; expected 1 or more")
        if self.after_bytes < 0:
            raise ValueError(f"after_bytes is {self.after_bytes}; expected 0 or more")


HEALTHY: Final = Toxics()


@dataclass(frozen=True, slots=True)
class Send:
    """Give these to the receiver, then ask for the next step."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until then, or until something comes or the toxics change."""

    until_s: float | None


@dataclass(frozen=True, slots=True)
class End:
    """The last step."""

    ending: Ending


Step: TypeAlias = Send | Wait | End


class ToxicWay:
    """One direction of one connection. Times are seconds of one monotonic clock."""

    def __init__(self, draw: Callable[[], float]) -> None:
        """`draw` gives numbers from 0 to 1, one for each piece that comes."""
        self._draw = draw
        self._held: deque[tuple[float, float, bytes]] = deque()
        """When it came, what was drawn for it, and what is left of it."""
        self._is_finished = False
        self._is_ended = False
        self._free_at_s = 0.0
        self.held_bytes = 0
        self.passed_bytes = 0

    @property
    def is_full(self) -> bool:
        return self.held_bytes >= MOST_HELD_BYTES

    def take(self, data: bytes, now_s: float) -> None:
        """Bytes came from the sender. After the end they are dropped."""
        if self._is_ended:
            return
        self._held.append((now_s, self._draw(), data))
        self.held_bytes += len(data)

    def finish(self) -> None:
        """The sender will send no more; the receiver learns it after the bytes."""
        self._is_finished = True

    def step(self, toxics: Toxics, now_s: float) -> Step:
        """What to do now."""
        left_bytes = self.held_bytes
        if toxics.ending is not None:
            left_bytes = toxics.after_bytes - self.passed_bytes
            if left_bytes <= 0:
                return self._end(toxics.ending)
        if toxics.is_blackhole:
            return Wait(None)
        if not self._held:
            return self._end(Ending.HALF_CLOSE) if self._is_finished else Wait(None)
        came_s, drawn, data = self._held[0]
        due_s = came_s + (toxics.latency_ms + toxics.jitter_ms * (2 * drawn - 1)) / 1000
        if toxics.bandwidth_kbps is not None or toxics.slice_bytes is not None:
            due_s = max(due_s, self._free_at_s)
        if now_s < due_s:
            return Wait(due_s)
        piece = data[: min(left_bytes, _most_bytes(toxics))]
        self._pass(piece, toxics, now_s)
        return Send(piece)

    def _end(self, ending: Ending) -> End:
        self._is_ended = True
        self._held.clear()
        self.held_bytes = 0
        return End(ending)

    def _pass(self, piece: bytes, toxics: Toxics, now_s: float) -> None:
        came_s, drawn, data = self._held.popleft()
        if len(piece) < len(data):
            self._held.appendleft((came_s, drawn, data[len(piece) :]))
        self.held_bytes -= len(piece)
        self.passed_bytes += len(piece)
        gap_s = SLICE_GAP_S if toxics.slice_bytes is not None else 0.0
        if toxics.bandwidth_kbps is not None:
            gap_s = max(gap_s, len(piece) * 8 / (toxics.bandwidth_kbps * 1000))
        self._free_at_s = now_s + gap_s


def _most_bytes(toxics: Toxics) -> int:
    """That may go on at once."""
    most = MOST_HELD_BYTES
    if toxics.slice_bytes is not None:
        most = min(most, toxics.slice_bytes)
    if toxics.bandwidth_kbps is not None:
        most = min(most, max(1, int(toxics.bandwidth_kbps * 1000 / 8 * BANDWIDTH_PIECE_S)))
    return most
