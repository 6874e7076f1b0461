"""The systemd unit: what stops it, what it may touch; and systemd's own opinion where systemd-analyze is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.places import DEPLOY

UNIT = DEPLOY / "switchboard.service"
TEXT = UNIT.read_text()
ANALYZE = shutil.which("systemd-analyze")
with_systemd = pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze here: the unit was only read")

HIGHEST_EXPOSURE = 2.0
"""Of systemd's scale from 0 to 10; what is missing to 0 is the network, which is its trade."""


def value(name: str) -> str:
    (found,) = re.findall(rf"^{name}=(.*)$", TEXT, re.MULTILINE)
    return str(found)


def test_only_the_first_process_is_told_to_stop() -> None:
    assert value("KillMode") == "mixed" and value("KillSignal") == "SIGTERM"
    assert value("Type") == "exec"


def test_what_is_written_stands_in_its_own_folder() -> None:
    state = f"/var/lib/{value('StateDirectory')}"
    assert value("WorkingDirectory") == state
    assert f"Environment=SWITCHBOARD_MESSAGES_FILE={state}/" in TEXT
    assert value("ProtectSystem") == "strict" and value("DynamicUser") == "yes"


@with_systemd
def test_systemd_accepts_it(tmp_path: Path) -> None:
    program = tmp_path / "switchboard"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(TEXT.replace("/opt/switchboard/bin/switchboard", str(program)))
    done = subprocess.run([str(ANALYZE), "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@with_systemd
def test_it_is_exposed_to_little() -> None:
    command = [str(ANALYZE), "security", "--offline=yes", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    (level,) = re.findall(r"Overall exposure level .*: ([0-9.]+)", done.stdout)
    assert float(level) <= HIGHEST_EXPOSURE, done.stdout
