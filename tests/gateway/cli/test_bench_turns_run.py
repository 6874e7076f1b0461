"""One arm of the benchmark, shortened, against a throw-away gateway in this process."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse

from gateway.cli import bench_turns_run
from gateway.cli.bench_server import Server
from gateway.cli.bench_turns_run import ARMS, GATEWAY, STANDINS, run_arm
from simulator.sound import Codec
from simulator.standins.serving import served
from simulator.standins.tone import hum
from tests.gateway.cli.test_bench_turns_table import BILL, OPTIONS
from tests.simulator.throwaway_gateway import AUTH_TOKEN, Agent, Line, ThrowawayGateway
from tests.simulator.throwaway_gateway import running as throwaway

pytestmark = pytest.mark.anyio

SHORT = replace(OPTIONS, calls=2, turns=1)
WORD = Codec.PCMU.encode(hum(1, 8_000))
BILLED = {name: getattr(BILL, name) for name in BILL.__slots__}


def agent_at(path: str) -> dict[str, Any]:
    return tomllib.loads(Path(path).read_text())


class Rig:
    """What was started, and with what."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, agent: Agent) -> None:
        self.started: list[tuple[str, dict[str, Any], int | None]] = []
        self.agents: list[dict[str, Any]] = []
        self._agent = agent
        monkeypatch.setattr(bench_turns_run, "running", self._running)

    @asynccontextmanager
    async def _running(
        self, module: str, argument: str, *, core: int | None, lead_ms: int, log: Path
    ) -> AsyncGenerator[Server, None]:
        told = json.loads(argument)
        self.started.append((module, told, core))
        if module == STANDINS:
            async with served(JSONResponse(BILLED)) as place:
                yield Server(int(place.rpartition(":")[2]), os.getpid(), "")
            return
        self.agents.append(agent_at(told["SWITCHBOARD_AGENT"]))
        async with throwaway(ThrowawayGateway(agent=self._agent)) as gateway:
            stream = gateway.url.replace("http", "ws") + "/media/token"
            gateway.pages["/twilio/voice"] = f'<Connect><Stream url="{stream}"/></Connect>'
            yield Server(gateway.port, os.getpid(), AUTH_TOKEN)


async def answer(line: Line) -> None:
    """A word of greeting, and from then on a word now and then."""
    while True:
        await line.play(WORD)
        await line.until("media", len(line.of("media")) + 50)


async def leave(line: Line) -> None:
    """At once."""


async def stay_silent(line: Line) -> None:
    await line.until_closed()


async def test_an_arm_is_played_to_its_end_and_billed(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch, answer)
    cores = os.sched_getaffinity(0)
    outcome = await run_arm(ARMS[1], SHORT)
    assert (outcome.arm, outcome.bill, outcome.failed) == (ARMS[1], BILL, 0)
    assert [waited.number for waited in outcome.waited] == [0, 1]
    assert all(waited.answer_s is not None for waited in outcome.waited)
    assert outcome.generator_lateness_p99 is not None
    (standins, told, _), (gateway, settings, core) = rig.started
    assert (standins, gateway) == (STANDINS, GATEWAY)
    assert told == {name: getattr(SHORT, name) for name in SHORT.__slots__}
    assert (settings["SWITCHBOARD_PREEMPTIVE"], settings["SWITCHBOARD_HEDGING"]) == ("1", "0")
    assert settings["OPENAI_BASE_URL"].endswith("/v1")
    assert rig.agents[0]["turn_detection"] == {"silence_duration_ms": 500}
    assert core == (max(cores) if len(cores) > 1 else None)
    assert os.sched_getaffinity(0) == cores


async def test_calls_that_are_lost_end_an_arm_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    Rig(monkeypatch, leave)
    outcome = await run_arm(ARMS[0], SHORT)
    assert (outcome.failed, outcome.waited) == (2, [])


@pytest.mark.parametrize("cores", [{0}, {0, 1}], ids=["one core", "two cores"])
async def test_calls_that_never_end_are_given_up(cores: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[set[int]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: cores)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _pid, chosen: pinned.append(set(chosen)))
    monkeypatch.setattr(bench_turns_run, "LONGEST_TURN_S", 0.05)
    rig = Rig(monkeypatch, stay_silent)
    outcome = await run_arm(ARMS[3], SHORT)
    assert (outcome.failed, outcome.waited) == (0, [])
    assert rig.started[1][2] == (1 if len(cores) > 1 else None)
    assert pinned == ([{0}, cores] if len(cores) > 1 else [cores])
