"""The rules of the Realtime reference and the tests that show them: each has the other.

Markers are read from the source, not collected: a test that a machine cannot run proves its rule all the same.
"""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.realtime_table import works

TESTS = Path(__file__).parent
PROTOCOL = TESTS / "protocol"
NEEDED = {"id", "source", "rule"}
ALLOWED = NEEDED | {"not_here", "events"}


@cache
def rules() -> list[dict[str, str]]:
    listed: list[dict[str, str]] = tomllib.loads((TESTS / "requirements.toml").read_text())["rule"]
    return listed


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def files_of_tests() -> list[Path]:
    return sorted(TESTS.rglob("test_*.py"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The tests of a file."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


def proven(test: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The ids in the markers of a test; those of its parameters are in its decorators too."""
    ids = []
    for decorator in test.decorator_list:
        for node in ast.walk(decorator):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.proves":
                ids += [ast.literal_eval(argument) for argument in node.args]
    return ids


@cache
def markers() -> dict[str, list[str]]:
    """The ids that each test of the suite proves, by file and name."""
    return {
        f"{path.relative_to(TESTS)}::{test.name}": ids
        for path in files_of_tests()
        for test in functions(path)
        if (ids := proven(test))
    }


def test_every_rule_has_an_id_of_its_own() -> None:
    twice = [id for id, count in Counter(rule["id"] for rule in rules()).items() if count > 1]
    assert not twice


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["id"])
def test_a_rule_says_what_it_is_and_where_it_comes_from(rule: dict[str, Any]) -> None:
    assert NEEDED <= rule.keys() <= ALLOWED
    assert all(rule[name].strip() for name in rule.keys() - {"events"})
    assert set(rule.get("events", ())) <= works(), "by GA's names"
    assert rule["rule"].endswith("."), "a rule is a sentence"


def test_every_rule_has_a_test_or_a_reason() -> None:
    shown = {id for ids in markers().values() for id in ids}
    without = [rule["id"] for rule in rules() if "not_here" not in rule and rule["id"] not in shown]
    assert not without, f"no test proves {without}; mark one with @pytest.mark.proves, or say why in not_here"


def test_what_is_not_here_has_no_test() -> None:
    shown = {id for ids in markers().values() for id in ids}
    both = [rule["id"] for rule in rules() if "not_here" in rule and rule["id"] in shown]
    assert not both, f"{both} are tested: take their not_here away"


def test_every_marker_names_a_rule() -> None:
    known = {rule["id"] for rule in rules()}
    unknown = {test: ids for test, marked in markers().items() if (ids := sorted(set(marked) - known))}
    assert not unknown, f"requirements.toml does not know {unknown}"


def test_a_test_names_a_rule_once() -> None:
    twice = {test: ids for test, ids in markers().items() if len(ids) != len(set(ids))}
    assert not twice


def test_every_protocol_test_proves_a_rule() -> None:
    without = [
        f"{path.relative_to(TESTS)}::{test.name}"
        for path in sorted(PROTOCOL.rglob("test_*.py"))
        for test in functions(path)
        if not proven(test)
    ]
    assert not without, f"{without} have no @pytest.mark.proves"
