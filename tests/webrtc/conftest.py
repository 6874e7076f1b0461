"""One gateway for each file of tests, in the one event loop of that file."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from tests.webrtc.support import Rtc, rtc


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def gateway(anyio_backend: str) -> AsyncGenerator[Rtc, None]:
    async with rtc(realtime_events_per_s="10000") as opened:
        yield opened
