"""`switchboard drain` against a real gateway, with a call on it."""

from __future__ import annotations

import asyncio
import sys

import pytest

from simulator.call_result import Happening
from simulator.caller import HangUp, Wait
from tests.calls.support import AUTH_TOKEN, LIMIT_S, RunningGateway, cascade, running_gateway

pytestmark = pytest.mark.anyio

TOKEN = "operator-" + "x" * 24


async def drain(house: RunningGateway, *arguments: str, token: str = TOKEN) -> tuple[int | None, str]:
    """What the command said, and its exit code."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli.main", "drain", "--url", house.url, *arguments),
        env={"TWILIO_AUTH_TOKEN": AUTH_TOKEN, "SWITCHBOARD_TOKEN": token, "PATH": ""},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(LIMIT_S):
        _, told = await process.communicate()
    return process.returncode, told.decode()


async def test_it_waits_until_the_last_call_has_ended_and_no_new_one_comes_in() -> None:
    async with running_gateway(providers=cascade(), SWITCHBOARD_TOKEN=TOKEN) as house:
        opened = asyncio.Event()

        def listen(one: Happening) -> None:
            if one.name == "agent.heard":
                opened.set()

        call = asyncio.create_task(house.call(Wait(4_000), HangUp(), listener=listen))
        await opened.wait()
        assert await drain(house) == (0, "draining: 1 calls and 0 sessions left\n")
        assert await drain(house, "--wait", "--timeout", "0") == (1, "time is over: 1 calls and 0 sessions left\n")
        refused = await house.call()
        assert refused.stream_sids == ()
        assert await drain(house, "--wait") == (0, "draining: 0 calls and 0 sessions left\n")
        assert (await call).heard_bytes > 0


async def test_it_says_so_if_it_may_not_or_nobody_is_there() -> None:
    async with running_gateway(providers=cascade(), SWITCHBOARD_TOKEN=TOKEN) as house:
        code, told = await drain(house, token="wrong-" + "x" * 24)
        assert code == 4 and "SWITCHBOARD_TOKEN" in told
        assert house.gateway.doors.are_open
    code, told = await drain(house)
    assert code == 3 and "cannot be reached" in told
