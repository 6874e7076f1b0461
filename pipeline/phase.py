"""How far a whole conversation has come."""

from __future__ import annotations

import enum


class Phase(enum.Enum):
    """Where a conversation stands."""

    TALKING = "talking"
    ENDING = "ending"
    """A farewell is being said; once its last word is heard, the session hangs up. The caller may still object."""
    ENDED = "ended"


LEGAL_STEPS: dict[Phase, frozenset[Phase]] = {
    Phase.TALKING: frozenset({Phase.ENDING, Phase.ENDED}),
    Phase.ENDING: frozenset({Phase.TALKING, Phase.ENDED}),
    Phase.ENDED: frozenset(),
}
