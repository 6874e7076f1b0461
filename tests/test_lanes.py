"""The two lanes: together every test once, failures of either told, and neither hidden by the other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import lanes
from tests.lanes import ROOT, WHOLE_CALLS, Lane, Played, play, play_all

TWO = """
def test_well(): pass
def test_wrong(): assert 1 == 2
"""


def lane(folder: Path, name: str, program: str) -> Lane:
    """A pytest of its own, far from the settings of this one."""
    (folder / f"test_{name}.py").write_text(program)
    (folder / "pytest.ini").write_text("[pytest]")
    return Lane(name, (f"--rootdir={folder}", f"-c{folder}/pytest.ini", str(folder / f"test_{name}.py")), 0)


def test_every_file_of_tests_is_in_one_lane_and_in_one_only() -> None:
    calls, parts = lanes.lanes()
    assert calls.arguments == WHOLE_CALLS
    assert parts.arguments == ("tests", *(f"--ignore={folder}" for folder in WHOLE_CALLS))
    assert all(list((ROOT / folder).glob("**/test_*.py")) for folder in WHOLE_CALLS)
    assert calls.command(["--reruns", "1"])[:4] == [sys.executable, "-m", "pytest", WHOLE_CALLS[0]]


def test_what_fails_in_either_is_told_and_the_second_is_shown_whole_behind_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = (lane(tmp_path, "first", "def test_well(): pass"), lane(tmp_path, "second", TWO))
    first, second = play_all(both, ["-q", "-rf"], tmp_path)
    assert (first.has_failed, first.failures) == (False, [])
    assert second.has_failed
    (told,) = second.failures
    assert told.startswith("FAILED ") and "test_second.py::test_wrong" in told
    shown = capsys.readouterr().out
    assert shown.index("1 passed") < shown.index("the other lane: second") < shown.index("1 failed, 1 passed")


def test_a_selection_may_leave_a_lane_empty(tmp_path: Path) -> None:
    empty = play(lane(tmp_path, "one", TWO), ["-k", "nothing_is_called_so"], tmp_path, lambda _: None)
    assert (empty.exit_code, empty.has_failed, empty.failures) == (lanes.NO_TESTS, False, [])


def test_a_lane_that_ends_without_a_summary_has_failed() -> None:
    assert Played(Lane("calls", (), 0), -9, ("...",)).failures == ["calls: pytest ended with -9"]


@pytest.mark.parametrize(("program", "exit_code"), [("def test_well(): pass", 0), (TWO, 1)])
def test_the_exit_code_and_the_last_lines_say_how_it_went(
    program: str,
    exit_code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    both = (lane(tmp_path, "first", program), lane(tmp_path, "second", "def test_well(): pass"))
    monkeypatch.setattr(lanes, "lanes", lambda: both)
    assert lanes.main(["-q", "-rf"]) == exit_code
    last = capsys.readouterr().out.splitlines()[-2:]
    assert [line.partition(":")[0] for line in last] == ["first", "second"]


def test_coverage_is_that_of_both_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thing.py").write_text("def one():\n    return 1\n\n\ndef two():\n    return 2\n")
    (tmp_path / "conftest.py").write_text("import sys\nsys.path.insert(0, __file__.rpartition('/')[0])\n")
    (tmp_path / ".coveragerc").write_text("[run]\nsource_pkgs = thing\n")
    monkeypatch.setattr(lanes, "ROOT", tmp_path)
    monkeypatch.delenv("COVERAGE_FILE", raising=False)
    calls = [lane(tmp_path, name, f"import thing\ndef test_it(): assert thing.{name}()") for name in ("one", "two")]
    monkeypatch.setattr(lanes, "lanes", lambda: (calls[0], calls[1]))
    assert lanes.main(["-q", "--cov"]) == 0
    shown = capfd.readouterr().out
    assert "100%" in shown
    assert (tmp_path / ".coverage").is_file()
