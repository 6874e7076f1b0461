"""A run of the Realtime benchmark, shortened, against throw-away servers in this process."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import bench_realtime_run
from gateway.cli.bench_realtime_run import Figures, Options, Rig, _figures, compare
from gateway.cli.bench_server import Server, Used
from simulator.realtime_load import RealtimeLoad, RealtimeTarget
from simulator.realtime_session import EchoSession, RealtimeScript, RealtimeTally
from tests.gateway.cli.realtime_figures import FIGURES
from tests.simulator.throwaway_realtime import ThrowawayRealtime, realtime

pytestmark = pytest.mark.anyio

OPTIONS = Options(sessions=3, step=0, duration=1.5, rate=50.0, noise=-60.0, seed=1, limit=100.0)
SCRIPT = RealtimeScript(clips=((b'{"type":"a"}',),), noise=(b'{"type":"n"}',), delta=b'{"type":"d"}')
USED = Used(cpu_s=1.0, rss_bytes=100_000_000)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_realtime_run, "SETTLE_S", 0.1)
    monkeypatch.setattr(bench_realtime_run, "JOIN_LIMIT_S", 0.3)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """The servers that were asked for; each is a throw-away one in this process."""
    asked: list[dict[str, Any]] = []

    @asynccontextmanager
    async def running(module: str, *arguments: str, **options: Any) -> AsyncGenerator[Server, None]:
        asked.append({"module": module, "arguments": arguments} | options)
        async with realtime(ThrowawayRealtime(echoes=module == "an.echo")) as server:
            yield Server(server.port, os.getpid(), "")

    monkeypatch.setattr(bench_realtime_run, "running", running)
    monkeypatch.setattr(bench_realtime_run, "_script", lambda _options: SCRIPT)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return asked


@pytest.mark.parametrize("is_alone", [False, True], ids=["several cores", "one core"])
async def test_floor_and_gateway_are_measured_under_the_same_load(
    is_alone: bool, started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned: list[set[int]] = []
    shown = {0} if is_alone else {0, 1}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: shown)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _pid, cores: pinned.append(set(cores)))
    levels: list[Figures] = []
    floor, gateway = await compare(OPTIONS, "a.gateway", "an.echo", levels.append)
    assert [level.server for level in levels] == ["floor", "gateway"]
    assert ([levels[0]], [levels[1]]) == (floor.levels, gateway.levels)
    for level in levels:
        assert (level.sessions, level.failed, level.errors, level.unanswered) == (3, 0, 0, 0)
        assert level.round_trip_p50 is not None
        assert level.rss_mb > 5
        assert level.rss_kb_per_added_session is not None
    assert levels[0].turns == 0, "an echo takes no turns"
    core = None if is_alone else 1
    assert [(one["module"], one["core"]) for one in started] == [("an.echo", core), ("a.gateway", core)]
    assert started[0]["arguments"] == ()
    (token,) = started[1]["arguments"]
    assert len(token) >= 32
    assert started[0]["log"] != started[1]["log"]
    assert pinned == ([shown] if is_alone else [{0}, shown])


async def test_levels_rise_in_turns_until_each_is_full(
    started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    carried = {"floor": 9, "gateway": 5}

    async def measure(rig: Rig, _options: Options) -> Figures:
        wanted = rig._wanted
        figures = replace(
            FIGURES, server=rig.name, sessions=wanted, cpu_percent=90.0, sustained=wanted <= carried[rig.name]
        )
        rig.levels.append(figures)
        rig.is_full = not figures.sustained
        return figures

    monkeypatch.setattr(Rig, "_measure", measure)
    levels: list[Figures] = []
    floor, gateway = await compare(replace(OPTIONS, step=2), "a.gateway", "an.echo", levels.append)
    assert [(level.server, level.sessions) for level in levels] == [
        ("floor", 3),
        ("gateway", 3),
        ("floor", 5),
        ("gateway", 5),
        ("floor", 7),
        ("gateway", 7),
        ("floor", 9),
        ("floor", 11),
    ]
    assert floor.best is not None
    assert gateway.best is not None
    assert (floor.best.sessions, gateway.best.sessions) == (9, 5)


async def test_when_its_time_is_over_no_level_is_begun(started: list[dict[str, Any]]) -> None:
    options = replace(OPTIONS, step=1, limit=0.0, duration=0.2)
    floor, gateway = await compare(options, "a.gateway", "an.echo", lambda _level: None)
    assert (len(floor.levels), len(gateway.levels)) == (1, 1)
    assert not floor.is_full


def rig_for(server: ThrowawayRealtime) -> Rig:
    load = RealtimeLoad(RealtimeTarget(server.url, "k"), SCRIPT, EchoSession, seed=1)
    return Rig("floor", Server(server.port, os.getpid(), ""), load)


async def test_a_level_that_fails_is_tried_again_before_it_counts_as_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench_realtime_run, "LATE_MS", 0.0)
    async with realtime(ThrowawayRealtime(echoes=True)) as server:
        rig, options = rig_for(server), replace(OPTIONS, sessions=2, step=1, duration=0.3)
        first = await rig.begin(options)
        assert (first.sustained, rig.is_full) == (False, False)
        again = await rig.rise(options)
        assert (again.sessions, rig.is_full, rig.best) == (2, True, None)


@pytest.mark.parametrize(
    ("cpu_percent", "sessions"), [(0.0, 45), (10.0, 45), (60.0, 37), (50.0, 42), (90.0, 37), (99.0, 37)]
)
async def test_it_rises_in_strides_while_the_core_has_room_and_then_in_steps(
    cpu_percent: float, sessions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    async def measure(rig: Rig, _options: Options) -> Figures:
        asked.append(rig._wanted)
        return FIGURES

    monkeypatch.setattr(Rig, "_measure", measure)
    async with realtime(ThrowawayRealtime(echoes=True)) as server:
        rig = rig_for(server)
        rig.levels.append(replace(FIGURES, sessions=30, cpu_percent=cpu_percent))
        await rig.rise(replace(OPTIONS, step=7))
    assert asked == [sessions]


async def test_sessions_that_are_turned_away_are_told_and_end_the_rise() -> None:
    async with realtime(ThrowawayRealtime(closes_with=3000)) as server:
        rig = rig_for(server)
        async with asyncio.timeout(20):
            figures = await rig.begin(replace(OPTIONS, duration=0.2))
    assert (figures.failed, figures.sustained, rig.is_full) == (3, False, True)
    assert figures.first_failure == "closed with 3000: invalid_api_key"
    assert (figures.round_trip_p99, figures.rss_kb_per_added_session) == (None, None)


async def test_sessions_that_are_never_configured_are_not_waited_for_forever() -> None:
    async with realtime(ThrowawayRealtime(echoes=True)) as server:
        load = RealtimeLoad(RealtimeTarget(server.url, "k"), SCRIPT, _never_joined, seed=1)
        rig = Rig("gateway", Server(server.port, os.getpid(), ""), load)
        async with asyncio.timeout(20):
            figures = await rig.begin(replace(OPTIONS, sessions=1, duration=0.2))
    assert figures.sessions == 1


def _never_joined(script: RealtimeScript, tally: RealtimeTally, rng: Any) -> EchoSession:
    session = EchoSession(script, tally, rng)
    session.is_joined = False
    return session


@pytest.mark.parametrize(
    ("round_trip_ms", "late_ms", "unanswered", "failed", "sustained"),
    [
        (19.9, 19.9, 0, 0, True),
        (20.0, 0.0, 0, 0, False),
        (1.0, 20.0, 0, 0, False),
        (1.0, None, 0, 0, True),
        (None, None, 0, 0, False),
        (1.0, 1.0, 1, 0, False),
        (1.0, 1.0, 0, 1, False),
    ],
)
async def test_sessions_are_sustained_if_all_are_held_answered_and_on_time(
    round_trip_ms: float | None, late_ms: float | None, unanswered: int, failed: int, sustained: bool
) -> None:
    load = RealtimeLoad(RealtimeTarget("ws://127.0.0.1", "k"), SCRIPT, EchoSession, seed=1)
    load.failed = failed
    tally = RealtimeTally(
        round_trip=[] if round_trip_ms is None else [round_trip_ms] * 100,
        lateness=[] if late_ms is None else [late_ms] * 100,
        unanswered=unanswered,
    )
    assert _figures("gateway", load, tally, 0.3, None, USED).sustained is sustained


@pytest.mark.parametrize(("own_ms", "believable"), [([9.9], True), ([10.0], False), ([], False)])
async def test_a_generator_that_is_late_itself_is_not_believed(own_ms: list[float], believable: bool) -> None:
    load = RealtimeLoad(RealtimeTarget("ws://127.0.0.1", "k"), SCRIPT, EchoSession, seed=1)
    figures = _figures("floor", load, RealtimeTally(own_lateness=own_ms), 0.3, None, USED)
    assert figures.believable is believable
