"""The image's recipe, as far as it can be judged where no container engine runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

from tests.deploy.places import DEPLOY, ROOT

TEXT = (DEPLOY / "Dockerfile").read_text()
JOINED = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", TEXT, flags=re.MULTILINE))
STEPS = [tuple(line.split(None, 1)) for line in JOINED.splitlines() if line.strip()]


def last(instruction: str) -> str:
    return [words[1] for words in STEPS if words[0] == instruction][-1]


def test_it_runs_as_a_numbered_user_that_is_not_root() -> None:
    user, group = last("USER").split(":")
    assert int(user) >= 10_000 and int(group) >= 10_000


def test_signals_reach_the_gateway() -> None:
    assert json.loads(last("ENTRYPOINT")) == ["switchboard"]
    assert json.loads(last("CMD")) == ["serve"]
    assert last("STOPSIGNAL") == "SIGTERM"


def test_health_is_asked_without_curl_and_in_good_python() -> None:
    python, flag, program = json.loads(last("HEALTHCHECK").split("CMD", 1)[1])
    assert (python, flag) == ("python", "-c")
    compile(program, "HEALTHCHECK", "exec")
    assert "/healthz" in program and "'PORT'" in program


def test_what_is_written_is_on_volumes_and_the_settings_say_so() -> None:
    volumes = json.loads(last("VOLUME"))
    assert volumes == ["/var/lib/switchboard", "/tmp"]
    environment = dict(pair.split("=", 1) for pair in last("ENV").split())
    assert environment["SWITCHBOARD_MESSAGES_FILE"].startswith("/var/lib/switchboard/")
    assert environment["SWITCHBOARD_HOST"] == "0.0.0.0"
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert last("EXPOSE").split() == [environment["PORT"], environment["SWITCHBOARD_METRICS_PORT"]]


def test_the_base_is_pinned_and_both_stages_have_the_same() -> None:
    assert re.fullmatch(r"BASE=python:3\.\d+-slim-[a-z]+", STEPS[0][1])
    assert [words[1].split()[0] for words in STEPS if words[0] == "FROM"] == ["${BASE}", "${BASE}"]


def test_all_that_is_copied_is_there_and_let_in() -> None:
    allowed = {
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = {
        source
        for words in STEPS
        if words[0] == "COPY" and not words[1].startswith("--from")
        for source in words[1].split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / source).exists() for source in copied)
    pyproject = (ROOT / "pyproject.toml").read_text()
    packages = re.findall(r"[a-z]+(?=\*)", re.findall(r"^include = \[(.*)\]$", pyproject, re.MULTILINE)[0])
    assert set(packages) <= copied


def test_hadolint_finds_nothing() -> None:
    """Where hadolint is installed; no package of Debian has it, and the tests above do not need it."""
    if hadolint := shutil.which("hadolint"):
        done = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout
    assert "latest" not in TEXT and "sudo" not in TEXT
