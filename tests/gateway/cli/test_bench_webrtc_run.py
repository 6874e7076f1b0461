"""A run of the WebRTC benchmark, shortened, against throw-away servers in this process."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import bench_webrtc_run
from gateway.cli.bench_server import Server, Used
from gateway.cli.bench_webrtc_run import Alone, Figures, Modules, Options, Rig, _figures, compare
from simulator.webrtc_load import Measured, RtcTarget, Session, WebrtcLoad, join_echo
from simulator.webrtc_mark import FRAME_BYTES, OpusCoder, make_mark
from simulator.webrtc_talk import TalkScript, TalkTally
from tests.gateway.cli.webrtc_figures import FIGURES
from tests.simulator.throwaway_webrtc import ThrowawayWebRtc, webrtc

pytestmark = pytest.mark.anyio

OPTIONS = Options(sessions=2, step=0, duration=0.8, rate=50.0, noise=-60.0, seed=1, limit=100.0)
STILL = OpusCoder().packets(bytes(FRAME_BYTES * 50))
SCRIPT = TalkScript(clips=(STILL[:5],), noise=STILL, mark=make_mark(), first_pause_s=0.1)
USED = Used(cpu_s=1.0, rss_bytes=100_000_000)
MODULES = Modules("an.echo", "our.echo", "a.gateway")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_webrtc_run, "SETTLE_S", 0.3)
    monkeypatch.setattr(bench_webrtc_run, "JOIN_LIMIT_S", 0.3)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """The servers that were asked for; each is a throw-away one in this process."""
    asked: list[dict[str, Any]] = []

    @asynccontextmanager
    async def running(module: str, *arguments: str, **options: Any) -> AsyncGenerator[Server, None]:
        asked.append({"module": module, "arguments": arguments} | options)
        async with webrtc(ThrowawayWebRtc()) as server:
            yield Server(server.port, os.getpid(), "")

    monkeypatch.setattr(bench_webrtc_run, "running", running)
    monkeypatch.setattr(bench_webrtc_run, "_script", lambda _options: SCRIPT)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return asked


@pytest.mark.parametrize("is_alone", [False, True], ids=["several cores", "one core"])
async def test_all_three_are_measured_under_the_same_load(
    is_alone: bool, started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned: list[set[int]] = []
    shown = {0} if is_alone else {0, 1}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: shown)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _pid, cores: pinned.append(set(cores)))
    levels: list[Figures] = []
    rigs = await compare(OPTIONS, MODULES, levels.append)
    assert [level.server for level in levels] == ["floor", "transport", "gateway"]
    assert [[level] for level in levels] == [rig.levels for rig in rigs]
    for level in levels:
        assert (level.sessions, level.failed, level.errors) == (2, 0, 0)
        assert level.packets > 0
        assert level.rss_kb_per_added_session is not None
        assert level.cpu_ms_per_added_session_s is not None
    core = None if is_alone else 1
    assert [(one["module"], one["core"]) for one in started] == [
        ("an.echo", core),
        ("our.echo", core),
        ("a.gateway", core),
    ]
    assert [len(one["arguments"]) for one in started] == [0, 0, 1]
    assert len(started[2]["arguments"][0]) >= 32
    assert len({one["log"] for one in started}) == 3
    assert pinned == ([shown] if is_alone else [{0}, shown])


async def test_levels_rise_in_turns_until_each_is_full(
    started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    carried = {"floor": 3, "transport": 7, "gateway": 5}

    async def measure(rig: Rig, _options: Options) -> Figures:
        wanted = rig._wanted
        figures = replace(
            FIGURES, server=rig.name, sessions=wanted, cpu_percent=90.0, sustained=wanted <= carried[rig.name]
        )
        rig.levels.append(figures)
        rig.is_full = not figures.sustained
        return figures

    monkeypatch.setattr(Rig, "_measure", measure)
    rigs = await compare(replace(OPTIONS, sessions=3, step=2), MODULES, lambda _level: None)
    assert [[level.sessions for level in rig.levels] for rig in rigs] == [[3, 5], [3, 5, 7, 9], [3, 5, 7]]
    assert [rig.best.sessions for rig in rigs if rig.best is not None] == [3, 7, 5]


async def test_when_its_time_is_over_no_level_is_begun(
    started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def measure(rig: Rig, _options: Options) -> Figures:
        rig.levels.append(FIGURES)
        return FIGURES

    monkeypatch.setattr(Rig, "_measure", measure)
    rigs = await compare(replace(OPTIONS, step=1, limit=0.0), MODULES, lambda _level: None)
    assert [len(rig.levels) for rig in rigs] == [1, 1, 1]
    assert not rigs[0].is_full


def rig_for(server: ThrowawayWebRtc) -> Rig:
    return Rig("floor", Server(server.port, os.getpid(), ""), join_echo(0), "k", SCRIPT)


async def test_a_level_that_fails_is_tried_again_before_it_counts_as_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench_webrtc_run, "LATE_MS", 0.0)
    async with webrtc(ThrowawayWebRtc()) as server:
        rig, options = rig_for(server), replace(OPTIONS, sessions=1, step=1, duration=0.3)
        first = await rig.begin(options)
        assert (first.sustained, rig.is_full) == (False, False)
        again = await rig.rise(options)
        assert (again.sessions, rig.is_full, rig.best) == (1, True, None)


@pytest.mark.parametrize(("cpu_percent", "sessions"), [(0.0, 45), (60.0, 37), (50.0, 42), (90.0, 37), (99.0, 37)])
async def test_it_rises_in_strides_while_the_core_has_room_and_then_in_steps(
    cpu_percent: float, sessions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    async def measure(rig: Rig, _options: Options) -> Figures:
        asked.append(rig._wanted)
        return FIGURES

    monkeypatch.setattr(Rig, "_measure", measure)
    rig = rig_for(ThrowawayWebRtc())
    rig.levels.append(replace(FIGURES, sessions=30, cpu_percent=cpu_percent))
    await rig.rise(replace(OPTIONS, step=7))
    assert asked == [sessions]


async def test_sessions_that_are_turned_away_are_told_and_end_the_rise() -> None:
    async with webrtc(ThrowawayWebRtc(refuses=429)) as server:
        rig = rig_for(server)
        figures = await rig.begin(replace(OPTIONS, duration=0.1))
    assert (figures.failed, figures.sustained, rig.is_full) == (2, False, True)
    assert figures.first_failure == "not opened: 429"
    assert (figures.packet_lateness_p99, figures.rss_kb_per_added_session) == (None, None)


async def test_sessions_that_are_never_configured_are_not_waited_for_forever() -> None:
    def never_joined(number: int, script: TalkScript, tally: TalkTally, rng: random.Random) -> Session:
        session = join_echo(0)(number, script, tally, rng)
        vars(session)["is_joined"] = False
        return session

    async with webrtc(ThrowawayWebRtc()) as server:
        rig = Rig("gateway", Server(server.port, os.getpid(), ""), never_joined, "k", SCRIPT)
        figures = await rig.begin(replace(OPTIONS, sessions=1, duration=0.1))
    assert (figures.sessions, figures.sessions_by_cpu) == (1, None)


@pytest.fixture
async def two() -> AsyncGenerator[WebrtcLoad, None]:
    """A load of two sessions."""
    async with webrtc(ThrowawayWebRtc()) as server:
        async with WebrtcLoad(RtcTarget(server.url, "k"), SCRIPT, join_echo(0), seed=1) as load:
            await load.add()
            await load.add()
            yield load


async def test_sessions_are_sustained_if_all_are_held_answered_whole_and_on_time(two: WebrtcLoad) -> None:
    def is_sustained(late_ms: float | None = 1.0, **changed: Any) -> bool:
        lateness = [] if late_ms is None else [late_ms] * 100
        talk = TalkTally(received=1_000, unanswered=changed.pop("unanswered", 0))
        measured = Measured(talk=talk, lateness=lateness, **changed)
        return _figures("gateway", two, measured, 0.3, None, USED).sustained

    assert is_sustained()
    assert is_sustained(19.9, lost=1)
    assert not is_sustained(20.0)
    assert not is_sustained(None)
    assert not is_sustained(lost=2)
    assert not is_sustained(deaf=1)
    assert not is_sustained(unanswered=1)
    two.failed = 1
    assert not is_sustained()


async def test_an_added_session_costs_what_the_first_does_not(two: WebrtcLoad) -> None:
    figures = _figures("gateway", two, Measured(), 0.5, Alone(0.3, 90_000_000), USED)
    assert figures.cpu_ms_per_session_s == 250.0
    assert figures.cpu_ms_per_added_session_s == 200.0
    assert figures.sessions_by_cpu == 4
    assert figures.rss_kb_per_added_session == 10_000.0
    assert _figures("gateway", two, Measured(), 0.3, Alone(0.3, 0), USED).sessions_by_cpu is None


@pytest.mark.parametrize(("own_ms", "believable"), [([9.9], True), ([10.0], False), ([], False)])
async def test_a_generator_that_is_late_itself_is_not_believed(
    own_ms: list[float], believable: bool, two: WebrtcLoad
) -> None:
    figures = _figures("floor", two, Measured(own_lateness=own_ms), 0.3, None, USED)
    assert figures.believable is believable


async def test_of_voice_to_voice_the_silence_of_a_turn_is_told_apart(two: WebrtcLoad) -> None:
    talk = TalkTally(voice_to_voice=[570.0], sent=10, sent_loud=4, received=10, received_loud=3)
    figures = _figures("gateway", two, Measured(talk=talk), 0.3, None, USED)
    assert (figures.voice_to_voice_p50, figures.beyond_silence_p50) == (570.0, 70.0)
    assert (figures.sound_in_percent, figures.sound_out_percent) == (40.0, 30.0)
