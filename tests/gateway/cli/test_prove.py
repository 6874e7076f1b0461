"""The proof, shortened: real workers, a real Redis, real signals. What must hold is asserted, and no time is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.prove import ROWS, SHORT_ROWS, command, facts_of


def test_the_short_proof_loses_no_call_and_no_turn(tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    ran = CliRunner().invoke(command, ["--short", "--json", str(file), "--log-dir", str(tmp_path / "logs")])
    assert ran.exit_code == 0, f"{ran.output}\n{ran.exception!r}"
    told = json.loads(file.read_text())
    rows = {row["name"]: row for row in told["rows"]}
    assert tuple(rows) == SHORT_ROWS
    assert {name: row["lost"] for name, row in rows.items()} == dict.fromkeys(rows, 0)
    assert (told["seed"], told["target"]) == (1, None)
    assert rows["races"]["calls"] == 200
    for name in ("kill-9", "term-move"):
        assert rows[name]["history_percent"] >= 99
        assert rows[name]["hit"] > 0, "the worker had calls"
    for row in rows.values():
        assert f"{row['name']}: {row['fault']}" in ran.output


@pytest.mark.parametrize("option", ["--row=unknown", "--calls=1"])
def test_wrong_use_is_refused(option: str) -> None:
    assert CliRunner().invoke(command, [option]).exit_code == 2


def test_every_short_row_is_a_row() -> None:
    assert set(SHORT_ROWS) < set(ROWS)


def test_the_facts_of_a_run_name_its_seed_and_commit() -> None:
    facts = facts_of(7, "https://bot.example/voice")
    assert (facts["seed"], facts["target"]) == (7, "https://bot.example/voice")
    assert facts["commit"]
    assert "cores" in facts["machine"]
