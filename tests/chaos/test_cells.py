"""The plan of the matrix: everything is in it, and a part of it is a fair part."""

from __future__ import annotations

import pytest

from simulator.standins.fault import Fault
from tests.chaos.cells import REFUSALS, ROWS, Cell, Part, all_cells, drawn, sample
from tests.chaos.dialogue import Moment


def test_every_fault_strikes_every_provider_with_and_without_a_spare() -> None:
    cells = {(cell.part, cell.provider, cell.fault, cell.is_spared) for cell in all_cells()}
    assert len(cells) == len(all_cells())
    for part, provider, faults in ROWS:
        for fault in faults:
            is_noise = part is Part.STT and fault is Fault.ZERO_AUDIO
            assert ((part, provider, fault, False) in cells) is not is_noise
            is_refused = part is Part.REALTIME and fault in REFUSALS
            assert ((part, provider, fault, True) in cells) is (part is not Part.TOOL and not is_refused)


@pytest.mark.parametrize("faults", [60, 240, 2_000])
def test_as_many_faults_are_drawn_as_are_asked_for(faults: int) -> None:
    assert sum(len(cell.moments) for cell in drawn(faults)) == faults


def test_a_part_of_the_matrix_has_something_of_every_row() -> None:
    rows = {(part, provider) for part, provider, _ in ROWS}
    assert {(cell.part, cell.provider) for cell in drawn(240)} == rows
    assert {(cell.part, cell.provider) for cell in sample(26)} == rows


def test_a_call_goes_on_after_its_last_fault() -> None:
    for cell in all_cells():
        assert cell.turns[-1] is Moment.AFTER
        assert set(cell.moments) <= set(cell.turns)
        assert Moment.SECOND not in cell.turns or Moment.FIRST in cell.turns


def test_refusals_of_connections_are_there_from_the_start() -> None:
    from_the_start = {cell.provider for cell in all_cells() if cell.is_refused_from_the_start}
    assert from_the_start == {"deepgram/nova-3", "deepgram/flux", "cartesia", "elevenlabs", "openai"}
    assert not Cell(Part.LLM, "openai", Fault.REFUSE, True, (Moment.FIRST,)).is_refused_from_the_start
