from __future__ import annotations

from gateway.cli.prove_table import as_json, history, silence, table
from gateway.cli.prove_verdict import History, Outcome, Promise

MENDED = Outcome(
    name="kill-9",
    fault="kill -9",
    calls=40,
    hit=20,
    lost=0,
    silences_ms=(100.0, 50.0, 150.25),
    history=History(99, 100),
    swallowed=2,
    promises=(Promise("0 calls lost", True, is_must=True), Promise("silence", False)),
    notes=("a note",),
)
FAILED = Outcome(
    name="races", fault="races", calls=2, hit=2, lost=1, promises=(Promise("one winner", False, is_must=True),)
)
FINE = Outcome(name="fine", fault="nothing", calls=1, hit=0, lost=0)


def test_the_table_has_a_line_for_each_row_and_below_it_each_promise() -> None:
    lines = table([MENDED, FAILED, FINE]).splitlines()
    assert lines[0].split("  ")[0] == "fault"
    assert lines[2].split() == ("kill -9 40 20 0 100 / 150 / 150 ms 99.0 % of 100 not all".split())
    assert lines[3].split() == "races 2 2 1 – – FAILED".split()
    assert lines[4].split() == "nothing 1 0 0 – – yes".split()
    assert lines[5:] == [
        "",
        "kill-9: kill -9",
        "  ✓ 0 calls lost (must)",
        "  ✗ silence",
        "  · 2 turns were spoken into the fault and not heard",
        "  · a note",
        "races: races",
        "  ✗ one winner (must)",
        "fine: nothing",
    ]


def test_what_was_not_measured_is_a_dash() -> None:
    assert (silence(()), history(None), history(History(0, 0))) == ("–", "–", "–")


def test_the_json_has_every_figure_and_the_facts_of_the_run() -> None:
    told = as_json([MENDED, FAILED], {"seed": 7})
    first, second = told["rows"]
    assert told["seed"] == 7
    assert first["silence_ms"] == {"p50": 100.0, "p95": 150.25, "p100": 150.25}
    assert first["silences_ms"] == [100.0, 50.0, 150.2]
    assert (first["history_percent"], first["swallowed"], first["lost"]) == (99.0, 2, 0)
    assert (first["reached"], first["failed"], second["failed"]) == (False, False, True)
    assert second["history_percent"] is None
    assert first["promises"][0] == {"words": "0 calls lost", "is_kept": True, "is_must": True}
