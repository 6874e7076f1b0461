"""One arm of the benchmark of turns: stand-ins, a gateway and its callers, and what the callers had of it.

The stand-ins and the gateway are processes of their own and begin afresh for every arm: nothing that one arm has
taught the gateway helps the next.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import aiohttp

from gateway.cli.bench_run import percentile
from gateway.cli.bench_server import ACCOUNT_SID, Server, running
from gateway.cli.bench_turns_options import Options, clips
from gateway.cli.loopback import HOST
from simulator.load import Load, Target
from simulator.standins.turn_ledger import Bill, bill_from
from simulator.turn_call import TurnCall, Waited
from simulator.turn_plan import Plan, plan_of

GATEWAY: Final = "gateway.cli.bench_turns_gateway"
STANDINS: Final = "gateway.cli.bench_turns_standins"

LEAD_MS: Final = 300

CALLS_PER_S: Final = 5.0
"""New calls while they are being placed."""

LONGEST_TURN_S: Final = 20.0
"""Speech, patience and an answer; a call that takes longer is lost."""

INSTRUCTIONS: Final = " ".join(
    ["You are the reception of Blue Door Books. Answer in one or two short sentences, as spoken on a telephone."]
    * 8
)
"""About as many words as a real agent is told."""


@dataclass(frozen=True, slots=True)
class Arm:
    """What is switched on."""

    name: str
    preemptive: bool
    hedging: bool


ARMS: Final = (
    Arm("plain", preemptive=False, hedging=False),
    Arm("preemptive", preemptive=True, hedging=False),
    Arm("hedging", preemptive=False, hedging=True),
    Arm("both", preemptive=True, hedging=True),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one arm."""

    arm: Arm
    waited: Sequence[Waited]
    bill: Bill
    failed: int
    """Calls that could not be placed, or were lost."""
    generator_lateness_p99: float | None
    """ms"""


async def run_arm(arm: Arm, options: Options) -> Outcome:
    """All calls, all turns."""
    plan = plan_of(options.said, clips(), noise_dbfs=options.noise)
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-turns-") as folder:
        async with _cores() as core, _standins(options, Path(folder)) as standins:
            settings = _settings(arm, standins.port, _agent_file(Path(folder), options))
            log = Path(folder, "gateway.log")
            async with running(GATEWAY, json.dumps(settings), core=core, lead_ms=LEAD_MS, log=log) as gateway:
                load, calls = await _talk(gateway, plan, options)
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://{HOST}:{standins.port}/ledger") as answer:
                    bill = bill_from(await answer.json())
    waited = sorted((turn for call in calls for turn in call.waited), key=lambda turn: turn.number)
    return Outcome(arm, waited, bill, load.failed, percentile(load.tally.own_lateness, 99))


async def _talk(gateway: Server, plan: Plan, options: Options) -> tuple[Load, list[TurnCall]]:
    calls: list[TurnCall] = []
    turns = iter(plan.calls)

    def call(stream_sid: str, draws: random.Random) -> TurnCall:
        calls.append(TurnCall(stream_sid, next(turns), plan.noise, draws))
        return calls[-1]

    load = Load(Target(gateway.voice_url, gateway.auth_token, ACCOUNT_SID), call, options.seed)
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        ticking = tasks.create_task(load.run())
        for _ in plan.calls:
            await load.add(session)
            await asyncio.sleep(1 / CALLS_PER_S)
        longest_s = LONGEST_TURN_S * (1 + options.turns)
        until_s = asyncio.get_running_loop().time() + longest_s
        while load.calls and not all(one.is_done for one in calls):
            if asyncio.get_running_loop().time() > until_s:
                break
            await asyncio.sleep(0.1)
        ticking.cancel()
        load.hang_up()
    return load, calls


@asynccontextmanager
async def _cores() -> AsyncGenerator[int | None, None]:
    """The gateway's own core; the callers and the stand-ins share the others."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, set(cores[:-1]))
    try:
        yield cores[-1] if len(cores) > 1 else None
    finally:
        os.sched_setaffinity(0, set(cores))


@asynccontextmanager
async def _standins(options: Options, folder: Path) -> AsyncGenerator[Server, None]:
    log = folder / "standins.log"
    async with running(STANDINS, json.dumps(asdict(options)), core=None, lead_ms=LEAD_MS, log=log) as standins:
        yield standins


def _agent_file(folder: Path, options: Options) -> Path:
    path = folder / "agent.toml"
    path.write_text(
        'name = "bench"\n'
        'language = "en-US"\n'
        'greeting = "Hello, how can I help you?"\n'
        f'instructions = "{INSTRUCTIONS}"\n'
        f"[turn_detection]\nsilence_duration_ms = {options.silence}\n"
    )
    return path


def _settings(arm: Arm, port: int, agent: Path) -> dict[str, str]:
    place = f"{HOST}:{port}"
    return {
        "SWITCHBOARD_AGENT": str(agent),
        "SWITCHBOARD_STT": "deepgram/nova-3",
        "SWITCHBOARD_LLM": "openai/stand-in",
        "SWITCHBOARD_TTS": "cartesia",
        "DEEPGRAM_API_KEY": "any",
        "OPENAI_API_KEY": "any",
        "CARTESIA_API_KEY": "any",
        "DEEPGRAM_BASE_URL": f"http://{place}",
        "OPENAI_BASE_URL": f"http://{place}/v1",
        "CARTESIA_BASE_URL": f"http://{place}",
        "SWITCHBOARD_PREEMPTIVE": str(int(arm.preemptive)),
        "SWITCHBOARD_HEDGING": str(int(arm.hedging)),
    }
