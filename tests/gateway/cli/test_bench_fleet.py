"""Gateways under test: one is itself, several stand behind one door and believe the same signatures."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.cli import bench_fleet
from gateway.cli.bench_fleet import Fleet, fleet
from gateway.cli.bench_server import Server, Used
from simulator.webhook import Webhooks
from tests.simulator.throwaway_gateway import ThrowawayGateway
from tests.simulator.throwaway_gateway import running as throwaway

pytestmark = pytest.mark.anyio

SETTINGS = {"REDIS_URL": "redis://127.0.0.1:1"}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[str, ...], dict[str, Any], ThrowawayGateway]]:
    """What was started, with what, and who stands there instead."""
    started: list[tuple[tuple[str, ...], dict[str, Any], ThrowawayGateway]] = []

    @asynccontextmanager
    async def running(*command: str, **options: Any) -> AsyncGenerator[Server, None]:
        async with throwaway(ThrowawayGateway(pages={"/twilio/voice": "<Hangup/>"})) as gateway:
            started.append((command, options, gateway))
            yield Server(gateway.port, os.getpid(), options["settings"].get("TWILIO_AUTH_TOKEN", "its own"))

    monkeypatch.setattr(bench_fleet, "running", running)
    return started


def of(workers: int, log: Path) -> Any:
    return fleet("m", "serve", workers=workers, core=1, lead_ms=300, log=log, settings=SETTINGS, seed=1)


async def test_one_is_called_directly(started: list[Any], tmp_path: Path) -> None:
    async with of(1, tmp_path / "bench.log") as servers:
        (one,) = started
        assert one[:2] == (
            ("m", "serve"),
            {"core": 1, "lead_ms": 300, "log": tmp_path / "bench.log", "settings": SETTINGS},
        )
        assert servers.voice_url == f"{one[2].url}/twilio/voice"
        assert servers.status_url == f"{one[2].url}/twilio/status"
        assert servers.auth_token == "its own"


async def test_several_share_a_door_a_name_and_a_token(started: list[Any], tmp_path: Path) -> None:
    async with of(3, tmp_path / "bench.log") as servers:
        for _ in range(6):
            async with aiohttp.ClientSession() as session:
                await Webhooks(session, servers.auth_token).ask(servers.voice_url, "POST", {})
        assert sum(len(gateway.asked) for _, _, gateway in started) == 6
        assert servers.port not in {gateway.port for _, _, gateway in started}
    settings = [options["settings"] for _, options, _ in started]
    assert settings[0] == {
        **SETTINGS,
        "PUBLIC_URL": f"http://127.0.0.1:{servers.port}",
        "TWILIO_AUTH_TOKEN": servers.auth_token,
    }
    assert settings == settings[:1] * 3
    assert len({options["log"] for _, options, _ in started}) == 3


def test_what_they_use_is_what_all_of_them_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "used", lambda self: Used(self.port * 0.5, self.port * 100))
    monkeypatch.setattr(Server, "descriptors", lambda self: self.port)
    servers = Fleet((Server(1, 11, "t"), Server(2, 12, "t")), port=80, auth_token="t")
    assert servers.used() == Used(1.5, 300)
    assert servers.descriptors() == 3
