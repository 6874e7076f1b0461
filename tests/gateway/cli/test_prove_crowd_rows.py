"""The rows of crowds, as small as they can be: that they are played to their end, and lose nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.cli import prove_callers, prove_crowd_rows, prove_overload
from gateway.cli.prove_play import Plan
from gateway.cli.prove_verdict import Outcome, Promise

pytestmark = pytest.mark.anyio

LIMIT_S = 120.0


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove_callers, "SPREAD_S", 0.5)
    monkeypatch.setattr(prove_crowd_rows, "SETTLE_S", 0.5)
    monkeypatch.setattr(prove_crowd_rows, "SHORT_AT_ONCE", 4)
    monkeypatch.setattr(prove_overload, "ROOM", 1)
    monkeypatch.setattr(prove_overload, "QUIET_S", 1.0)


def plan(folder: Path) -> Plan:
    return Plan(calls=2, turns=1, fault_at_s=0.1, rolls=1, races=25, short_calls=40, seed=1, folder=folder)


def musts(outcome: Outcome) -> list[Promise]:
    return [promise for promise in outcome.promises if promise.is_must]


async def test_a_dropped_stream_is_followed_by_another(tmp_path: Path) -> None:
    async with asyncio.timeout(LIMIT_S):
        outcome = await prove_crowd_rows.dropped(plan(tmp_path))
    assert (outcome.calls, outcome.hit, outcome.lost) == (2, 2, 0)
    assert len(outcome.silences_ms) == 2


async def test_duplicates_end_no_call_and_late_callbacks_move_none_backwards(tmp_path: Path) -> None:
    async with asyncio.timeout(LIMIT_S):
        outcome = await prove_crowd_rows.duplicates(plan(tmp_path))
    assert (outcome.calls, outcome.lost) == (2, 0)
    assert [promise.words for promise in musts(outcome)][-1] == "0 calls moved backwards by 4 late callbacks"


async def test_every_race_has_a_winner(tmp_path: Path) -> None:
    async with asyncio.timeout(LIMIT_S):
        outcome = await prove_crowd_rows.races(plan(tmp_path))
    assert (outcome.calls, outcome.lost) == (25, 0)


async def test_short_calls_leave_no_live_call_and_no_key_that_never_expires(tmp_path: Path) -> None:
    async with asyncio.timeout(LIMIT_S):
        outcome = await prove_crowd_rows.short_calls(plan(tmp_path))
    kept = {promise.words: promise.is_kept for promise in outcome.promises}
    assert (outcome.calls, outcome.lost) == (48, 0)
    assert any(words.startswith("0 calls live in Redis") for words in kept)
    assert any(words.startswith("0 keys of") for words in kept)


async def test_who_finds_no_room_hears_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("picows")
    async with asyncio.timeout(LIMIT_S):
        outcome = await prove_overload.overload(plan(tmp_path))
    assert not outcome.has_failed, outcome.promises
    assert outcome.hit > 0
