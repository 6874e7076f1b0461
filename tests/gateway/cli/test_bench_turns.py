"""The command: which arms it plays, how it shows them, and one short real run of all of it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import bench_turns, bench_turns_run
from gateway.cli.bench_turns_options import Options
from gateway.cli.bench_turns_run import ARMS, Arm, Outcome
from gateway.cli.bench_turns_table import figures_of, floors, table
from simulator.turn_call import Waited
from tests.gateway.cli.test_bench_turns_table import PLAIN

ROOT = Path(__file__).parents[3]
ANSWERED = replace(PLAIN, waited=PLAIN.waited[:3])


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Options]]:
    """The arms that were asked for; none of them is played."""
    asked: list[tuple[str, Options]] = []

    async def run_arm(arm: Arm, options: Options) -> Outcome:
        asked.append((arm.name, options))
        return replace(ANSWERED, arm=arm)

    monkeypatch.setattr(bench_turns_run, "run_arm", run_arm)
    return asked


def test_a_short_real_run_shows_what_an_early_guess_saves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow one, some 40 s: two real gateways and stand-ins in processes of their own, one caller."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    arguments = ["--calls", "1", "--turns", "1", "--pauses", "0", "--slow", "0", "--json"]
    shown = CliRunner().invoke(bench_turns.command, [*arguments, "--arm", "plain", "--arm", "both"])
    assert shown.exit_code == 0, shown.output
    plain, both = map(json.loads, shown.stdout.splitlines())
    assert (plain["arm"], plain["turns"], plain["requests"], plain["guesses"]) == ("plain", 1, 1, 0)
    assert (both["arm"], both["turns"], both["kept"]) == ("both", 1, 1)
    # No answer comes before the silence that ends a turn and the transcript behind it.
    assert plain["answer_p50"] > 500 + 100
    assert plain["output_tokens"] > 10


def test_all_arms_are_played_and_compared_with_the_first(played: list[tuple[str, Options]]) -> None:
    shown = CliRunner().invoke(bench_turns.command, ["--calls", "3", "--silence", "400"])
    assert shown.exit_code == 0, shown.output
    options = Options(
        calls=3, turns=6, pauses=0.2, stt=150, llm=300, tts=120, slow=0.05, silence=400, noise=-60.0, seed=1
    )
    assert played == [(arm.name, options) for arm in ARMS]
    assert shown.stderr.splitlines()[0] == "plain: 3 calls, 6 turns each …"
    figures = [asdict(figures_of(replace(ANSWERED, arm=arm), ANSWERED)) for arm in ARMS]
    assert shown.stdout.splitlines() == [*table(figures).splitlines(), "", *floors(options)]


def test_arms_can_be_chosen(played: list[tuple[str, Options]]) -> None:
    shown = CliRunner().invoke(bench_turns.command, ["--arm", "both", "--arm", "hedging", "--json"])
    assert [name for name, _ in played] == ["hedging", "both"]
    assert [json.loads(line)["arm"] for line in shown.stdout.splitlines()] == ["hedging", "both"]


@pytest.mark.parametrize(
    "outcome", [replace(ANSWERED, failed=1), replace(ANSWERED, waited=[Waited(0, None, None, 0)])]
)
def test_calls_that_failed_or_heard_no_answer_are_an_error(
    outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run_arm(arm: Arm, options: Options) -> Outcome:
        return outcome

    monkeypatch.setattr(bench_turns_run, "run_arm", run_arm)
    assert CliRunner().invoke(bench_turns.command, ["--arm", "plain"]).exit_code == 1


def test_without_the_load_generator_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gateway.cli.bench_turns_run", None)
    shown = CliRunner().invoke(bench_turns.command, [])
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert "switchboard-voice[bench]" in shown.stderr


def test_the_names_of_the_arms_are_those_there_are() -> None:
    assert [arm.name for arm in ARMS] == list(bench_turns.ARM_NAMES)
