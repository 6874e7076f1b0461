"""The whole suite, in two lanes that are played side by side: `python -m tests.lanes`.

Most of both is waiting: calls are played in real time, and a part is tested against sockets, deadlines and pauses.
Whole calls come first to the processor, because what a caller hears must not depend on what else is tested; the
other lane asks for no more than what they leave, and has no bound that a slow machine would miss.

Every line of the whole calls is shown at once, those of the other lane in one piece when both are over, and the
tests that failed once more at the end. Arguments are pytest's. With `--cov`, what both have run is added up.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent

WHOLE_CALLS: Final = (
    "tests/browser",
    "tests/calls",
    "tests/chaos",
    "tests/clients",
    "tests/gateway/calls",
    "tests/gateway/cli",
    "tests/gateway/redis",
    "tests/gateway/supervisor",
    "tests/realtime",
    "tests/webrtc",
)
"""All that is played in real time, what is measured, and what gives Redis a fifth of a second to answer."""

NICER_BY: Final = 5
"""Of the other lane: a quarter of a core where both want the same one, and all of it where one is free."""

FAILED: Final = ("FAILED ", "ERROR ")
"""How pytest begins a line of its summary that names a test."""

NO_TESTS: Final = 5
"""pytest's exit code where a selection, as `-k`, leaves a lane empty."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One pytest."""

    name: str
    arguments: tuple[str, ...]
    nicer_by: int

    def command(self, asked: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "pytest", *self.arguments, *asked]


@dataclass(frozen=True, slots=True)
class Played:
    """A lane that is over."""

    lane: Lane
    exit_code: int
    lines: tuple[str, ...]

    @property
    def has_failed(self) -> bool:
        return self.exit_code not in (0, NO_TESTS)

    @property
    def failures(self) -> list[str]:
        """A line for each test that failed; what ended without a summary names itself."""
        told = [line for line in self.lines if line.startswith(FAILED)]
        return told or ([f"{self.lane.name}: pytest ended with {self.exit_code}"] if self.has_failed else [])


def lanes() -> tuple[Lane, Lane]:
    """Whole calls, and everything else: together every test once."""
    others = tuple(f"--ignore={folder}" for folder in WHOLE_CALLS)
    return Lane("calls", WHOLE_CALLS, 0), Lane("parts", ("tests", *others), NICER_BY)


def play(lane: Lane, asked: Sequence[str], folder: Path, tell: Callable[[str], None]) -> Played:
    """One lane to its end; `tell` is given each line with its newline."""
    command = ["nice", "-n", str(lane.nicer_by), *lane.command(asked)]
    environment = {**os.environ, "COVERAGE_FILE": str(folder / f".coverage.{lane.name}")}
    lines = []
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as pytest:
        assert pytest.stdout is not None
        for line in pytest.stdout:
            lines.append(line)
            tell(line)
    return Played(lane, pytest.returncode, tuple(lines))


def play_all(both: tuple[Lane, Lane], asked: Sequence[str], folder: Path) -> tuple[Played, Played]:
    """Side by side: the first is shown as it runs, the second when both are over."""
    first, second = both
    over: list[Played] = []
    beside = threading.Thread(target=lambda: over.append(play(second, asked, folder, lambda _: None)))
    beside.start()
    shown = play(first, asked, folder, _show)
    beside.join()
    print(f"\n=== the other lane: {second.name} ===")
    for line in over[0].lines:
        _show(line)
    return shown, over[0]


def _show(line: str) -> None:
    print(line, end="", flush=True)


def add_up(folder: Path) -> int:
    """The coverage of both lanes, into one file in the checkout and one table."""
    combined = subprocess.run([sys.executable, "-m", "coverage", "combine", str(folder)], cwd=ROOT, check=False)
    report = [sys.executable, "-m", "coverage", "report", "--skip-covered"]
    return combined.returncode or subprocess.run(report, cwd=ROOT, check=False).returncode


def main(asked: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="switchboard-lanes-") as name:
        folder = Path(name)
        is_counted = "--cov" in asked
        both = play_all(lanes(), [*asked, "--cov-report="] if is_counted else asked, folder)
        counted = add_up(folder) if is_counted else 0
    failures = [line.rstrip() for played in both for line in played.failures]
    print("\n".join(["", *failures, *(f"{played.lane.name}: {played.lines[-1].strip()}" for played in both)]))
    return 1 if failures or counted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
