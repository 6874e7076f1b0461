"""The command: which runs it makes, how it shows them, and one short real run of all of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import bench_webrtc, bench_webrtc_costs, bench_webrtc_delays, bench_webrtc_run
from gateway.cli.bench_webrtc import FLOOR, GATEWAY, SOUND_OUT_SHARE, TRANSPORT
from gateway.cli.bench_webrtc_costs import Cost
from gateway.cli.bench_webrtc_delays import Delays
from gateway.cli.bench_webrtc_run import Figures, Modules, Options
from gateway.cli.bench_webrtc_table import table
from simulator.webrtc_mark import FRAME_MS
from tests.gateway.cli.webrtc_figures import FIGURES

ROOT = Path(__file__).parents[3]
ECHO = replace(FIGURES, server="transport")
MADE = replace(FIGURES, server="gateway", cpu_ms_per_added_session_s=20.0, sound_out_percent=40.0)


@dataclass
class StubRig:
    """What the command asks of a rig."""

    name: str
    levels: list[Figures]
    is_full: bool = True

    @property
    def best(self) -> Figures | None:
        return max((one for one in self.levels if one.sustained), key=lambda one: one.sessions, default=None)


@dataclass
class Stubbed:
    """In place of `compare`."""

    floor: list[Figures] = field(default_factory=lambda: [FIGURES])
    transport: list[Figures] = field(default_factory=lambda: [ECHO])
    gateway: list[Figures] = field(default_factory=lambda: [MADE])
    asked: list[tuple[Options, Modules]] = field(default_factory=list)

    async def compare(
        self, options: Options, modules: Modules, tell: Callable[[Figures], None]
    ) -> tuple[StubRig, StubRig, StubRig]:
        self.asked.append((options, modules))
        for level in (*self.floor, *self.transport, *self.gateway):
            tell(level)
        return (
            StubRig("floor", self.floor),
            StubRig("transport", self.transport),
            StubRig("gateway", self.gateway),
        )


def stub(monkeypatch: pytest.MonkeyPatch, stubbed: Stubbed) -> Stubbed:
    monkeypatch.setattr(bench_webrtc_run, "compare", stubbed.compare)
    return stubbed


def test_a_short_real_run_shows_plausible_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow one, about 20 s: three servers in processes of their own, three sessions each."""
    monkeypatch.setattr(bench_webrtc_run, "SETTLE_S", 0.8)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("SWITCHBOARD_TOKEN", "of-a-real-gateway-on-this-machine")
    shown = CliRunner().invoke(bench_webrtc.command, ["--sessions", "4", "--duration", "3", "--json"])
    floor, transport, gateway, summary = [json.loads(line) for line in shown.stdout.splitlines()]
    for level in (floor, transport, gateway):
        assert (level["sessions"], level["failed"], level["first_failure"]) == (4, 0, None)
        # As far apart as they were they fill their time: where a machine stands still there are fewer of them.
        assert level["packets"] * max(level["packet_gap_p99"], FRAME_MS) > 4 * 3_000 / 4
        assert 0 < level["offer_to_answer_p50"] < level["offer_to_packet_p50"] < 10_000
        assert 0 < level["cpu_percent"] <= 1_000
        assert 20 < level["rss_mb"] < 2_000
        assert (level["errors"], level["first_error"]) == (0, None)
    for echo in (floor, transport):
        # A frame to be whole, and what a codec looks ahead, whoever echoes.
        late_ms = echo["packet_lateness_p99"] + echo["generator_lateness_p99"]
        assert 26 < echo["mouth_to_ear_p50"] < 500 + 2 * late_ms
        assert echo["voice_to_voice_p50"] is None
    assert gateway["mouth_to_ear_p50"] is None
    assert summary["at_sessions"] == 4
    assert summary["gateway_cpu_of_floor"] > 0


def test_the_levels_are_shown_side_by_side_and_what_they_come_to(monkeypatch: pytest.MonkeyPatch) -> None:
    stubbed = stub(monkeypatch, Stubbed())
    shown = CliRunner().invoke(bench_webrtc.command, ["--sessions", "10", "--noise", "-50"])
    assert shown.exit_code == 0
    options = Options(sessions=10, step=0, duration=5.0, rate=20.0, noise=-50.0, seed=1, limit=240.0)
    assert stubbed.asked == [(options, Modules(FLOOR, TRANSPORT, GATEWAY))]
    assert shown.stdout.startswith(table([asdict(FIGURES), asdict(ECHO), asdict(MADE)]) + "\n\n")
    assert shown.stdout.splitlines()[-1] == "Mouth to ear our connections add 90.0 ms, stock ones 90.0 ms."
    assert shown.stderr.splitlines()[0] == (
        "floor: 10 sessions, sustained, 80.0 % of the core, p99 of packets late by 9.0 ms"
    )


def test_the_highest_level_of_each_is_shown_too(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [replace(MADE, sessions=count, sustained=count < 30) for count in (10, 20, 30, 30)]
    stub(monkeypatch, Stubbed(gateway=made))
    shown = CliRunner().invoke(bench_webrtc.command, ["--step", "10"])
    assert shown.stdout.splitlines()[0].split() == ["floor", "transport", "gateway", "gateway"]
    assert "gateway 20: 2.0 times the floor." in shown.stdout.splitlines()[-1]
    as_json = CliRunner().invoke(bench_webrtc.command, ["--step", "10", "--json"])
    lines = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert lines[:6] == [asdict(level) for level in (FIGURES, ECHO, *made)]
    assert lines[6]["gateway_sessions_per_core"] == 20


@pytest.mark.parametrize(("percent", "share"), [(40.0, 0.4), (None, SOUND_OUT_SHARE)])
def test_a_profile_stands_beside_what_a_session_was_measured_to_cost(
    percent: float | None, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []

    async def costs(sound_out_share: float) -> list[Cost]:
        shares.append(sound_out_share)
        return [Cost("Opus decoded", 60.0, 50.0)]

    monkeypatch.setattr(bench_webrtc_costs, "costs", costs)
    monkeypatch.setattr(bench_webrtc_delays, "delays", lambda: Delays(30.1, 20.6, 39.6, 29.5, 17.0, 7.5, 26.5))
    stub(monkeypatch, Stubbed(gateway=[replace(MADE, sound_out_percent=percent)]))
    shown = CliRunner().invoke(bench_webrtc.command, ["--profile"])
    assert shares == [share]
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith("Opus decoded")]
    assert line.split() == ["Opus", "decoded", "60.0", "µs", "3.00", "ms", "15", "%"]
    as_json = CliRunner().invoke(bench_webrtc.command, ["--profile", "--json"])
    profile = json.loads(as_json.stdout.splitlines()[3])
    assert profile["measured_ms_per_session_s"] == 20.0
    assert profile["parts"][0]["ms_per_session_s"] == 3.0
    assert profile["delays"]["inbound_mean"] == 30.1


@pytest.mark.parametrize(
    "level",
    [
        replace(MADE, failed=1, sustained=False, first_failure="not opened: 429", packet_lateness_p99=None),
        replace(MADE, unanswered=1, sustained=False),
        replace(MADE, errors=1, first_error="invalid_value: no"),
        replace(MADE, believable=False),
    ],
)
def test_what_failed_or_is_not_to_be_believed_is_an_error_and_says_why(
    level: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(monkeypatch, Stubbed(gateway=[level]))
    shown = CliRunner().invoke(bench_webrtc.command, [])
    assert shown.exit_code == 1
    for why in (level.first_failure, level.first_error):
        assert why is None or f"({why})" in shown.stderr


def test_without_the_load_generator_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(bench_webrtc, "import_module", missing)
    shown = CliRunner().invoke(bench_webrtc.command, [])
    assert shown.exit_code == 2
    assert "pip install 'switchboard-voice[webrtc,bench]'" in shown.stderr


def test_help_says_what_each_figure_is() -> None:
    shown = CliRunner().invoke(bench_webrtc.command, ["--help"])
    for words in ("Mouth to ear", "voice to voice", "Sustained", "computed"):
        assert words in shown.stdout
