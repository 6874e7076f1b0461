"""The command: which runs it makes, how it shows them, and one short real run of all of it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import bench, bench_run
from gateway.cli.bench_run import Figures, Options

ROOT = Path(__file__).parents[3]

FIGURES = Figures(
    server="gateway",
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
)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, tuple[str, ...], Options]]:
    """The runs that were asked for; none of them is made."""
    asked: list[tuple[str, str, tuple[str, ...], Options]] = []

    async def measure(name: str, module: str, arguments: tuple[str, ...], options: Options) -> Figures:
        asked.append((name, module, arguments, options))
        return replace(FIGURES, server=name)

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


def test_the_gateway_alone_is_measured_unless_the_floor_is_asked_for(runs: list[Any]) -> None:
    shown = CliRunner().invoke(bench.command, ["--calls", "7", "--lead", "500"])
    assert shown.exit_code == 0
    options = Options(calls=7, rate=20.0, duration=30.0, barge_in=0.25, noise=-60.0, lead=500, seed=1)
    assert runs == [("gateway", "gateway.cli.main", ("serve",), options)]
    assert shown.stderr == "gateway: 7 calls, 30 s …\n"
    assert shown.stdout == bench.table([asdict(FIGURES)]) + "\n"


def test_the_floor_is_measured_first_and_shown_beside(runs: list[Any]) -> None:
    shown = CliRunner().invoke(bench.command, ["--floor", "--json"])
    assert [run[1] for run in runs] == ["gateway.cli.bench_floor", "gateway.cli.main"]
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
    async def measure(name: str, module: str, arguments: tuple[str, ...], options: Options) -> Figures:
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


def test_the_table_shows_the_runs_side_by_side() -> None:
    floor = replace(FIGURES, server="floor", calls=7, turns=1)
    lines = bench.table([asdict(floor), asdict(FIGURES)]).splitlines()
    assert len(lines) == len(bench.ROWS) + 1
    assert lines[0].split() == ["floor", "gateway"]
    (calls,) = [line for line in lines if line.startswith("calls, failed")]
    assert calls.split() == ["calls,", "failed", "7", "·", "0", "100", "·", "0"]
    at = lines[0].index("gateway")
    assert calls[at:] == "100 · 0"
    assert all(line == line.rstrip() for line in lines)
    assert any("– / – ms" in line for line in lines)
    assert [line.split() for line in lines if line.startswith("sustained")] == [["sustained", "yes", "yes"]]
