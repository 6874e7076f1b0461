"""How bad a network of datagrams is, and what happens to each of them.

Pure: the random generator is handed in, and time is not known. The dice are thrown equally often for every
datagram, so the n-th of a direction has the same fate in every run with the same seed, whatever the clock does.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How bad the network is, in both directions alike."""

    loss: float = 0.0
    """Share of datagrams that never arrive, 0 to 1."""
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    """On top of the delay: evenly from 0 to this, or for "normal" the deviation, without its negative half."""
    jitter_shape: Literal["uniform", "normal"] = "uniform"
    keeps_order: bool = True
    """Jitter alone does not reorder: what is late holds up what follows, as in a router's queue."""
    reorder: float = 0.0
    """Share of datagrams held back by `reorder_ms` while others overtake them, 0 to 1."""
    reorder_ms: float = 45.0
    """Two frames of 20 ms pass in it."""
    duplicate: float = 0.0
    """Share of datagrams that arrive twice, 0 to 1."""
    outages: tuple[tuple[float, float], ...] = ()
    """From and to, in seconds since the plan began: nothing passes. What is already on its way arrives."""
    rate_kbit_s: float | None = None
    """What a direction carries; more waits its turn."""

    def __post_init__(self) -> None:
        for name in ("loss", "reorder", "duplicate"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is a share between 0 and 1, got {share}")
        for name in ("delay_ms", "jitter_ms", "reorder_ms"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} cannot be negative, got {getattr(self, name)}")
        if self.rate_kbit_s is not None and self.rate_kbit_s <= 0:
            raise ValueError(f"rate_kbit_s is more than 0, or None for no limit, got {self.rate_kbit_s}")
        for from_s, to_s in self.outages:
            if not 0 <= from_s < to_s:
                raise ValueError(f"an outage goes from an earlier to a later second, got {from_s} to {to_s}")


CALM: Final = Plan()
"""A network that does nothing."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one datagram."""

    is_lost: bool
    late_ms: float
    """By delay and jitter."""
    held_ms: float
    """Beyond that, while others overtake it; 0 for most."""
    is_doubled: bool


class Dice:
    """The fates of one direction's datagrams, in order. Pure."""

    def __init__(self, plan: Plan, rng: random.Random) -> None:
        self._plan = plan
        self._rng = rng

    def throw(self) -> Fate:
        plan, rng = self._plan, self._rng
        # Thrown whether needed or not: what one setting does must not shift the fates by another.
        loss, reorder, duplicate = rng.random(), rng.random(), rng.random()
        even, normal = rng.random(), rng.gauss(0.0, 1.0)
        jitter = even if plan.jitter_shape == "uniform" else max(0.0, normal)
        return Fate(
            is_lost=loss < plan.loss,
            late_ms=plan.delay_ms + jitter * plan.jitter_ms,
            held_ms=plan.reorder_ms if reorder < plan.reorder else 0.0,
            is_doubled=duplicate < plan.duplicate,
        )
