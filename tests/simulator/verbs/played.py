"""Calls to a throw-away gateway on a clock that jumps, for the tests of single verbs."""

from __future__ import annotations

import asyncio
from typing import Any

from simulator.call_result import CallResult
from simulator.call_setup import CallSetup
from simulator.phone_call import PhoneCall
from tests.simulator.throwaway_gateway import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    JumpingClock,
    Page,
    ThrowawayGateway,
    running,
)


async def played(pages: dict[str, str | Page], *steps: Any, **changes: Any) -> tuple[CallResult, ThrowawayGateway]:
    """The call whose first document is `/voice`, and the gateway that was asked."""
    gateway = ThrowawayGateway(pages=pages)
    async with running(gateway), asyncio.timeout(20):
        fields: dict[str, Any] = {"max_call_s": 60} | changes
        setup = CallSetup(
            voice_url=f"{gateway.url}/voice",
            to_number="+15550001111",
            from_number="+15550002222",
            account_sid=ACCOUNT_SID,
            auth_token=AUTH_TOKEN,
            steps=steps,
            **fields,
        )
        return await PhoneCall(setup, clock=JumpingClock()).run(), gateway


def verbs(result: CallResult) -> list[str]:
    return [str(one.detail["verb"]) for one in result.happenings if one.name == "verb"]
