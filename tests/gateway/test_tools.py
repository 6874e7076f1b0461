"""The tools of an agent's file, made and run: its own, webhooks, and those of MCP servers."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway import tools as gateway_tools
from gateway.tools import AgentTools
from pipeline.agent import Agent, AgentFileError
from pipeline.agent_tools import AgentTool, BuiltInTool, PythonTool, TableTool, WebhookTool
from pipeline.call_controls import NoCall
from pipeline.egress.guard import Egress
from pipeline.events.config import McpServer
from pipeline.provider import FunctionTool
from simulator.standins import mcp as mcp_standin
from simulator.standins.fault import Fault, Faults
from simulator.standins.serving import served

pytestmark = pytest.mark.anyio

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
LIMIT_S = 30.0


async def keep(_message: Mapping[str, str]) -> None:
    """Nobody leaves one here."""


def tools_of(*tools: AgentTool, mcp: tuple[McpServer, ...] = (), secret: str = SECRET) -> AgentTools:
    return AgentTools(Agent("a", tools=tools, mcp=mcp), keep, Egress(), secret)


class Call(NoCall):
    facts: Mapping[str, str] = {"call_sid": "CA1"}


def test_each_kind_of_tool_is_made_and_faults_are_told_together() -> None:
    own = (TableTool(FunctionTool("look_up")), BuiltInTool("hang_up"), PythonTool("os.path:exists"))
    with pytest.raises(AgentFileError) as failure:
        tools_of(*own, PythonTool("nowhere:find"), TableTool(FunctionTool("bad", parameters={"type": "objekt"})))
    assert [fault.partition(":")[0] for fault in failure.value.faults] == ["tools[3]", "tools[4]"]
    assert tools_of(TableTool(FunctionTool("look_up")), BuiltInTool("hang_up")).toolbox.names == {
        "look_up",
        "hang_up",
    }


def test_webhooks_need_a_secret_and_a_sound_address() -> None:
    tool = WebhookTool(FunctionTool("book"), "https://example.com/book")
    with pytest.raises(AgentFileError, match="SWITCHBOARD_WEBHOOK_SECRET: a webhook secret is whsec_"):
        tools_of(tool, secret="")
    with pytest.raises(AgentFileError, match="127.1"):
        tools_of(WebhookTool(FunctionTool("book"), "https://127.1@example.com/"))


@asynccontextmanager
async def shop(status: int = 200) -> AsyncGenerator[tuple[str, list[dict[str, Any]]], None]:
    asked: list[dict[str, Any]] = []

    async def book(request: Request) -> Response:
        asked.append({"headers": dict(request.headers), **json.loads(await request.body())})
        return JSONResponse({"booked": True}, status)

    async with served(Starlette(routes=[Route("/book", book, methods=["POST"])])) as place:
        yield f"http://{place}/book", asked


async def test_a_webhook_of_the_operators_own_is_called_signed_wherever_it_stands() -> None:
    async with shop() as (url, asked):
        tools = tools_of(WebhookTool(FunctionTool("book"), url))
        async with tools.opened():
            result = await tools.toolbox.call("book", '{"day": "monday"}', Call())
    assert json.loads(result.output) == {"booked": True}
    (request,) = asked
    assert (request["tool"], request["arguments"], request["call"]) == (
        "book",
        {"day": "monday"},
        {"call_sid": "CA1"},
    )
    assert request["headers"]["webhook-signature"].startswith("v1,")


async def test_a_webhook_that_fails_is_words_for_the_model() -> None:
    async with shop(status=500) as (url, _):
        tools = tools_of(WebhookTool(FunctionTool("book"), url))
        async with tools.opened():
            assert "error" in json.loads((await tools.toolbox.call("book", "{}", Call())).output)


async def until(condition: Any) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - a toolbox has no event
            await asyncio.sleep(0.02)


async def test_the_tools_of_an_mcp_server_are_functions_like_any_other() -> None:
    async with served(mcp_standin.app(Faults())) as place:
        server = McpServer(server_label="crm", server_url=f"http://{place}/mcp", require_approval="never")
        tools = tools_of(TableTool(FunctionTool("lookup_order")), mcp=(server,))
        async with tools.opened():
            await until(lambda: "crm__lookup_order" in tools.toolbox.names)
            result = await tools.toolbox.call("crm__lookup_order", '{"order_id": "4815"}')
            wrong = await tools.toolbox.call("crm__lookup_order", '{"order_id": []}')
    assert "error" not in result.output
    assert "error" in json.loads(wrong.output)


async def test_an_mcp_server_that_is_down_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_tools, "AGAIN_S", 0.05)
    faults = Faults()
    faults.inject(Fault.BROKEN)
    async with served(mcp_standin.app(faults)) as place:
        server = McpServer(server_label="crm", server_url=f"http://{place}/mcp", require_approval="never")
        tools = tools_of(mcp=(server,))
        async with tools.opened():
            await until(lambda: "lookup_order" in tools.toolbox.names)
    assert Fault.BROKEN in faults.taken
