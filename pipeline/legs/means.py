"""What the legs of a session have in common: what the process knows of providers, the session's budget, a watch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.legs.budget import Budget
from pipeline.legs.pace import Kind, Pace
from pipeline.observations import FellBack, Hedged, Observation
from pipeline.timing import Timing


@dataclass(frozen=True, slots=True)
class Means:
    """See the module's docstring."""

    now: Callable[[], float]
    """Seconds of a monotonic clock."""
    observe: Callable[[Observation], None]
    pace: Pace = field(default_factory=Pace)
    budget: Budget = field(default_factory=Budget)
    hedges: bool = False
    """Whether a second request may go to a provider that was asked already."""

    def timing(self, kind: Kind, provider: str) -> Timing:
        return Timing(provider, kind, self.now, self.observe)

    def fell_back(self, kind: Kind, from_: str, to: str, reason: str) -> None:
        self.observe(FellBack(kind, from_, to, reason))

    def hedged(self, kind: Kind, provider: str, saved_s: float | None = None, *, won: bool) -> None:
        self.observe(Hedged(kind, provider, won, saved_s))
