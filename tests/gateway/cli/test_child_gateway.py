from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import IO

import pytest

from gateway.cli import child_gateway
from gateway.cli.child_gateway import ChildFailed

ROOT = Path(__file__).parents[3]
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT)}


def test_a_child_answers_checks_signatures_and_is_ended_whatever_happens(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        child_gateway.child_gateway(tmp_path / "new", environ={**ENVIRON, "PUBLIC_URL": "nonsense"}) as gateway,
    ):
        assert gateway.process.poll() is None
        with urllib.request.urlopen(f"{gateway.url}/readyz", timeout=5) as answer:
            assert answer.status == 200
        raise ZeroDivisionError
    assert gateway.process.returncode is not None
    log = gateway.log_path.read_text()
    assert "signature check on" in log
    assert gateway.auth_token not in log and gateway.token not in log


def test_a_child_that_cannot_start_is_told_with_the_end_of_its_log_and_what_to_do(tmp_path: Path) -> None:
    with (
        pytest.raises(ChildFailed) as failed,
        child_gateway.child_gateway(tmp_path, "nobody.toml", environ=ENVIRON),
    ):
        raise AssertionError("it cannot have started")
    words = str(failed.value)
    assert "exit code 2 before it was ready" in words
    assert "nobody.toml: cannot be read" in words
    assert "switchboard doctor" in words


def test_a_child_that_is_never_ready_is_given_up_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(_command: list[str], *, stdout: IO[bytes], **_options: object) -> subprocess.Popen[bytes]:
        child = popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=stdout)
        started.append(child)
        return child

    monkeypatch.setattr(subprocess, "Popen", start)
    with (
        pytest.raises(ChildFailed, match="not ready within 0.2 s") as failed,
        child_gateway.child_gateway(tmp_path, ready_limit_s=0.2),
    ):
        raise AssertionError("it cannot be ready")
    assert "(nothing)" in str(failed.value)
    assert started[0].wait(10) != 0
    assert started[0].stdin is not None
    started[0].stdin.close()


STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); input()"


def test_a_child_that_does_not_leave_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_gateway, "LEAVE_LIMIT_S", 0.05)
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"deaf\n"
        child_gateway._end(child)
        assert child.returncode == -9
