from __future__ import annotations

import asyncio

import pytest

from pipeline.egress.guard import Egress
from pipeline.events.config import McpServer
from pipeline.mcp.server import ToolServer
from simulator.standins.fault import Faults
from simulator.standins.mcp import app
from simulator.standins.serving import served

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("authorization", "key", "said"),
    [
        ("geheim-token", "geheim-key", "You sent Bearer [hidden] and [hidden]."),
        ("Basic geheim-token", "geheim-key", "You sent [hidden] and [hidden]."),
        ("geheim-token", "geheim-token-and-more", "You sent Bearer [hidden] and [hidden]."),
        (None, "no", "You sent None and no."),
    ],
)
async def test_a_server_that_says_secrets_back_is_not_repeated(
    authorization: str | None, key: str, said: str
) -> None:
    async with served(app(Faults())) as place, asyncio.TaskGroup() as tasks:
        named = McpServer(
            server_label="x",
            server_url=f"http://{place}/mcp",
            authorization=authorization,
            headers={"x-key": key},
        )
        server = ToolServer(named, Egress().trusting(named.server_url))
        tasks.create_task(server.run())
        assert await server.call(named, "whoami", "{}", 5) == said
        server.hang_up()
