from __future__ import annotations

import logging

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from simulator.standins.fault import Fault, Faults
from simulator.standins.mcp import METHOD_NOT_FOUND, REVISION, app, tools
from simulator.standins.serving import served

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("has_streams", [False, True])
async def test_the_official_sdk_talks_to_it_unmodified(has_streams: bool) -> None:
    made = app(Faults(), delay_s=0.001, has_streams=has_streams)
    async with served(made) as place, httpx2.AsyncClient() as http:
        async with Client(streamable_http_client(f"http://{place}/mcp", http_client=http)) as client:
            assert client.protocol_version == REVISION
            assert [tool.name for tool in (await client.list_tools()).tools] == [tool["name"] for tool in tools(1)]
            result = await client.call_tool("lookup_order", {"order_id": "B-42"})
            assert result.content[0].model_dump()["text"] == "Order B-42 is waiting for its lamp."
            assert (await client.call_tool("fails")).is_error
    assert made.state.seen.calls == [("lookup_order", {"order_id": "B-42"}), ("fails", {})]
    assert made.state.seen.ended_sessions == 1


async def test_it_has_no_events_of_its_own_and_refuses_unknown_methods() -> None:
    async with served(app(Faults())) as place, httpx2.AsyncClient() as http:
        assert (await http.get(f"http://{place}/mcp")).status_code == 405
        strange = {"jsonrpc": "2.0", "id": 1, "method": "strange"}
        answer = await http.post(f"http://{place}/mcp", json=strange)
        assert answer.json()["error"]["code"] == METHOD_NOT_FOUND


async def test_a_fault_befalls_what_is_asked_of_tools_or_the_handshake() -> None:
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    greeting = {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
    for faulty_handshake, statuses in ((False, (401, 200)), (True, (200, 401))):
        made = app(Faults(Fault.REFUSE), faulty_handshake=faulty_handshake)
        async with served(made) as place, httpx2.AsyncClient() as http:
            answers = [await http.post(f"http://{place}/mcp", json=asked) for asked in (listing, greeting)]
        assert tuple(answer.status_code for answer in answers) == statuses


def test_one_tool_shows_another_face_the_second_time() -> None:
    changed = [before["name"] for before, after in zip(tools(1), tools(2), strict=True) if before != after]
    assert changed == ["shifty"]


async def test_it_leaves_the_logging_of_the_process_alone() -> None:
    before = list(logging.getLogger().handlers)
    async with served(app(Faults())):
        pass
    assert logging.getLogger().handlers == before
