"""A fair part of the fault matrix, as whole telephone calls: nobody waits in silence, no call is lost, nothing is
done twice. `python -m tests.chaos.matrix` runs all of it."""

from __future__ import annotations

import asyncio

import pytest

from tests.chaos.cells import sample
from tests.chaos.houses import warm_up
from tests.chaos.matrix import MACHINE_MS, lateness, play, table

pytestmark = pytest.mark.anyio

CALLS = 26
"""Two of each row of the matrix, and with all their moments more than sixty faults."""

LEAST_FAULTS = 60

LATE_WAITS = 4
"""The end of the turn, the watchdog, the filler, and its way to the ear."""


async def test_whatever_fails_the_caller_is_answered_and_never_waits_in_silence() -> None:
    await warm_up()
    watching = asyncio.create_task(lateness())
    verdicts = await play(sample(CALLS), at_once=CALLS, tell=lambda _: None)
    watching.cancel()
    # A silence is several waits long, and each may end late. The bound itself is shown on a quiet machine.
    machine_ms = MACHINE_MS + LATE_WAITS * await watching
    print(table(verdicts))
    faults = {str(verdict.cell): verdict.faults_on(machine_ms) for verdict in verdicts}
    assert {cell: found for cell, found in faults.items() if found} == {}
    assert sum(verdict.injected for verdict in verdicts) >= LEAST_FAULTS
