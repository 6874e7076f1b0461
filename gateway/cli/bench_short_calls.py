"""Calls that begin and end at once: what a call costs beside its seconds.

Webhook, stream, the greeting's first words, hanging up, status callback: as Twilio plays it.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Final

from gateway.cli.bench_server import ACCOUNT_SID
from simulator.call_result import EndReason
from simulator.call_setup import CallSetup
from simulator.caller import HangUp, Wait
from simulator.phone_call import PhoneCall

AT_ONCE: Final = 8
"""Enough that nobody waits for one caller's pace, few enough that the load's core keeps up."""

HOLD_MS: Final = 200
"""How long a stream is open."""


class ShortCallFailed(RuntimeError):
    """A call did not go as it should: the figures would be of something else."""


def setup_of(voice_url: str, status_url: str, auth_token: str) -> CallSetup:
    return CallSetup(
        voice_url=voice_url,
        status_url=status_url,
        to_number="+15550100001",
        from_number="+15550100002",
        account_sid=ACCOUNT_SID,
        auth_token=auth_token,
        steps=(Wait(HOLD_MS), HangUp()),
        keeps_media=False,
    )


async def place(setup: CallSetup, count: int) -> None:
    """So many calls, some at a time, each to its last callback. Raises `ShortCallFailed` in a group."""
    numbers = itertools.count()

    async def callers() -> None:
        while next(numbers) < count:
            result = await PhoneCall(setup).run()
            if result.end_reason is not EndReason.CALLER_HUNG_UP or result.complaints:
                raise ShortCallFailed(f"a short call ended as {result.end_reason.value}: {result.complaints}")

    async with asyncio.TaskGroup() as group:
        for _ in range(min(AT_ONCE, count)):
            group.create_task(callers())
