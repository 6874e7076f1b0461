"""The proof as people and programs read it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from gateway.cli.prove_verdict import History, Outcome, percentile

TITLES = ("fault", "calls", "hit", "lost", "silence p50 / p95 / max", "history", "reached")


def table(outcomes: Sequence[Outcome]) -> str:
    """One line a row, and below it what was promised and not reached, and what there is to say."""
    rows = [_cells(outcome) for outcome in outcomes]
    widths = [max(len(row[at]) for row in (TITLES, *rows)) for at in range(len(TITLES))]
    lines = [_line(TITLES, widths), _line(tuple("─" * width for width in widths), widths)]
    lines += [_line(row, widths) for row in rows]
    lines.append("")
    for outcome in outcomes:
        lines.append(f"{outcome.name}: {outcome.fault}")
        lines += [f"  {'✓' if one.is_kept else '✗'} {one.words}{_must(one.is_must)}" for one in outcome.promises]
        if outcome.swallowed:
            lines.append(f"  · {outcome.swallowed} turns were spoken into the fault and not heard")
        lines += [f"  · {note}" for note in outcome.notes]
    return "\n".join(lines)


def _must(is_must: bool) -> str:
    return " (must)" if is_must else ""


def _cells(outcome: Outcome) -> tuple[str, ...]:
    return (
        outcome.fault,
        str(outcome.calls),
        str(outcome.hit),
        str(outcome.lost),
        silence(outcome.silences_ms),
        history(outcome.history),
        "FAILED" if outcome.has_failed else "yes" if outcome.is_reached else "not all",
    )


def silence(silences_ms: Sequence[float]) -> str:
    if not silences_ms:
        return "–"
    values = [percentile(silences_ms, percent) or 0.0 for percent in (50, 95, 100)]
    return f"{' / '.join(f'{value:.0f}' for value in values)} ms"


def history(kept: History | None) -> str:
    percent = None if kept is None else kept.percent
    return "–" if percent is None or kept is None else f"{percent:.1f} % of {kept.turns}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def as_json(outcomes: Sequence[Outcome], facts: dict[str, Any]) -> dict[str, Any]:
    """Everything that was measured, with `facts` of the run: seed, commit, machine."""
    return {**facts, "rows": [_row(outcome) for outcome in outcomes]}


def _row(outcome: Outcome) -> dict[str, Any]:
    silences = outcome.silences_ms
    return {
        **asdict(outcome),
        "silences_ms": [round(value, 1) for value in silences],
        "silence_ms": {f"p{percent}": percentile(silences, percent) for percent in (50, 95, 100)},
        "history_percent": None if outcome.history is None else outcome.history.percent,
        "reached": outcome.is_reached,
        "failed": outcome.has_failed,
    }
