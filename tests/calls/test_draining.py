"""Draining: told to stop, the process takes no new call, lets those it has end, and leaves; told twice, at once.

The gateway is a process of its own here, because signals are the process's.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from simulator.call_result import CallResult, EndReason, Happening
from simulator.caller import HangUp, Listen, Say, Step, Wait
from simulator.phone_call import PhoneCall
from tests.calls.support import LIMIT_S, call_setup, clip, environ_for
from twiml.overflow_words import words_in

WORDS = words_in(None)
ALL_BUSY = f"{WORDS.all_busy} {WORDS.try_later}"

pytestmark = pytest.mark.anyio

TOKEN = "watch"

AGENT_FILE = """
name = "brief"
greeting = "Hello there."
[turn_detection]
silence_duration_ms = 300
"""

LEAVE_LIMIT_S = 2.0
"""From the end of the last call to the end of the process."""

SECOND_SIGNAL_LIMIT_S = 5.0
"""uvicorn closes what is open and waits a moment for it; without the signal the call would go on for a minute."""


@dataclass
class Child:
    """A gateway in a process of its own."""

    process: asyncio.subprocess.Process
    url: str

    async def call(self, *steps: Step, heard: asyncio.Event | None = None) -> CallResult:
        """A call; `heard` is set when the agent is."""

        def listen(one: Happening) -> None:
            if one.name == "agent.heard" and heard is not None:
                heard.set()

        async with asyncio.timeout(LIMIT_S):
            return await PhoneCall(call_setup(self.url, *steps), listener=listen).run()

    async def watched(self) -> list[str]:
        """What happens in all calls, by name, until the gateway lets go."""
        headers, query = {"Authorization": f"Bearer {TOKEN}"}, {"follow": "1"}
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.get(f"{self.url}/v1/events", params=query) as response:
                return [json.loads(line)["event"] async for line in response.content]

    async def readiness(self) -> int:
        """What `/readyz` answers; 0 if nobody does."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/readyz") as response:
                return response.status
        except aiohttp.ClientError:
            return 0

    async def until_ready(self, wanted: int) -> None:
        async with asyncio.timeout(LIMIT_S):
            while await self.readiness() != wanted:
                assert self.process.returncode is None
                await asyncio.sleep(0.05)

    async def left_within(self, limit_s: float) -> int:
        """The exit code; `TimeoutError` if the process is still there."""
        async with asyncio.timeout(limit_s):
            return await self.process.wait()


@asynccontextmanager
async def child(folder: Path) -> AsyncGenerator[Child, None]:
    """`switchboard serve`, ready; its agent and its log in `folder`."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    agent_file, log_file = folder / "brief.toml", folder / "gateway.log"
    agent_file.write_text(AGENT_FILE)
    settings = environ_for(port) | {"SWITCHBOARD_AGENT": str(agent_file)}
    settings |= {f"SWITCHBOARD_{kind}": "stub" for kind in ("STT", "LLM", "TTS")} | {"SWITCHBOARD_TOKEN": TOKEN}
    with log_file.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli.main", "serve", "--env-file", os.devnull),
            env={**os.environ, **settings},
            stdout=log,
            stderr=log,
        )
    try:
        one = Child(process, f"http://127.0.0.1:{port}")
        await one.until_ready(200)
        yield one
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_told_to_stop_it_turns_new_callers_away_and_leaves_when_the_last_call_has_ended(
    tmp_path: Path,
) -> None:
    async with child(tmp_path) as gateway, asyncio.TaskGroup() as callers:
        heard = asyncio.Event()
        steps = (Listen(quiet_ms=800), Say(clip("yes")), Wait(1_000), HangUp())
        live = callers.create_task(gateway.call(*steps, heard=heard))
        await heard.wait()
        gateway.process.send_signal(signal.SIGTERM)
        await gateway.until_ready(503)
        late = await gateway.call(HangUp())
        assert not live.done()
        result = await live
        exit_code = await gateway.left_within(LEAVE_LIMIT_S)
    assert late.spoken_verbs == (ALL_BUSY,)
    assert late.end_reason is EndReason.HANGUP_VERB
    assert late.stream_sids == ()
    # Its question was asked after the signal, and answered.
    assert result.turns[0].agent_heard_ms is not None
    assert result.end_reason is EndReason.CALLER_HUNG_UP
    assert result.complaints == ()
    assert exit_code == 0


async def test_who_watches_sees_the_last_call_end_and_keeps_nobody_from_leaving(tmp_path: Path) -> None:
    async with child(tmp_path) as gateway, asyncio.TaskGroup() as tasks:
        heard = asyncio.Event()
        watching = tasks.create_task(gateway.watched())
        live = tasks.create_task(gateway.call(Wait(1_000), HangUp(), heard=heard))
        await heard.wait()
        gateway.process.send_signal(signal.SIGTERM)
        await live
        assert await gateway.left_within(LEAVE_LIMIT_S) == 0
    told = watching.result()
    assert told[0] == "call.started"
    assert "call.ended" in told


async def test_told_twice_it_does_not_wait_for_calls(tmp_path: Path) -> None:
    async with child(tmp_path) as gateway, asyncio.TaskGroup() as callers:
        heard = asyncio.Event()
        live = callers.create_task(gateway.call(Wait(60_000), HangUp(), heard=heard))
        await heard.wait()
        gateway.process.send_signal(signal.SIGTERM)
        await gateway.until_ready(503)
        gateway.process.send_signal(signal.SIGTERM)
        exit_code = await gateway.left_within(SECOND_SIGNAL_LIMIT_S)
        result = await live
    assert exit_code == 0
    assert result.end_reason is EndReason.APPLICATION_ERROR
