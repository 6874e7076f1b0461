"""The row of a failover, as small as it can be. The short proof (`test_prove.py`) plays others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.cli import prove_rows
from gateway.cli.prove_play import Plan

pytestmark = pytest.mark.anyio

LIMIT_S = 180.0


async def test_a_failover_loses_no_call_and_no_turn(tmp_path: Path) -> None:
    plan = Plan(calls=4, turns=2, fault_at_s=6.0, rolls=1, races=1, short_calls=1, seed=1, folder=tmp_path)
    async with asyncio.timeout(LIMIT_S):
        outcome = await prove_rows.failover(plan)
    assert (outcome.name, outcome.calls, outcome.lost) == ("failover", 6, 0)
    assert not outcome.has_failed, outcome.promises
    assert outcome.hit > 0, "the worker that was killed had calls"
    (felt,) = [promise for promise in outcome.promises if "failover" in promise.words]
    assert felt.is_kept
