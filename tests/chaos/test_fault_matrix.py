"""A fair part of the fault matrix, as whole telephone calls: nobody waits in silence, no call is lost, nothing is
done twice. `python -m tests.chaos.matrix` runs all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.chaos.cells import Cell, sample
from tests.chaos.houses import warm_up
from tests.chaos.matrix import MACHINE_MS, Verdict, lateness, play, table

pytestmark = pytest.mark.anyio

CALLS = 18
"""Every row of the matrix, and with all their moments more than forty faults."""

LEAST_FAULTS = 40

AT_ONCE = 9
"""Calls share one event loop with their gateways and providers: more would be late because of each other on a slow
machine."""

LATE_WAITS = 4
"""The end of the turn, the watchdog, the filler, and its way to the ear."""


async def test_whatever_fails_the_caller_is_answered_and_never_waits_in_silence() -> None:
    await warm_up()
    verdicts, found = await _played(sample(CALLS), AT_ONCE)
    # What a busy machine spoils goes well when the call has the machine to itself; a fault of ours does not.
    spoiled = [verdict.cell for verdict in verdicts if str(verdict.cell) in found]
    if spoiled:
        _, found = await _played(spoiled, 1)
    assert found == {}
    assert sum(verdict.injected for verdict in verdicts) >= LEAST_FAULTS


async def _played(cells: Sequence[Cell], at_once: int) -> tuple[list[Verdict], dict[str, list[str]]]:
    """The calls, and what was wrong with them."""
    watching = asyncio.create_task(lateness())
    verdicts = await play(cells, at_once=at_once, tell=lambda _: None)
    watching.cancel()
    # A silence is several waits long, and each may end late. The bound itself is shown on a quiet machine.
    machine_ms = MACHINE_MS + LATE_WAITS * await watching
    print(table(verdicts))
    faults = {str(verdict.cell): verdict.faults_on(machine_ms) for verdict in verdicts}
    return verdicts, {cell: wrong for cell, wrong in faults.items() if wrong}
