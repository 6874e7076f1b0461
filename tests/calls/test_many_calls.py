"""Many calls at once: each is answered, and when they are over nothing of them is left."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path

import pytest

from simulator.caller import HangUp, Listen, Say, Wait
from tests.calls.support import AGENT, cascade, clip, running_gateway, tasks_gone, words_bytes
from tests.fakes import FakeModel

pytestmark = pytest.mark.anyio

CALLS = 20
GROWTH_LIMIT_BYTES = 40 * 2**20
"""The simulator, in the same process, keeps what was heard; a leak of the kind that matters is per frame."""


async def test_twenty_calls_at_once_are_all_answered_and_leave_nothing_behind() -> None:
    model = FakeModel(*["Heard you."] * (CALLS + 1))
    script = (Listen(quiet_ms=200), Say(clip("yes")), Listen(quiet_ms=200), HangUp())
    async with running_gateway(providers=cascade(model=model)) as house:
        await house.call(Say(clip("no")), Wait(500), HangUp())  # whatever is loaded once, is loaded now
        before, resident = asyncio.all_tasks(), resident_bytes()
        results = await house.calls([script] * CALLS, keeps_media=False)
        assert await tasks_gone(before) == set()
        grown = resident_bytes() - resident
        live, active = await house.gateway.live_calls(), house.sample("calls_active")
    for result in results:
        (turn,) = result.turns
        assert turn.agent_heard_ms is not None
        assert result.heard_bytes == result.received_bytes == words_bytes(AGENT.greeting, "Heard you.")
        assert result.complaints == ()
    assert (live, active) == (0, 0)
    assert house.sample("calls_total", ended_reason="caller_hung_up") == CALLS + 1
    assert grown < GROWTH_LIMIT_BYTES


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
