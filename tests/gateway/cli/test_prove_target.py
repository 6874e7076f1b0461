"""The proof against a bot that is not ours: one that greets, and has no way back."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from gateway.cli import prove_callers
from gateway.cli.prove_play import Plan
from gateway.cli.prove_target import Bot, rows_for
from tests.simulator.throwaway_gateway import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    Line,
    ThrowawayGateway,
    running,
    tone,
    twiml,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _hasty_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove_callers, "PATIENCE_MS", 1_000)
    monkeypatch.setattr(prove_callers, "DROPPED_S", (0.2, 0.4))
    monkeypatch.setattr(prove_callers, "SPREAD_S", 0.1)


CONNECT = '<Connect><Stream url="/media/t0"/></Connect>'


async def greet(line: Line) -> None:
    await line.play(tone(500))
    await line.until_closed()


def stranger() -> ThrowawayGateway:
    return ThrowawayGateway(pages={"/voice": lambda form: twiml(CONNECT)}, agent=greet)


def plan(folder: Path) -> Plan:
    return Plan(calls=2, turns=1, fault_at_s=0.1, rolls=1, races=1, short_calls=3, seed=1, folder=folder)


def bot(gateway: ThrowawayGateway, **pids: int) -> Bot:
    return Bot(f"{gateway.url}/voice", ACCOUNT_SID, AUTH_TOKEN, **pids)


async def test_short_calls_are_counted(tmp_path: Path) -> None:
    async with running(stranger()) as gateway:
        outcome = await rows_for(bot(gateway))["short-calls"](plan(tmp_path))
    assert (outcome.calls, outcome.lost, outcome.has_failed) == (3, 0, False)


async def test_a_bot_without_a_way_back_loses_those_whose_stream_is_dropped(tmp_path: Path) -> None:
    async with running(stranger()) as gateway:
        outcome = await rows_for(bot(gateway))["dropped"](plan(tmp_path))
    assert (outcome.calls, outcome.lost, outcome.has_failed) == (2, 2, True)
    assert (outcome.history, outcome.silences_ms) == (None, ())


async def test_the_process_that_was_named_gets_the_signal_and_no_other(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        async with running(stranger()) as gateway:
            rows = rows_for(bot(gateway, term_pid=process.pid))
            assert set(rows) == {"dropped", "duplicates", "short-calls", "term"}
            outcome = await rows["term"](plan(tmp_path))
        assert await asyncio.wait_for(process.wait(), 20) == -signal.SIGTERM
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert outcome.fault == f"SIGTERM to process {process.pid}"


def test_a_kill_is_only_played_where_a_process_was_named() -> None:
    assert "kill-9" not in rows_for(Bot("http://127.0.0.1/voice", ACCOUNT_SID, AUTH_TOKEN))
    assert "kill-9" in rows_for(Bot("http://127.0.0.1/voice", ACCOUNT_SID, AUTH_TOKEN, kill_pid=1))
