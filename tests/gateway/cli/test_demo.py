from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import demo
from gateway.cli.child_gateway import ChildFailed, ChildGateway
from gateway.cli.page import Page
from simulator.call_setup import CallSetup
from simulator.caller import BargeIn, Say

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "gateway.cli.main", "demo"]
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def test_a_call_is_placed_answered_interrupted_and_judged(tmp_path: Path) -> None:
    """The slow one, about half a minute: a real gateway, a real call, in real time."""
    placed = subprocess.run(
        [*COMMAND, "--call", "--json", "--save", str(tmp_path / "out")],
        capture_output=True,
        env=ENVIRON,
        stdin=subprocess.DEVNULL,
        timeout=120,
        text=True,
    )
    result = json.loads(placed.stdout.splitlines()[-1])
    assert (placed.returncode, placed.stderr, [check["text"] for check in result["checks"] if not check["ok"]]) == (
        0,
        "",
        [],
    )
    assert [turn["said"] for turn in result["turns"]] == [
        "what are your opening hours",
        "stop please",
        "where is my order four eight one five",
        "no thank you goodbye",
    ]
    for turn in result["turns"]:
        assert sum(value or 0 for value in turn["stages"].values()) == turn["total_ms"]
    assert len(result["interruptions"]) == 1
    with wave.open(str(tmp_path / "out" / "call.wav")) as sound:
        assert (sound.getnchannels(), sound.getframerate()) == (2, 8000)
    lines = [json.loads(line) for line in (tmp_path / "out" / "call.jsonl").read_text("utf-8").splitlines()]
    assert {line["source"] for line in lines} == {"simulator", "gateway"}
    assert lines[-1]["event"] in ("callback", "call.ended")


def test_a_demo_that_stays_says_how_to_talk_to_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "--save", str(tmp_path)], stdout=subprocess.PIPE, env=ENVIRON, text=True
    ) as process:
        assert process.stdout is not None
        told: list[str] = []
        for line in process.stdout:
            told.append(line)
            if "Ctrl-C stops." in line:
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    text = "".join(told)
    assert "switchboard simulate --say" in text
    for name in ("SWITCHBOARD_URL", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "SWITCHBOARD_TOKEN"):
        assert f"    export {name}=" in text
    assert "Finished server process" in (tmp_path / "gateway.log").read_text()


class Child:
    """Stands for the process of a gateway."""

    def __init__(self, ends_with: BaseException | None = None) -> None:
        self.ends_with = ends_with

    def wait(self) -> int:
        if self.ends_with is not None:
            raise self.ends_with
        return 3


def gateway_of(child: Child, folder: Path) -> ChildGateway:
    process: subprocess.Popen[bytes] = child  # type: ignore[assignment]  # only `wait` is asked of it
    url = "http://127.0.0.1:9999"
    return ChildGateway(process, url, "AC" + "1" * 32, "auth", "token", folder / "gateway.log")


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Child]:
    """No process is started, and SIGTERM keeps its meaning."""
    standing = Child(KeyboardInterrupt())

    @contextmanager
    def start(_folder: Path, _agent: str) -> Iterator[ChildGateway]:
        yield gateway_of(standing, tmp_path)

    monkeypatch.setattr(demo, "child_gateway", start)
    before = signal.getsignal(signal.SIGTERM)
    yield standing
    signal.signal(signal.SIGTERM, before)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(demo.command, arguments)


def test_ctrl_c_is_how_a_demo_is_meant_to_end(child: Child) -> None:
    result = run()
    assert result.exit_code == 0
    assert 'demo agent "reception"' in result.stdout


def test_a_gateway_that_leaves_by_itself_is_a_failure(child: Child) -> None:
    child.ends_with = None
    result = run()
    assert result.exit_code == 1
    assert "the gateway left by itself" in result.stderr


def placing(monkeypatch: pytest.MonkeyPatch, exit_code: int) -> list[CallSetup]:
    setups: list[CallSetup] = []

    def place(setup: CallSetup, _target: object, _judge: object, _page: Page | None, _folder: Path) -> int:
        setups.append(setup)
        return exit_code

    monkeypatch.setattr(demo, "run", place)
    return setups


def test_the_call_asks_interrupts_asks_again_and_says_goodbye(
    child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    setups = placing(monkeypatch, 0)
    assert run("--call").exit_code == 0
    (setup,) = setups
    assert (setup.voice_url, setup.auth_token) == ("http://127.0.0.1:9999/twilio/voice", "auth")
    said = [step.sound.text for step in setup.steps if isinstance(step, Say | BargeIn)]
    assert said == [
        "what are your opening hours",
        "stop please",
        "where is my order four eight one five",
        "no thank you goodbye",
    ]


def test_a_call_that_failed_says_where_the_log_is(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    placing(monkeypatch, 1)
    result = run("--call")
    assert result.exit_code == 1
    assert "the gateway's log: " in result.stdout
    assert run("--call", "--json").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--json",), "--json belongs to --call."),
        (("--call", "--agent", "mine.toml"), "--call is made for the agent reception"),
        (("--agent", "nobody.toml"), "nobody.toml: cannot be read"),
    ],
)
def test_wrong_use_ends_with_two(arguments: tuple[str, ...], words: str, child: Child) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("failure", "exit_code", "words"),
    [
        (ChildFailed("the gateway was not ready"), 1, "switchboard: the gateway was not ready"),
        (PermissionError(13, "Permission denied"), 1, "cannot be written"),
        (KeyboardInterrupt(), 130, "switchboard: stopped"),
    ],
)
def test_a_demo_that_cannot_start_says_why(
    failure: BaseException, exit_code: int, words: str, child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_folder: Path, _agent: str) -> object:
        raise failure

    monkeypatch.setattr(demo, "child_gateway", refuse)
    result = run()
    assert result.exit_code == exit_code
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_a_stop_of_the_service_ends_it_like_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt):
        demo._as_interrupt(signal.SIGTERM, None)
