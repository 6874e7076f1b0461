"""A session that is the agent's own: it greets, uses its tools and hangs up, as on the telephone."""

from __future__ import annotations

import pytest

from tests.calls.support import running_gateway
from tests.realtime.support import OPERATOR_TOKEN, Client, Frame, Service, service

pytestmark = pytest.mark.anyio


async def said(client: Client, text: str) -> str:
    """What the agent says to this, by itself or after its tools have told it."""
    await client.say_text(text)
    await client.say("response.create")
    while not (words := _words(await client.hear("response.done"))) or words.startswith("One moment"):
        pass
    return words


def _words(done: Frame) -> str:
    messages = [item for item in done["response"]["output"] if item["type"] == "message"]
    return " ".join(part["transcript"] for item in messages for part in item["content"])


async def test_it_greets_uses_its_tools_and_hangs_up() -> None:
    async with running_gateway(SWITCHBOARD_TOKEN=OPERATOR_TOKEN, SWITCHBOARD_DEMO_PAGE="1") as running:
        async with Service(running).connected("/v1/realtime?agent=1") as client:
            assert _words(await client.hear("response.done")) == "Hello there."
            tools = [tool["name"] for tool in client.frames[0]["session"]["tools"]]
            assert tools == ["look_up_order", "hang_up"]
            assert "on Thursday" in await said(client, "where is my order 4815")
            assert "Goodbye" in await said(client, "no thank you goodbye")
            assert await client.closed() == (1000, "hung_up")
        assert running.gateway.directory.ids() == []
        assert running.sample(
            "realtime_sessions_total", dialect="ga", transport="websocket", ended_reason="hung_up"
        )


async def test_elsewhere_it_is_refused_by_name() -> None:
    async with service() as switchboard, switchboard.connected("/v1/realtime?agent=1") as client:
        error = (await client.hear("error"))["error"]
        assert (error["code"], error["param"]) == ("invalid_value", "agent")
        assert await client.closed() == (4000, "invalid_request_error.invalid_value")
