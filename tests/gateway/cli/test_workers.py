"""`serve --workers 2` as a person starts it: the real gateway, with the providers that need nothing."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from gateway.cli import serve
from gateway.cli.workers import CANNOT_LISTEN, worker_environ
from gateway.settings import read_settings
from gateway.supervisor.supervisor import bound
from tests.gateway.supervisor.support import LIMIT_S, ROOT

AUTH_TOKEN = "9f" * 16
ENVIRON: Mapping[str, str] = {
    **{f"SWITCHBOARD_{kind}": "stub" for kind in ("STT", "LLM", "TTS")},
    "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
    "REDIS_URL": "redis://127.0.0.1:1",
    "SWITCHBOARD_LOG_FORMAT": "text",
}


def free_port() -> int:
    with bound("127.0.0.1", 0) as probe:
        return int(probe.getsockname()[1])


@pytest.mark.anyio
async def test_two_workers_are_announced_once_answer_on_one_port_are_measured_on_another_and_leave() -> None:
    metrics_port = free_port()
    flags = ("--workers", "2", "--port", "0", "--metrics-port", str(metrics_port), "--env-file", os.devnull)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli.main", "serve", *flags),
        env={**os.environ, **ENVIRON},
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stderr is not None
    said = ""
    try:
        async with asyncio.timeout(LIMIT_S), aiohttp.ClientSession() as session:
            while "  ready " not in said:
                line = (await process.stderr.readline()).decode()
                assert line, said
                said += line
            (port,) = re.findall(r"  ready +127\.0\.0\.1:(\d+)", said)
            assert "  workers     2" in said and f"http://127.0.0.1:{port}/twilio/voice" in said
            async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
                assert response.status == 200
            async with session.get(f"http://127.0.0.1:{metrics_port}/metrics") as response:
                page = await response.text()
            assert "switchboard_workers 2" in page
            assert len(re.findall(r'switchboard_calls_active\{worker="[^"]+-w[12]-[0-9a-f]{6}"\} 0\.0', page)) == 2
            process.send_signal(signal.SIGTERM)
            said += (await process.stderr.read()).decode()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert said.count("voice URL") == 1
    assert said.count("has left: exit code 0") == 2
    assert AUTH_TOKEN not in said


def test_more_workers_than_one_without_redis_are_refused_with_the_reason() -> None:
    result = CliRunner().invoke(serve.command, ["--workers", "3"], env={**ENVIRON, "REDIS_URL": ""})
    assert result.exit_code == 2
    assert "3 workers share calls through Redis: set REDIS_URL, or --workers 1" in result.stderr


def test_a_port_that_is_taken_is_told_before_any_worker_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.logs.configure", lambda *_: None)
    with bound("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(serve.command, ["--workers", "2", "--port", str(port)], env=ENVIRON)
    assert result.exit_code == CANNOT_LISTEN
    assert "cannot listen on 127.0.0.1" in result.stderr and "in use" in result.stderr


def test_flags_reach_the_workers_by_their_settings_names_and_all_sign_with_one_key(tmp_path: Path) -> None:
    file = tmp_path / "empty.env"
    file.touch()
    settings = read_settings(environ=ENVIRON, env_file=file)
    environ = worker_environ(settings, {"LOG_LEVEL": "debug"})
    assert environ["LOG_LEVEL"] == "debug"
    worker = read_settings(environ={**ENVIRON, **environ}, env_file=file)
    assert worker.log_level == "debug"
    assert [key.kid for key in worker.jwt_keys] == ["drawn"]
    assert len(worker.jwt_keys[0].secret) == 64
    named = read_settings(environ={**ENVIRON, "SWITCHBOARD_JWT_KEYS": "a:" + "s" * 32}, env_file=file)
    assert "SWITCHBOARD_JWT_KEYS" not in worker_environ(named, {}) or "SWITCHBOARD_JWT_KEYS" in os.environ
