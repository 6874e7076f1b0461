"""The environments of the stock clients: one each, made from its lock, kept outside the checkout.

An environment is named by the digest of its lock and the version of its interpreter, so a second run finds it and
a changed lock makes a new one beside the old. Its stamp is written last; what has none was given up half-way and
is made again. Runs at the same time wait for each other at a lock file. Standard library only: this runs before
anything is installed, as `python -m tests.clients.environments`.

All Python clients share one interpreter, whichever Python runs the suite, so that the suite on two Pythons does
not make everything twice: 3.11, which the locks were written on, or else the Python that runs this.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
STAMP: Final = "finished"
LOCKED_ON: Final = "python3.11"
OLDEST_NODE: Final = 20
"""Node 18 has no global `crypto`, which the client's packages use; 20 is what these programs were run on."""

BUILD_LIMIT_S: Final = 900.0
"""The largest environment takes half a minute with a near mirror; a slow line may take many."""


class EnvironmentFault(Exception):
    """An environment is not there or cannot be made; the message says what to do."""


def cache_root() -> Path:
    """Where environments are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "switchboard" / "test-clients"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What runs a client's program, and its version as a part of the environment's name."""

    command: str
    version: str


@dataclass(frozen=True, slots=True)
class Environment:
    """One client's installed packages."""

    name: str
    locks: tuple[Path, ...]
    """The files that pin every package."""
    interpreter: Callable[[], Interpreter]
    install: Callable[[Path, tuple[Path, ...], Interpreter], None]
    """Installs into an empty directory what the locks say."""
    runs: Callable[[Path, Interpreter], list[str]]
    """The beginning of the command that runs a program in a finished environment."""
    root: Callable[[], Path] = cache_root

    @property
    def place(self) -> Path:
        """Where it is, or will be."""
        digest = hashlib.sha256(self.interpreter().version.encode())
        for lock in self.locks:
            digest.update(lock.read_bytes())
        return self.root() / f"{self.name}-{digest.hexdigest()[:16]}"

    @property
    def is_finished(self) -> bool:
        return (self.place / STAMP).is_file()

    def command(self) -> list[str]:
        """What its programs are run with. Raises `EnvironmentFault` if it is not finished."""
        if not self.is_finished:
            raise EnvironmentFault(f"the environment of {self.name} is not there: run `make test-clients`")
        return self.runs(self.place, self.interpreter())

    def build(self, say: Callable[[str], None] = print) -> bool:
        """Makes it unless it is there; True if it was made."""
        place = self.place
        place.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(place.with_name(f"{place.name}.lock")):
            if self.is_finished:
                return False
            say(f"making the environment of {self.name} in {place}")
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            self.install(place, self.locks, self.interpreter())
            (place / STAMP).write_text("")
        return True


@contextlib.contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Waits until nobody else makes this environment; the system lets go of the lock of whoever dies."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@cache
def python() -> Interpreter:
    """The Python of all Python clients."""
    show = "import ensurepip, platform, sys, venv; print(sys.executable, platform.python_version(), sep='\\n')"
    for command in (LOCKED_ON, sys.executable):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            # A version manager's stand-in is there and yet refuses to run.
            lines = _output([command, "-c", show]).splitlines()
            return Interpreter(lines[0], f"python {lines[1]}")
    raise EnvironmentFault(f"{sys.executable} cannot make virtual environments: install its venv module")


@cache
def node() -> Interpreter:
    try:
        version = _output(["node", "--version"]).strip()
        _output(["npm", "--version"])
    except (OSError, subprocess.SubprocessError) as error:
        raise EnvironmentFault(f"Node.js {OLDEST_NODE} or newer with npm is needed: {error}") from error
    if int(version.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        raise EnvironmentFault(f"Node.js {OLDEST_NODE} or newer is needed, this is {version}")
    return Interpreter("node", f"node {version}")


def _install_python(place: Path, locks: tuple[Path, ...], interpreter: Interpreter) -> None:
    # pip itself stays outside: the one that runs this suite installs into the new place.
    _run([interpreter.command, "-m", "venv", "--without-pip", str(place)])
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "--disable-pip-version-check"]
    requirements = [part for lock in locks for part in ("--requirement", str(lock))]
    _run([*pip, "install", "--quiet", "--no-warn-script-location", *requirements])


def _install_node(place: Path, locks: tuple[Path, ...], interpreter: Interpreter) -> None:
    for lock in locks:
        shutil.copy(lock, place)
    _run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(place)])


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFault(f"{' '.join(command)}: {error}") from error
    if done.returncode:
        raise EnvironmentFault(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def _python_client(name: str) -> Environment:
    return Environment(
        name,
        (HERE / name / "requirements.txt",),
        python,
        _install_python,
        lambda place, _interpreter: [str(place / "bin" / "python")],
    )


ENVIRONMENTS: Final = {
    one.name: one
    for one in (
        _python_client("openai_python"),
        _python_client("openai_agents"),
        _python_client("livekit_agents"),
        _python_client("pipecat_ai"),
        Environment(
            "agents_js",
            (HERE / "agents_js" / "package.json", HERE / "agents_js" / "package-lock.json"),
            node,
            _install_node,
            # The program stays in the checkout, its packages do not.
            lambda place, interpreter: ["env", f"NODE_PATH={place / 'node_modules'}", interpreter.command],
        ),
    )
}


def main() -> int:
    try:
        for environment in ENVIRONMENTS.values():
            environment.build()
    except EnvironmentFault as fault:
        print(fault, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
