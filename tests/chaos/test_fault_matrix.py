"""A fair part of the fault matrix, as whole telephone calls: nobody waits in silence, no call is lost, nothing is
done twice. `python -m tests.chaos.matrix` runs all of it."""

from __future__ import annotations

import pytest

from tests.chaos.cells import sample
from tests.chaos.houses import warm_up
from tests.chaos.matrix import play, table

pytestmark = pytest.mark.anyio

CALLS = 26
"""Two of each row of the matrix, and with all their moments more than sixty faults."""

LEAST_FAULTS = 60


async def test_whatever_fails_the_caller_is_answered_and_never_waits_in_silence() -> None:
    await warm_up()
    verdicts = await play(sample(CALLS), at_once=CALLS, tell=lambda _: None)
    print(table(verdicts))
    assert {str(verdict.cell): verdict.faults for verdict in verdicts if verdict.faults} == {}
    assert sum(verdict.injected for verdict in verdicts) >= LEAST_FAULTS
