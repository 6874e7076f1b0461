"""The rolling deploy of compose: the order of its steps, with a `docker` that only writes down what it is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.places import DEPLOY

DOCKER = """#!/bin/sh
out=$(sed -n 's/.*server \\(gateway-[12]\\):8080 down .*/\\1/p' nginx.conf | tr '\\n' ' ')
echo "out=$out$*" >> "$LOG"
case "$*" in *"$FAILS"*) exit 1 ;; esac
"""


def roll(folder: Path, fails: str = "nothing at all") -> tuple[int, list[str]]:
    """The script's exit code, and what was asked of docker while which gateway was out of nginx."""
    for name in ("roll.sh", "nginx.conf"):
        shutil.copy(DEPLOY / name, folder / name)
    programs = folder / "bin"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER)
    (programs / "docker").chmod(0o755)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "LOG": str(folder / "log"),
        "FAILS": fails,
        "TMPDIR": str(folder),
    }
    done = subprocess.run(["sh", str(folder / "roll.sh")], env=environment, timeout=30)
    return done.returncode, (folder / "log").read_text().splitlines()


def test_each_gateway_is_out_of_nginx_while_it_is_replaced(tmp_path: Path) -> None:
    place = tmp_path / "nginx.conf"
    code, asked = roll(tmp_path)
    assert code == 0
    assert asked[0] == "out=compose build gateway-1 gateway-2"
    reloads = ["compose exec -T nginx nginx -t -q", "compose exec -T nginx nginx -s reload"]
    assert asked[1:] == [
        f"out={out}{step}"
        for gateway in ("gateway-1", "gateway-2")
        for out, steps in (
            (f"{gateway} ", [*reloads, f"compose up --detach --no-deps --wait {gateway}"]),
            ("", reloads),
        )
        for step in steps
    ]
    assert place.read_text() == (DEPLOY / "nginx.conf").read_text()


@pytest.mark.parametrize("step", ["nginx -t", "nginx -s reload", "--wait gateway-1"])
def test_what_goes_wrong_stops_it_and_leaves_the_file_as_it_was(tmp_path: Path, step: str) -> None:
    code, asked = roll(tmp_path, fails=step)
    assert code != 0
    assert not any("--wait gateway-2" in line for line in asked)
    assert (tmp_path / "nginx.conf").read_text() == (DEPLOY / "nginx.conf").read_text()


def test_the_file_is_written_in_place_because_the_container_sees_that_one(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "nginx.conf", tmp_path / "nginx.conf")
    before = (tmp_path / "nginx.conf").stat().st_ino
    roll(tmp_path)
    assert (tmp_path / "nginx.conf").stat().st_ino == before
