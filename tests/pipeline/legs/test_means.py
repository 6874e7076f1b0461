"""What the legs of a session have in common."""

from __future__ import annotations

from pipeline.legs.means import Means
from pipeline.observations import FellBack, Hedged, Observation, ProviderTimed


def test_what_the_legs_do_is_observed() -> None:
    all_: list[Observation] = []
    means = Means(lambda: 1.0, all_.append)
    means.fell_back("llm", "a", "b", "it is late")
    means.hedged("tts", "a", 0.4, won=True)
    means.timing("stt", "a").done()
    assert all_ == [
        FellBack("llm", "a", "b", "it is late"),
        Hedged("tts", "a", True, 0.4),
        ProviderTimed("a", "stt", None, 0.0),
    ]
