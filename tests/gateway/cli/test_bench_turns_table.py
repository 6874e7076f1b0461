"""What is made of what the callers had, and how it is shown."""

from __future__ import annotations

from dataclasses import asdict, replace

from gateway.cli.bench_turns_options import Options
from gateway.cli.bench_turns_run import ARMS, Outcome
from gateway.cli.bench_turns_table import ROWS, figures_of, floors, table
from pipeline.turn.early_end import EARLY_MS
from simulator.standins.turn_ledger import Bill
from simulator.turn_call import Waited

OPTIONS = Options(
    calls=2, turns=2, pauses=0.2, stt=150, llm=300, tts=120, slow=0.05, silence=500, noise=-60.0, seed=1
)
BILL = Bill(
    input_tokens=1_000,
    output_tokens=200,
    wasted_input_tokens=200,
    wasted_output_tokens=10,
    requests=5,
    guesses=3,
    kept=2,
    abandoned=1,
    second_requests=1,
    second_transcripts=0,
    split_turns=0,
)
PLAIN = Outcome(
    arm=ARMS[0],
    waited=[Waited(0, 1.1, 1.1, 0), Waited(1, 1.2, 1.2, 0), Waited(2, 1.7, 3.0, 1), Waited(3, 1.7, None, 2)],
    bill=BILL,
    failed=0,
    generator_lateness_p99=0.5,
)
QUICK = replace(PLAIN, arm=ARMS[1], waited=[Waited(0, 0.7, 0.7, 0), Waited(2, 0.8, 0.8, 0)])
NOTHING = replace(PLAIN, waited=[], bill=Bill(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), generator_lateness_p99=None)


def test_answers_are_compared_turn_by_turn_and_by_percentile() -> None:
    figures = figures_of(QUICK, PLAIN)
    assert (figures.arm, figures.turns, figures.unanswered) == ("preemptive", 2, 0)
    assert (figures.answer_p50, figures.answer_p99) == (800.0, 800.0)
    assert figures.saved_median == figures.saved_mean == 1300.0
    assert (figures.saved_p50, figures.saved_p99) == (400.0, 2200.0)


def test_fillers_are_sounds_and_no_answers() -> None:
    figures = figures_of(PLAIN, PLAIN)
    assert (figures.turns, figures.unanswered, figures.fillers) == (4, 1, 3)
    assert (figures.answer_p99, figures.sound_p99) == (3000.0, 1700.0)
    assert (figures.saved_median, figures.saved_p95) == (0.0, 0.0)


def test_waste_is_a_share_of_what_was_billed() -> None:
    figures = figures_of(PLAIN, PLAIN)
    wasted = (figures.wasted_input_percent, figures.wasted_output_percent, figures.wasted_percent)
    assert wasted == (20.0, 5.0, 17.5)
    assert figures_of(NOTHING, PLAIN).wasted_percent == 0.0


def test_the_arms_stand_side_by_side() -> None:
    lines = table([asdict(figures_of(one, PLAIN)) for one in (PLAIN, QUICK)]).splitlines()
    assert lines[0].split() == ["plain", "preemptive"]
    assert [line[: len(title)] for line, (title, _) in zip(lines[1:], ROWS, strict=True)] == [
        title for title, _ in ROWS
    ]
    assert lines[2].split("   ")[-1].strip() == "800 / 800 / 800"
    assert "1200 / 3000 / 3000" in lines[2]


def test_nothing_measured_is_a_dash() -> None:
    lines = table([asdict(figures_of(NOTHING, NOTHING))]).splitlines()
    assert [line.split()[-1] for line in lines[2:6]] == ["–"] * 4


def test_the_floors_add_up_what_the_stand_ins_take() -> None:
    plain, preemptive = floors(OPTIONS)
    assert plain.endswith(f"= {500 + 150 + 300 + 50 + 120} ms")
    assert preemptive.endswith(f": {max(500 + 150, EARLY_MS + 300 + 50 + 120)} ms")
    short = floors(replace(OPTIONS, silence=100))
    assert short[1].endswith(f": {100 + 300 + 50 + 120} ms"), "no guess comes after the turn is over"
