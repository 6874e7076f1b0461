"""The command: which runs it makes, how it shows them, and one short real run of all of it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import bench, bench_run, bench_table
from gateway.cli.bench_run import Figures, Options, Subject
from tests.gateway.cli.test_bench_redis import REDIS

ROOT = Path(__file__).parents[3]

FIGURES = Figures(
    server="gateway",
    workers=1,
    calls=100,
    sustained=True,
    failed=0,
    cpu_percent=12.3,
    cpu_ms_per_call_s=1.234,
    rss_mb=210.5,
    rss_kb_per_added_call=120.5,
    voice_to_voice_p50=541.0,
    voice_to_voice_p95=560.1,
    barge_in_to_clear_p50=None,
    barge_in_to_clear_p95=None,
    slowest_phrase=None,
    slowest_phrase_p50=None,
    other_phrases_p95=None,
    frame_lateness_p50=1.1,
    frame_lateness_p95=5.5,
    frame_lateness_p99=9.9,
    underruns=0,
    turns=432,
    unanswered=0,
    barge_ins=0,
    unstopped=0,
    generator_lateness_p99=0.4,
    cpu_ms_per_short_call=None,
    descriptors=123,
    bytes_to_gateway_per_call_s=20_000.1,
    bytes_from_gateway_per_call_s=8_000.2,
    messages_per_call_s=60.05,
    redis=None,
)

GATEWAY = Subject("gateway", "gateway.cli.main", ("serve",))
FLOOR = Subject("floor: uvicorn + Starlette echo", "gateway.cli.bench_floor")
OPTIONS = Options(calls=100, rate=20.0, duration=30.0, barge_in=0.25, noise=-60.0, lead=300, seed=1)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Subject, Options]]:
    """The runs that were asked for; none of them is made."""
    asked: list[tuple[Subject, Options]] = []

    async def measure(subject: Subject, options: Options) -> Figures:
        asked.append((subject, options))
        return replace(FIGURES, server=subject.name, redis=REDIS if subject.has_redis else None)

    monkeypatch.setattr(bench_run, "measure", measure)
    return asked


def test_a_short_real_run_shows_plausible_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow one, about 20 s: a real gateway in a process of its own, three conversing calls."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    shown = CliRunner().invoke(bench.command, ["--calls", "3", "--duration", "3", "--barge-in", "0.5", "--json"])
    assert shown.exit_code == 0, shown.output
    figures = json.loads(shown.stdout)
    assert (figures["calls"], figures["failed"], figures["unanswered"]) == (3, 0, 0)
    assert figures["turns"] > 0
    # No answer comes before the silence that ends a turn.
    assert 200 < figures["voice_to_voice_p50"] <= figures["voice_to_voice_p95"] < 10_000
    assert 0 < figures["cpu_percent"] <= 1_000
    assert 20 < figures["rss_mb"] < 2_000
    assert figures["frame_lateness_p99"] < 3_000
    assert (figures["redis"], figures["cpu_ms_per_short_call"]) == (None, None)


def test_a_short_real_run_with_redis_shows_what_redis_does_and_what_crosses_the_wire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """About 17 s: two gateways one after the other, the second with a redis-server; calls hear their greeting."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(bench_run, "SETTLE_S", 1.0)
    monkeypatch.setattr(bench_run, "IDLE_S", 1.0)
    monkeypatch.setattr(bench_run, "SHORT_SETTLE_S", 0.5)
    monkeypatch.setattr(bench_run, "AT_ONCE", 1)
    monkeypatch.setattr(bench, "SHORT_CALLS", 2)
    shown = CliRunner().invoke(bench.command, ["--calls", "3", "--duration", "2", "--redis", "--json"])
    assert shown.exit_code == 0, shown.output
    without, with_redis = (json.loads(line) for line in shown.stdout.splitlines())
    for figures in (without, with_redis):
        assert (figures["calls"], figures["failed"], figures["unanswered"]) == (3, 0, 0)
        assert 0 < figures["cpu_ms_per_short_call"] < 5_000
        assert 3 < figures["descriptors"] < 500
        # 50 frames a second of 160 bytes, which are 216 in base64, and JSON around them.
        assert 40 * 216 < figures["bytes_to_gateway_per_call_s"] < 60 * 600
        assert 0 < figures["bytes_from_gateway_per_call_s"] < 60 * 600
        assert 40 < figures["messages_per_call_s"] < 150
    assert without["redis"] is None
    redis = with_redis["redis"]
    assert 0 < redis["scripts_per_call_s"] < redis["commands_per_call_s"] < 1_000
    assert {"evalsha", "hset"} <= set(redis["by_command"]) and "info" not in redis["by_command"]
    assert 0 < redis["reads_per_call_s"] < redis["commands_per_call_s"]
    assert 100 < redis["bytes_in_per_call_s"] < 1e6 and 0 < redis["bytes_out_per_call_s"] < 1e6
    assert redis["idle_commands_per_s"] > 0
    assert redis["commands_per_short_call"] > 10
    assert 0.5 < redis["memory_mb"] < 100
    assert 0 <= redis["cpu_percent"] < 100


def test_the_gateway_alone_is_measured_unless_the_floor_is_asked_for(runs: list[tuple[Subject, Options]]) -> None:
    shown = CliRunner().invoke(bench.command, ["--calls", "7", "--lead", "500"])
    assert shown.exit_code == 0
    assert runs == [(GATEWAY, replace(OPTIONS, calls=7, lead=500))]
    assert shown.stderr == "gateway: 7 calls, 30 s …\n"
    assert shown.stdout == bench_table.table([asdict(FIGURES)]) + "\n"


def test_the_floor_is_measured_first_and_shown_beside(runs: list[tuple[Subject, Options]]) -> None:
    shown = CliRunner().invoke(bench.command, ["--floor", "--json"])
    assert runs == [(FLOOR, OPTIONS), (GATEWAY, OPTIONS)]
    figures = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [figure["server"] for figure in figures] == ["floor: uvicorn + Starlette echo", "gateway"]
    assert figures[1] == asdict(FIGURES)


@pytest.mark.parametrize(("failed", "unanswered", "code"), [(0, 0, 0), (1, 0, 1), (0, 1, 1)])
def test_calls_that_failed_or_heard_no_answer_are_an_error(
    failed: int, unanswered: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def measure(*_: object) -> Figures:
        return replace(FIGURES, failed=failed, unanswered=unanswered)

    monkeypatch.setattr(bench_run, "measure", measure)
    assert CliRunner().invoke(bench.command, []).exit_code == code


def test_more_calls_are_added_for_as_long_as_they_are_sustained(monkeypatch: pytest.MonkeyPatch) -> None:
    async def measure(subject: Subject, options: Options) -> Figures:
        return replace(FIGURES, calls=options.calls, sustained=options.calls < 140)

    monkeypatch.setattr(bench_run, "measure", measure)
    shown = CliRunner().invoke(bench.command, ["--step", "20", "--json"])
    figures = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [(figure["calls"], figure["sustained"]) for figure in figures] == [
        (100, True),
        (120, True),
        (140, False),
    ]


def test_without_the_load_generator_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(bench, "import_module", missing)
    shown = CliRunner().invoke(bench.command, [])
    assert shown.exit_code == 2
    assert "pip install 'switchboard-voice[bench]'" in shown.stderr


@pytest.mark.parametrize(("workers", "name"), [(1, "gateway, Redis"), (4, "4 gateways, Redis")])
def test_redis_is_measured_beside_the_gateway_alone_and_with_as_many_workers_as_are_asked_for(
    workers: int, name: str, runs: list[tuple[Subject, Options]]
) -> None:
    shown = CliRunner().invoke(bench.command, ["--floor", "--redis", "--workers", str(workers)])
    assert shown.exit_code == 0, shown.output
    options = replace(OPTIONS, short_calls=bench.SHORT_CALLS)
    both = replace(GATEWAY, name=name, workers=workers, has_redis=True)
    assert runs == [(FLOOR, OPTIONS), (GATEWAY, options), (both, options)], "an echo ends no call"
    *_, last = shown.stdout.splitlines()
    assert last.startswith("With Redis it is 1.00 times the CPU a call-second")


def test_several_workers_without_redis_are_refused(runs: list[tuple[Subject, Options]]) -> None:
    shown = CliRunner().invoke(bench.command, ["--workers", "2"])
    assert (shown.exit_code, runs) == (2, [])
    assert "add --redis" in shown.stderr


@pytest.mark.parametrize("depth", [0, 2])
def test_what_hinders_a_run_is_told_in_its_own_words(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def measure(*_: object) -> Figures:
        error: Exception = RuntimeError("redis-server is not on PATH")
        for _level in range(depth):
            error = ExceptionGroup("more", [error])
        raise error

    monkeypatch.setattr(bench_run, "measure", measure)
    shown = CliRunner().invoke(bench.command, ["--redis"])
    assert shown.exit_code == 1
    assert shown.stderr.endswith("Error: redis-server is not on PATH\n")


def test_a_fault_of_our_own_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    async def measure(*_: object) -> Figures:
        raise ExceptionGroup("more", [KeyError("used_memory")])

    monkeypatch.setattr(bench_run, "measure", measure)
    assert isinstance(CliRunner().invoke(bench.command, []).exception, ExceptionGroup)
