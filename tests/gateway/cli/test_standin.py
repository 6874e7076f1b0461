from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner, Result
from starlette.types import ASGIApp

from gateway.cli import standin
from gateway.cli.standin import STANDINS, StandIn, lines_of

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "gateway.cli.main", "standin"]
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT)}
ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@contextmanager
def running(*arguments: str) -> Generator[tuple[subprocess.Popen[str], str], None, None]:
    """A process that serves a stand-in, and its URL."""
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRON, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stand_in_answers_until_it_is_told_to_stop(number: signal.Signals) -> None:
    with running("openai", "--fault", "too-many", "--times", "1", "--delay-ms", "1") as (process, url):
        statuses = [httpx2.post(f"{url}/v1/chat/completions", json=ASKED, timeout=30).status_code for _ in range(2)]
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stderr is not None
        told = process.stderr.read()
    assert statuses == [429, 200]
    assert f"    OPENAI_BASE_URL={url}/v1\n    OPENAI_API_KEY=any\n" in told
    assert '    llm = "openai"\n' in told
    assert told.endswith("Ctrl-C stops.\n\nswitchboard: stopped\n")


def test_a_fault_lasts_unless_it_is_counted(unused_port: int) -> None:
    with running("openai", "--fault", "broken", "--port", str(unused_port)) as (_, url):
        assert url == f"http://127.0.0.1:{unused_port}"
        assert {
            httpx2.post(f"{url}/v1/chat/completions", json=ASKED, timeout=30).status_code for _ in range(3)
        } == {500}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(standin.command, arguments)


def test_a_signal_ends_it_in_good_order(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def stopped_at_once(app: ASGIApp, *, port: int) -> AsyncGenerator[str, None]:
        assert callable(app)
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
        yield f"127.0.0.1:{port}"

    monkeypatch.setattr(standin, "served", stopped_at_once)
    result = run("openai", "--port", "4321")
    assert (result.exit_code, result.stdout) == (0, "http://127.0.0.1:4321\n")
    assert "switchboard: stopped" in result.stderr


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("openai", "--port", str(port))
    assert result.exit_code == 1
    assert f"cannot listen on port {port}" in result.stderr


def test_a_stand_in_whose_module_is_missing_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STANDINS, "mcp", StandIn("simulator.standins.nobody_wrote_it", "nothing"))
    result = run("mcp")
    assert result.exit_code == 1
    assert "needs the module simulator.standins.nobody_wrote_it" in result.stderr


def test_help_names_all_and_loads_none() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name in STANDINS:
        assert name in result.output


def test_an_unknown_name_is_wrong_use() -> None:
    assert run("opnai").exit_code == 2
    assert run("openai", "--fault", "fire").exit_code == 2


@pytest.mark.parametrize("name", STANDINS)
def test_each_tells_where_it_is_and_how_it_is_used(name: str) -> None:
    lines = lines_of(STANDINS[name], "127.0.0.1:4321")
    assert any("http://127.0.0.1:4321" in line or "ws://127.0.0.1:4321" in line for line in lines)
    assert not any("{" in line for line in lines)
    assert lines[-1] == "Ctrl-C stops."
