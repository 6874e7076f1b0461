"""How far a conversation has come, as a table."""

from __future__ import annotations

from pipeline.phase import LEGAL_STEPS, Phase


def test_every_phase_has_its_legal_steps() -> None:
    assert LEGAL_STEPS == {
        Phase.TALKING: {Phase.ENDING, Phase.ENDED},
        Phase.ENDING: {Phase.TALKING, Phase.ENDED},
        Phase.ENDED: set(),
    }
