"""What the legs of a session have in common: what the process knows of providers, the session's budget, a watch,
and where they tell what was used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pipeline.costs import Used
from pipeline.legs.budget import Budget
from pipeline.legs.pace import Kind, Pace
from pipeline.observations import FellBack, Hedged, Observation
from pipeline.timing import Timing

FAILED_LATELY: Final = "it failed lately"
LATE: Final = "it is late"
"""Why another provider is asked, where the first has not failed just now."""


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
    used: Callable[[Used], None] = lambda _: None
    """Told once of every request, when it is over, however it ended."""

    def timing(self, kind: Kind, provider: str) -> Timing:
        return Timing(provider, kind, self.now, self.observe)

    def fell_back(self, kind: Kind, from_: str, to: str, reason: str) -> None:
        self.observe(FellBack(kind, from_, to, reason))

    def hedged(self, kind: Kind, provider: str, saved_s: float | None = None, *, won: bool) -> None:
        self.observe(Hedged(kind, provider, won, saved_s))
