"""The network between the phone and the gateway: delay, jitter and loss.

Pure: time and the random generator are handed in. A media stream is one TCP connection, so jitter holds messages
back but never changes their order; and what is lost is lost between the phone and the carrier, before TCP: the
caller's frames are missing while the timestamps of the others go on.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Network:
    """How bad the line is."""

    delay_ms: float = 0.0
    """Every message, each way, at least this late."""
    jitter_ms: float = 0.0
    """On top of the delay, evenly between 0 and this."""
    loss: float = 0.0
    """Share of the caller's frames that never arrive, 0 to 1."""

    def __post_init__(self) -> None:
        if self.delay_ms < 0 or self.jitter_ms < 0:
            raise ValueError(f"delay and jitter cannot be negative, got {self.delay_ms} and {self.jitter_ms} ms")
        if not 0 <= self.loss <= 1:
            raise ValueError(f"loss is a share between 0 and 1, got {self.loss}")

    def loses(self, rng: random.Random) -> bool:
        """Whether the next of the caller's frames is lost."""
        return self.loss > 0 and rng.random() < self.loss


class DelayLine(Generic[T]):
    """Messages on their way, one direction, in order.

    Without a limit, as the carrier states none for its buffer: it holds what was sent within one delay.
    """

    def __init__(self, network: Network, rng: random.Random) -> None:
        self._network = network
        self._rng = rng
        self._waiting: deque[tuple[float, T]] = deque()
        self._last_due_s = float("-inf")

    def put(self, message: T, now_s: float) -> None:
        late_ms = self._network.delay_ms
        if self._network.jitter_ms:
            late_ms += self._rng.uniform(0, self._network.jitter_ms)
        self._last_due_s = max(self._last_due_s, now_s + late_ms / 1000)
        self._waiting.append((self._last_due_s, message))

    @property
    def next_due_s(self) -> float | None:
        return self._waiting[0][0] if self._waiting else None

    def due(self, now_s: float) -> list[tuple[float, T]]:
        """What has arrived by now, each with the instant it arrived."""
        arrived = []
        while self._waiting and self._waiting[0][0] <= now_s:
            arrived.append(self._waiting.popleft())
        return arrived
