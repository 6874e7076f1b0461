"""The command: which runs it makes, how it shows them, and one short real run of all of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import bench_realtime, bench_realtime_run
from gateway.cli.bench_realtime import FLOOR, GATEWAY, summary_of, table, told
from gateway.cli.bench_realtime_run import Figures, Options
from tests.gateway.cli.realtime_figures import FIGURES

ROOT = Path(__file__).parents[3]

ECHO = replace(FIGURES, sessions=100, cpu_percent=80.0)
MADE = replace(
    ECHO,
    server="gateway",
    cpu_ms_per_session_s=4.0,
    delta_p50=2.0,
    delta_p95=4.5,
    further_delta_p50=0.4,
    further_delta_p95=0.9,
    turns=55,
)


@dataclass
class StubRig:
    """What the command asks of a rig."""

    levels: list[Figures]
    is_full: bool = True
    asked: list[tuple[Options, str, str]] = field(default_factory=list)

    @property
    def best(self) -> Figures | None:
        return max((one for one in self.levels if one.sustained), key=lambda one: one.sessions, default=None)


def stub(monkeypatch: pytest.MonkeyPatch, floor: StubRig, gateway: StubRig) -> None:
    async def compare(
        options: Options, gateway_module: str, floor_module: str, tell: Callable[[Figures], None]
    ) -> tuple[StubRig, StubRig]:
        floor.asked.append((options, gateway_module, floor_module))
        for level in (*floor.levels, *gateway.levels):
            tell(level)
        return floor, gateway

    monkeypatch.setattr(bench_realtime_run, "compare", compare)


def test_a_short_real_run_shows_plausible_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow one, about 15 s: a real gateway in a process of its own, three sessions."""
    monkeypatch.setattr(bench_realtime_run, "SETTLE_S", 1.0)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("SWITCHBOARD_TOKEN", "of-a-real-gateway-on-this-machine")
    shown = CliRunner().invoke(bench_realtime.command, ["--sessions", "3", "--duration", "5", "--json"])
    floor, gateway, summary = [json.loads(line) for line in shown.stdout.splitlines()]
    for level in (floor, gateway):
        assert (level["sessions"], level["failed"], level["first_failure"]) == (3, 0, None)
        assert 0 < level["round_trip_p50"] < 1_000
        assert 0 < level["cpu_percent"] <= 1_000
        assert 20 < level["rss_mb"] < 2_000
    assert (gateway["errors"], gateway["first_error"], gateway["unanswered"]) == (0, None, 0)
    assert gateway["turns"] > 0
    assert gateway["delta_kb"] == pytest.approx(floor["delta_kb"], rel=0.05), (
        "the echo's frame is as large as a delta"
    )
    assert summary["at_sessions"] == 3
    assert shown.exit_code == (0 if summary["believable"] else 1)


def test_the_levels_are_shown_side_by_side_and_what_they_come_to(monkeypatch: pytest.MonkeyPatch) -> None:
    floor, gateway = StubRig([ECHO]), StubRig([MADE])
    stub(monkeypatch, floor, gateway)
    shown = CliRunner().invoke(bench_realtime.command, ["--sessions", "100", "--noise", "-50"])
    assert shown.exit_code == 0
    options = Options(sessions=100, step=0, duration=5.0, rate=50.0, noise=-50.0, seed=1, limit=160.0)
    assert floor.asked == [(options, GATEWAY, FLOOR)]
    assert shown.stdout.startswith(table([asdict(ECHO), asdict(MADE)]) + "\n\n")
    assert shown.stdout.splitlines()[-2:] == [
        "At 100 sessions, beyond an echo of its size, the first delta takes 1.7 ms (p95 3.9); "
        "each further one comes after 0.4 ms (p95 0.9).",
        "An echo of the frames costs 0.5 of the CPU that a session costs.",
    ]
    assert (
        shown.stderr.splitlines()[0]
        == "floor: 100 sessions, sustained, 80.0 % of the core, p99 there and back 1.0 ms"
    )


def test_the_highest_level_of_each_is_shown_too_and_their_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    echoes = [replace(ECHO, sessions=count, sustained=count < 250) for count in (100, 200, 250, 250)]
    made = [replace(MADE, sessions=count, sustained=count < 180) for count in (100, 150, 180, 180)]
    stub(monkeypatch, StubRig(echoes), StubRig(made))
    shown = CliRunner().invoke(bench_realtime.command, ["--step", "20"])
    assert shown.stdout.splitlines()[0].split() == ["floor", "gateway", "floor", "gateway"]
    last = "Sessions per core: floor 200, gateway 150: 0.75 of the floor (aim: 0.6)."
    assert shown.stdout.splitlines()[-1] == last
    as_json = CliRunner().invoke(bench_realtime.command, ["--step", "20", "--json"])
    lines = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert lines[:8] == [asdict(level) for level in (*echoes, *made)]
    assert (lines[8]["ratio"], lines[8]["floor_sessions_per_core"]) == (0.75, 200)


def test_a_rise_that_time_has_ended_says_at_least() -> None:
    summary = summary_of([asdict(ECHO)], [asdict(MADE)], floor_is_full=False, gateway_is_full=True)
    assert told(summary, stepped=True)[-1] == (
        "Sessions per core: floor at least 100, gateway 100: 1.0 of the floor (aim: 0.6)."
    )


def test_a_server_that_did_not_carry_the_first_level_carries_fewer() -> None:
    made = asdict(replace(MADE, sustained=False))
    summary = summary_of([asdict(ECHO)], [made], floor_is_full=True, gateway_is_full=True)
    assert told(summary, stepped=True)[-1] == (
        "Sessions per core: floor 100, gateway fewer than 100: – of the floor (aim: 0.6)."
    )


def test_where_nothing_was_measured_there_is_no_figure() -> None:
    nothing = asdict(replace(ECHO, sustained=False, believable=False, delta_p50=None, cpu_ms_per_session_s=0.0))
    summary = summary_of([nothing], [nothing], floor_is_full=True, gateway_is_full=True)
    assert (summary["added_first_delta_p50"], summary["ratio"], summary["cpu_ratio"]) == (None, None, None)
    assert summary["believable"], "what was not sustained proves nothing either way"
    assert "the first delta takes – ms" in told(summary, stepped=False)[0]


def test_figures_of_a_generator_that_was_late_are_not_to_be_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    stub(monkeypatch, StubRig([replace(ECHO, believable=False)]), StubRig([MADE]))
    shown = CliRunner().invoke(bench_realtime.command, [])
    assert shown.exit_code == 1
    assert shown.stdout.splitlines()[-1].startswith("Not to be believed: ")


@pytest.mark.parametrize(
    ("cpu_percent", "is_full", "believable"), [(64.9, True, False), (65.0, True, True), (9.0, False, True)]
)
def test_a_floor_that_is_late_with_its_core_half_idle_is_not_to_be_believed(
    cpu_percent: float, is_full: bool, believable: bool
) -> None:
    late = asdict(replace(ECHO, sustained=False, cpu_percent=cpu_percent))
    summary = summary_of([asdict(ECHO), late], [asdict(MADE)], floor_is_full=is_full, gateway_is_full=True)
    assert summary["believable"] is believable


@pytest.mark.parametrize(
    "level",
    [
        replace(MADE, failed=1, sustained=False, first_failure="closed with 3000: invalid_api_key"),
        replace(MADE, unanswered=1, sustained=False),
        replace(MADE, errors=1, first_error="invalid_value: no"),
    ],
)
def test_sessions_that_failed_are_an_error_and_say_why(level: Figures, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(monkeypatch, StubRig([ECHO]), StubRig([level]))
    shown = CliRunner().invoke(bench_realtime.command, [])
    assert shown.exit_code == 1
    for why in (level.first_failure, level.first_error):
        assert why is None or f"({why})" in shown.stderr


def test_without_the_load_generator_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(bench_realtime, "import_module", missing)
    shown = CliRunner().invoke(bench_realtime.command, [])
    assert shown.exit_code == 2
    assert "pip install 'switchboard-voice[bench]'" in shown.stderr


def test_the_table_has_a_line_for_each_figure() -> None:
    lines = table([asdict(ECHO), asdict(MADE)]).splitlines()
    assert len(lines) == len(bench_realtime.ROWS) + 1
    assert all(line == line.rstrip() for line in lines)
    (further,) = [line for line in lines if line.startswith("each further")]
    assert "– / – / – ms" in further
    assert "0.4 / 0.9 / – ms" in further
    assert [line.split() for line in lines if line.startswith("sustained")] == [["sustained", "yes", "yes"]]
