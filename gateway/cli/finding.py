"""What a check of the doctor's found: a fact, a warning, a problem with its cure, or that it was not made."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.cli.page import Page, Piece


class Verdict(enum.Enum):
    FINE = "fine"
    WARNING = "warning"
    PROBLEM = "problem"
    NOT_CHECKED = "not checked"


_SIGNS: Final = {
    Verdict.FINE: ("✓", "good"),
    Verdict.WARNING: ("!", "call"),
    Verdict.PROBLEM: ("✗", "bad"),
    Verdict.NOT_CHECKED: ("–", "dim"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    name: str
    verdict: Verdict
    text: str
    details: tuple[str, ...] = ()
    """What was seen, a line each."""
    fix: str = ""
    """What to do; every problem has one."""

    def to_json(self) -> dict[str, Any]:
        return {
            "check": self.name,
            "verdict": self.verdict.value,
            "text": self.text,
            "details": list(self.details),
            "fix": self.fix or None,
        }


def fine(name: str, text: str) -> Finding:
    return Finding(name, Verdict.FINE, text)


def problem(name: str, text: str, fix: str, *details: str) -> Finding:
    return Finding(name, Verdict.PROBLEM, text, details, fix)


def write_findings(page: Page, findings: Sequence[Finding]) -> None:
    """Short ones two to a line, the others with what was seen and what to do below; then the count."""
    half = page.width // 2
    waiting: Finding | None = None
    for one in findings:
        is_short = not one.details and not one.fix and len(one.text) + 4 <= half
        if waiting is not None:
            beside = one if is_short else None
            page.line(*_two(waiting, beside, half))
            waiting = None
            if beside is not None:
                continue
        if is_short:
            waiting = one
        else:
            _write(page, one)
    if waiting is not None:
        page.line(*_two(waiting, None, half))
    page.line(*count_line(findings))


def count_line(findings: Sequence[Finding]) -> list[Piece]:
    problems = sum(one.verdict is Verdict.PROBLEM for one in findings)
    warnings = sum(one.verdict is Verdict.WARNING for one in findings)
    shown = f"{problems or 'no'} problem{'' if problems == 1 else 's'}"
    if warnings:
        shown += f", {warnings} warning{'' if warnings == 1 else 's'}"
    return [(shown, "bad" if problems else "good")]


def _two(one: Finding, beside: Finding | None, half: int) -> Iterator[Piece]:
    yield from _head(one)
    if beside is not None:
        yield " " * max(1, half - 3 - len(one.text)), "plain"
        yield from _head(beside)


def _head(one: Finding) -> list[Piece]:
    sign, style = _SIGNS[one.verdict]
    return [(" ", "plain"), (sign, style), (" ", "plain"), (one.text, "plain")]


def _write(page: Page, one: Finding) -> None:
    page.line(*_head(one), indent=3)
    for detail in one.details:
        page.line(("     ", "plain"), (detail, "dim"), indent=5)
    if one.fix:
        page.line(("     ", "plain"), ("fix: ", "bold"), (one.fix, "plain"), indent=10)
