from __future__ import annotations

from gateway.cli.finding import Finding, Verdict, count_line, fine, problem, write_findings
from gateway.cli.page import Page


def shown(*findings: Finding, width: int = 60) -> list[str]:
    out: list[str] = []
    write_findings(Page(out.append, width), findings)
    return "".join(out).splitlines()


def test_short_findings_stand_two_to_a_line() -> None:
    assert shown(fine("a", "python"), fine("b", "settings"), fine("c", "clock")) == [
        " ✓ python                      ✓ settings",
        " ✓ clock",
        "no problems",
    ]


def test_a_problem_has_lines_of_its_own_with_what_was_seen_and_the_cure() -> None:
    assert shown(
        fine("a", "python"), problem("b", "port taken", "take another", "8080 answers"), fine("c", "clock")
    ) == [
        " ✓ python",
        " ✗ port taken",
        "     8080 answers",
        "     fix: take another",
        " ✓ clock",
        "1 problem",
    ]


def test_long_findings_stand_alone() -> None:
    long = "x" * 40
    assert shown(fine("a", "python"), fine("b", long), fine("c", long)) == [
        " ✓ python",
        f" ✓ {long}",
        f" ✓ {long}",
        "no problems",
    ]


def test_problems_and_warnings_are_counted() -> None:
    warning = Finding("w", Verdict.WARNING, "odd")
    skipped = Finding("s", Verdict.NOT_CHECKED, "later")
    assert count_line([warning, skipped]) == [("no problems, 1 warning", "good")]
    bad = problem("p", "bad", "mend it")
    assert count_line([bad, bad, warning, warning]) == [("2 problems, 2 warnings", "bad")]


def test_for_programs_a_finding_is_an_object() -> None:
    assert problem("p", "bad", "mend it", "seen").to_json() == {
        "check": "p",
        "verdict": "problem",
        "text": "bad",
        "details": ["seen"],
        "fix": "mend it",
    }
    assert fine("a", "good").to_json()["fix"] is None
