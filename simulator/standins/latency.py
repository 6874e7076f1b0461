"""How long a stand-in takes, as real services do: about its median, and now and then far longer.

Pure. The numbers are drawn from the seed and from what is asked, so that the same question takes as long in every
run, whoever else asks, in whatever order; asked a second time, it takes its own time again.
"""

from __future__ import annotations

import math
import random
from collections import Counter

SLOWEST_OF_TAIL = 2.0
"""Times the shortest of the slow ones: the tail reaches from `slow_s` to twice as long."""


class Latency:
    """`median_s` and `sigma` are those of a log-normal distribution, as latencies of services nearly have; a share
    of `slow_share` takes evenly from `slow_s` to twice that."""

    def __init__(
        self,
        median_s: float,
        sigma: float = 0.0,
        slow_share: float = 0.0,
        slow_s: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.median_s = median_s
        self._sigma = sigma
        self._slow_share = slow_share
        self._slow_s = slow_s
        self._seed = seed
        self._asked: Counter[str] = Counter()

    def draw_s(self, asked: str) -> float:
        """For this question now."""
        self._asked[asked] += 1
        draws = random.Random(f"{self._seed}/{asked}/{self._asked[asked]}")
        if draws.random() < self._slow_share:
            return self._slow_s * draws.uniform(1.0, SLOWEST_OF_TAIL)
        return self.median_s * math.exp(draws.gauss(0.0, self._sigma))


def seconds_of(latency: float | Latency, asked: str) -> float:
    """A stand-in's latency is a number of seconds, or one of these."""
    return latency.draw_s(asked) if isinstance(latency, Latency) else latency
