from __future__ import annotations

import asyncio

import aiohttp
import pytest

from gateway.supervisor.metrics_port import metrics_served
from gateway.supervisor.supervisor import bound
from tests.gateway.supervisor.support import LIMIT_S, team

pytestmark = pytest.mark.anyio


async def test_the_page_is_made_when_it_is_asked_for_and_the_port_is_free_afterwards() -> None:
    listener = bound("127.0.0.1", 0)
    port = listener.getsockname()[1]
    pages = iter(["first 1\n", "second 2\n"])

    async def page() -> str:
        return next(pages)

    async with metrics_served(listener, page), aiohttp.ClientSession() as session, asyncio.timeout(LIMIT_S):
        for expected in ("first 1\n", "second 2\n"):
            async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
                assert (response.status, await response.text()) == (200, expected)
                assert response.content_type == "text/plain"
        async with session.get(f"http://127.0.0.1:{port}/") as response:
            assert response.status == 404
    bound("127.0.0.1", port).close()


async def test_every_worker_that_serves_has_its_page() -> None:
    async with team() as here, asyncio.timeout(LIMIT_S):
        pages = await here.supervisor.pages()
        assert pages.keys() == (await here.both()).keys()
        assert all("switchboard_calls_active 0.0" in page for page in pages.values())
