"""One server for all stand-ins of a module: to start and end one takes longer than most rules."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from simulator.standins.serving import served
from tests.pipeline.providers.conformance.standing import Floor


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def floor(anyio_backend: str) -> AsyncGenerator[Floor, None]:
    floor = Floor()
    async with served(floor) as floor.host:
        yield floor
