"""The providers in a process of their own: there until they are told to stop."""

from __future__ import annotations

import asyncio
import os
import signal

import aiohttp
import pytest

from gateway.cli.bench_turns_standins import serve
from gateway.cli.loopback import HOST, free_port
from tests.gateway.cli.test_bench_turns_table import OPTIONS

pytestmark = pytest.mark.anyio


async def test_they_serve_until_they_are_told_to_stop() -> None:
    port = free_port()
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        serving = asyncio.create_task(serve(OPTIONS, port))
        status = 0
        while status != 200:
            await asyncio.sleep(0.01)
            try:
                async with session.get(f"http://{HOST}:{port}/readyz") as response:
                    status = response.status
            except aiohttp.ClientConnectionError:
                pass
        os.kill(os.getpid(), signal.SIGTERM)
        await serving
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
