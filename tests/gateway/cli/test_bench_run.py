"""One run of the benchmark, shortened, against a throw-away gateway in this process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import bench_run
from gateway.cli.bench_fleet import Fleet
from gateway.cli.bench_run import Options, Seen, Span, Subject, _figures, measure, percentile
from gateway.cli.bench_server import Server, Used
from gateway.cli.bench_wire import Crossed
from simulator.load import Load, Target, script_for
from tests.simulator.throwaway_gateway import AUTH_TOKEN, Line, ThrowawayGateway, tone, twiml
from tests.simulator.throwaway_gateway import running as throwaway

OPTIONS = Options(calls=3, rate=50.0, duration=0.6, barge_in=0.0, noise=-60.0, lead=300, seed=1)


async def hum(line: Line) -> None:
    """Sound without end, as much as the caller sends."""
    while True:
        await line.until("media", len(line.of("media")) + 1)
        await line.play(tone(20))


@pytest.mark.anyio
@pytest.mark.parametrize("is_alone", [False, True], ids=["several cores", "one core"])
async def test_a_run_measures_what_all_its_calls_have_seen(
    is_alone: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cores, pinned = os.sched_getaffinity(0), [set[int]()]
    shown = {min(cores)} if is_alone else {0, 1}
    started: list[dict[str, Any]] = []

    @asynccontextmanager
    async def fleet(module: str, *arguments: str, **options: Any) -> AsyncGenerator[Fleet, None]:
        started.append({"module": module, "arguments": arguments} | options)
        async with throwaway(ThrowawayGateway(agent=hum)) as gateway:
            stream = gateway.url.replace("http", "ws") + "/media/token"
            gateway.pages["/twilio/voice"] = f'<Connect><Stream url="{stream}"/></Connect>'
            server = Server(gateway.port, os.getpid(), AUTH_TOKEN)
            yield Fleet((server,), gateway.port, AUTH_TOKEN)

    monkeypatch.setattr(bench_run, "fleet", fleet)
    monkeypatch.setattr(bench_run, "SETTLE_S", 0.1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: shown)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _pid, cores: pinned.append(set(cores)))
    figures = await measure(Subject("throw-away", "some.module", ("serve",)), OPTIONS)
    assert (figures.server, figures.workers, figures.calls, figures.failed) == ("throw-away", 1, 3, 0)
    assert (figures.sustained, figures.frame_lateness_p99, figures.underruns) == (True, None, 0), (
        "an echo has no pace"
    )
    assert figures.generator_lateness_p99 is not None
    assert figures.cpu_percent >= 0
    assert figures.cpu_ms_per_call_s == pytest.approx(figures.cpu_percent * 10 / 3, rel=0.02, abs=0.2)
    assert figures.rss_mb > 5
    assert (figures.turns, figures.barge_ins, figures.voice_to_voice_p95) == (0, 0, None)
    assert (figures.redis, figures.cpu_ms_per_short_call) == (None, None)
    assert figures.descriptors >= 6, "both ends of three streams"
    assert 50 * 216 / 2 < figures.bytes_to_gateway_per_call_s < 50 * 600, "frames of 160 bytes in base64"
    assert 50 * 216 / 2 < figures.bytes_from_gateway_per_call_s < 50 * 600
    assert 20 < figures.messages_per_call_s < 150
    (start,) = started
    (log,) = os.listdir(tmp_path)
    assert start.pop("log") == tmp_path / log
    core = None if is_alone else 1
    assert start == {
        "module": "some.module",
        "arguments": ("serve",),
        "workers": 1,
        "core": core,
        "lead_ms": 300,
        "settings": {},
        "seed": 1,
    }
    assert pinned[1:] == ([shown] if is_alone else [{0}, shown])


@pytest.mark.anyio
async def test_a_call_that_cannot_be_placed_has_failed_and_the_others_are_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    @asynccontextmanager
    async def fleet(*_: str, **__: Any) -> AsyncGenerator[Fleet, None]:
        async with throwaway(ThrowawayGateway(agent=hum)) as gateway:
            stream = gateway.url.replace("http", "ws") + "/media/token"
            asked = 0

            def voice(_form: dict[str, str]) -> web.Response:
                nonlocal asked
                asked += 1
                return (
                    web.Response(status=500)
                    if asked == 2
                    else twiml(f'<Connect><Stream url="{stream}"/></Connect>')
                )

            gateway.pages["/twilio/voice"] = voice
            yield Fleet((Server(gateway.port, os.getpid(), AUTH_TOKEN),), gateway.port, AUTH_TOKEN)

    monkeypatch.setattr(bench_run, "fleet", fleet)
    monkeypatch.setattr(bench_run, "SETTLE_S", 0.1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    figures = await measure(Subject("throw-away", "some.module"), replace(OPTIONS, duration=0.2))
    assert (figures.calls, figures.failed, figures.sustained) == (3, 1, False)


@pytest.mark.parametrize(
    ("failed", "unanswered", "late_ms", "sustained"),
    [(0, 0, 19.9, True), (1, 0, 0.0, False), (0, 1, 0.0, False), (0, 0, 20.0, False)],
)
def test_calls_are_sustained_if_all_are_held_answered_and_on_time(
    failed: int, unanswered: int, late_ms: float, sustained: bool
) -> None:
    script = script_for([], noise_dbfs=-60.0, lead_s=0.3, barge_in_share=0.0, seed=1)
    load = Load(Target("http://127.0.0.1/twilio/voice", AUTH_TOKEN, "AC"), script, seed=1)
    load.failed, load.tally.unanswered = failed, unanswered
    load.tally.voice_to_voice, load.tally.lateness = [520.0], [late_ms] * 100
    load.tally.clears_by_phrase = {"hello": [40.0, 60.0], "stop": [150.0]}
    span = Span(took_s=1.0, cpu_s=0.3, crossed=Crossed(60_000, 30_000, 150, 33, 200))
    seen = Seen(Used(0.0, 100_000_000), Used(0.3, 100_200_000), 27, span, short_cpu_s=0.2, moments=None)
    figures = _figures(Subject("gateway", "some.module"), load, replace(OPTIONS, short_calls=10), seen)
    assert figures.sustained is sustained
    assert (figures.slowest_phrase, figures.slowest_phrase_p50, figures.other_phrases_p95) == ("stop", 150.0, 60.0)
    assert (figures.cpu_percent, figures.cpu_ms_per_call_s, figures.rss_kb_per_added_call) == (30.0, 100.0, 100.0)
    assert (figures.bytes_to_gateway_per_call_s, figures.bytes_from_gateway_per_call_s) == (20_000.0, 10_000.0)
    assert (figures.messages_per_call_s, figures.descriptors, figures.cpu_ms_per_short_call) == (61.0, 27, 20.0)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 50, None),
        ([7.0], 1, 7.0),
        ([7.0], 99, 7.0),
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([float(n) for n in range(100)], 50, 50.0),
        ([float(n) for n in range(100)], 95, 95.0),
        ([float(n) for n in range(100)], 99, 99.0),
        ([float(n) for n in range(100)], 100, 99.0),
        ([1.26], 50, 1.3),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(
    values: list[float], percent: float, expected: float | None
) -> None:
    assert percentile(values, percent) == expected


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 100))
def test_so_many_percent_lie_below_a_percentile(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found is not None
    below = sum(value < found - 0.1 for value in values)
    above = sum(value > found + 0.1 for value in values)
    assert below <= len(values) * percent / 100 + 1
    assert above <= len(values) * (1 - percent / 100) + 1
