"""A server under test: it comes up on its core, is watched, and is gone afterwards whatever it did."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import aiohttp
import pytest

from gateway.cli import bench_server
from gateway.cli.bench_server import ACCOUNT_SID, running

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
FLOOR = "gateway.cli.bench_floor"

STUBBORN = """
import http.server, json, os, signal, sys

signal.signal(signal.SIGTERM, signal.SIG_IGN)
asked = 0

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global asked
        asked += 1
        self.send_response(503 if asked < 3 else 200)
        body = json.dumps({"arguments": sys.argv[1:], "environ": dict(os.environ), "asked": asked}).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a child can import: our packages, and modules a test writes."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), str(ROOT))))
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    (tmp_path / "broken.py").write_text("raise SystemExit('the cellar is flooded')")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_server_runs_on_its_core_until_the_block_is_left(tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    async with running(FLOOR, core=core, lead_ms=300, log=tmp_path / "log") as server:
        assert server.voice_url == f"http://127.0.0.1:{server.port}/twilio/voice"
        assert os.sched_getaffinity(server.pid) == {core}
        before = server.used()
        async with aiohttp.ClientSession() as session:
            for _ in range(100):
                async with session.post(server.voice_url) as answer:
                    assert answer.status == 200
        after = server.used()
        assert 0 < before.cpu_s <= after.cpu_s < 60
        assert 5e6 < after.rss_bytes < 1e9
        assert server.descriptors() == len(os.listdir(f"/proc/{server.pid}/fd")) > 3
    assert not is_alive(server.pid)


async def test_a_server_that_is_not_ready_is_asked_again_and_one_that_will_not_leave_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_server, "STOP_LIMIT_S", 0.1)
    monkeypatch.setenv("PUBLIC_URL", "https://real.example")
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC" + "1" * 32)
    async with running("stubborn", "serve", core=None, lead_ms=170, log=tmp_path / "log") as server:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{server.port}/") as answer:
            told = await answer.json(content_type=None)
        assert (told["asked"], told["arguments"]) == (4, ["serve"])
        settings = {
            "PUBLIC_URL": f"http://127.0.0.1:{server.port}",
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": server.auth_token,
            "SWITCHBOARD_PLAYBACK_LEAD_MS": "170",
            "SWITCHBOARD_TTS": "stub",
        }
        assert {name: told["environ"][name] for name in settings} == settings
    assert not is_alive(server.pid)


async def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the cellar is flooded"):
        async with running("broken", core=None, lead_ms=300, log=tmp_path / "log"):
            raise AssertionError("it did not start")


async def test_a_server_that_has_gone_already_is_not_told_to_go(tmp_path: Path) -> None:
    async with running(FLOOR, core=None, lead_ms=300, log=tmp_path / "log") as server:
        os.kill(server.pid, signal.SIGKILL)
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectionError):
                while True:
                    async with session.get(f"http://127.0.0.1:{server.port}/readyz"):
                        pass
    assert not is_alive(server.pid)


async def test_settings_that_are_given_come_before_its_own(tmp_path: Path) -> None:
    settings = {"TWILIO_AUTH_TOKEN": "shared", "REDIS_URL": "redis://127.0.0.1:1"}
    running_one = running("stubborn", core=None, lead_ms=300, log=tmp_path / "log", settings=settings)
    async with running_one as server:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{server.port}/") as answer:
            told = await answer.json(content_type=None)
        assert {name: told["environ"][name] for name in settings} == settings
        assert server.auth_token == "shared"
        assert told["environ"]["SWITCHBOARD_MAX_LAG_MS"] == "0"
        os.kill(server.pid, signal.SIGKILL)
