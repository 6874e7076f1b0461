"""What a leg tells while it works, and the means it works with, on the clock that jumps."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.costs import Used
from pipeline.legs.means import Means
from pipeline.legs.pace import Pace
from pipeline.observations import FellBack, Hedged, Observation, ProviderTimed, Wasted
from tests.virtual_time import now_s


@dataclass
class Observed:
    """All that was observed."""

    hedges: bool = False
    pace: Pace = field(default_factory=Pace)
    all: list[Observation] = field(default_factory=list)
    used: list[Used] = field(default_factory=list)
    """By each request that is over, in the order in which they were."""

    def __post_init__(self) -> None:
        self.means = Means(now_s, self.all.append, self.pace, hedges=self.hedges, used=self.used.append)

    @property
    def fallbacks(self) -> list[tuple[str, str, str]]:
        """From whom, to whom, why."""
        return [(each.from_, each.to, each.reason) for each in self.all if isinstance(each, FellBack)]

    @property
    def hedged(self) -> list[Hedged]:
        return [each for each in self.all if isinstance(each, Hedged)]

    @property
    def wasted(self) -> list[Wasted]:
        return [each for each in self.all if isinstance(each, Wasted)]

    @property
    def timed(self) -> list[tuple[str, str | None]]:
        """Provider and error of each request that came to its end."""
        return [(each.provider, each.error) for each in self.all if isinstance(each, ProviderTimed)]
