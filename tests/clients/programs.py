"""The clients' programs, run side by side against one gateway, and what each reported.

Each program plays all of its client's scenarios in one process, since starting some clients takes seconds. They
start when the first test asks, and only those of the selected tests; a test then waits for its own line.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from simulator.sound import RATE_HZ, pcm_of, resample, samples_of
from simulator.voices import Voices
from tests.clients.answering import CLIP, Address
from tests.clients.environments import ENVIRONMENTS
from tests.clients.scenario import RATE_HZ as CLIENTS_RATE_HZ
from tests.clients.scenario import SCENARIO_LIMIT_S

ROOT: Final = Path(__file__).parents[2]
SIDE_BY_SIDE: Final = 4
"""Programs at a time. Playing is mostly waiting; starting one takes seconds of a core."""
START_LIMIT_S: Final = 60.0
"""For a program's imports on a busy machine."""


@dataclass(frozen=True)
class Program:
    """How one client is run."""

    client: str
    """As tests name it."""
    environment: str
    arguments: tuple[str, ...]
    """After the environment's command, before the URL."""


def _python(client: str, environment: str, *more: str) -> Program:
    return Program(client, environment, ("-m", f"tests.clients.{environment}.program", *more))


PROGRAMS: Final = {
    one.client: one
    for one in (
        _python("pipecat-inworld", "pipecat_ai", "inworld"),
        _python("pipecat-openai", "pipecat_ai", "openai"),
        _python("livekit-agents", "livekit_agents"),
        _python("openai-agents", "openai_agents"),
        Program("agents-js", "agents_js", ("tests/clients/agents_js/program.cjs",)),
        _python("openai-python", "openai_python", "ga"),
        _python("openai-python-beta", "openai_python", "beta"),
    )
}
"""Slow starters first: they should not be what everybody waits for in the end."""

Report = dict[str, Any]


@dataclass
class _Playing:
    """One program's run: the reports as they come, and what it printed besides."""

    program: Program
    scenarios: Sequence[str]
    reports: queue.Queue[Report | None] = field(default_factory=queue.Queue)
    """`None` when there will be no more. Unbounded, but a program has only so many scenarios."""
    seen: dict[str, Report] = field(default_factory=dict)
    ended: str = ""

    def run(self, address: Address, clip: Path, log: Path) -> None:
        """Plays it to its end; never raises, the end says what went wrong."""
        try:
            self._run(address, clip, log)
        except Exception as error:
            self.ended = f"{type(error).__name__}: {error}"
        finally:
            self.reports.put(None)

    def _run(self, address: Address, clip: Path, log: Path) -> None:
        command = ENVIRONMENTS[self.program.environment].command()
        words = [*command, *self.program.arguments, address.url, address.key, str(clip), *self.scenarios]
        limit_s = START_LIMIT_S + SCENARIO_LIMIT_S * len(self.scenarios)
        with (
            log.open("w") as errors,
            subprocess.Popen(
                words, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, env=_environ()
            ) as one,
        ):
            stopper = threading.Timer(limit_s, one.kill)
            stopper.start()
            try:
                for line in one.stdout or ():
                    if line.startswith('{"client"'):
                        self.reports.put(json.loads(line))
            finally:
                stopper.cancel()
        self.ended = f"the program left with {one.returncode}; it wrote: {log.read_text()[-4_000:]}"

    def report(self, scenario: str) -> Report:
        """That scenario's. Raises `AssertionError` with the program's last words if there is none."""
        while scenario not in self.seen:
            report = self.reports.get()
            if report is None:
                self.reports.put(None)
                raise AssertionError(f"{self.program.client} reported nothing of {scenario!r}: {self.ended}")
            self.seen[report["scenario"]] = report
        return self.seen[scenario]


def _environ() -> dict[str, str]:
    """A program's environment: nothing of this suite's Python, no key of the person who runs it, no telemetry."""
    kept = {name: value for name, value in os.environ.items() if not _is_ours(name)}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1", "NO_PROXY": "127.0.0.1"}


def _is_ours(name: str) -> bool:
    return name.startswith(("PYTHON", "VIRTUAL_ENV", "COV", "OPENAI_", "LIVEKIT_", "INWORLD_", "SWITCHBOARD_"))


@dataclass
class Reports:
    """What all programs reported."""

    playing: Mapping[str, _Playing]

    def of(self, client: str, scenario: str) -> Report:
        """Waits for it; every program is bounded by its own limit."""
        return self.playing[client].report(scenario)


@contextmanager
def played(address: Address, wanted: Mapping[str, Sequence[str]]) -> Iterator[Reports]:
    """Runs the programs of these clients with these scenarios, a few at a time, in the background."""
    playing = {name: _Playing(one, wanted[name]) for name, one in PROGRAMS.items() if name in wanted}
    free = threading.Semaphore(SIDE_BY_SIDE)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clip = folder / "clip.pcm"
        clip.write_bytes(clip_24k())

        def run(name: str, one: _Playing) -> None:
            with free:
                one.run(address, clip, folder / f"{name}.log")

        threads = [threading.Thread(target=run, args=pair, name=pair[0]) for pair in playing.items()]
        for thread in threads:
            thread.start()
        yield Reports(playing)
        for thread in threads:
            thread.join()


def clip_24k() -> bytes:
    """A caller's question as PCM16 at the rate the clients speak in."""
    wave = samples_of(Voices().clip(CLIP).pcm).astype(np.float64) / 32768
    return pcm_of(resample(wave, RATE_HZ, CLIENTS_RATE_HZ))
