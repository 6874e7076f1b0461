"""The client against a server over real sockets, with every fault."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from pipeline.egress.allowed import read_allowed
from pipeline.egress.guard import ClientServers, Egress
from pipeline.events.config import McpServer
from pipeline.mcp.client import MOST_SERVERS, McpClient, load
from pipeline.mcp.tool import McpFailure
from simulator.standins.fault import Fault, Faults
from simulator.standins.mcp import MOST_BYTES, Seen, app
from simulator.standins.serving import served

pytestmark = pytest.mark.anyio

LIMIT_S = 1.0
OFFERED = ["lookup_order", "slow", "fails", "big", "figures", "picture", "whoami", "misshapen", "shifty"]
WIRES: dict[str, dict[str, bool]] = {"json": {}, "streams": {"has_streams": True}, "older": {"is_old": True}}


@dataclass
class Shop:
    server: McpServer
    faults: Faults
    seen: Seen
    egress: Egress


@contextlib.asynccontextmanager
async def shop(**options: bool) -> AsyncGenerator[Shop, None]:
    faults = Faults()
    made = app(faults, **options)
    async with served(made) as place:
        server = McpServer(
            server_label="shop",
            server_url=f"http://{place}/mcp",
            authorization="geheim-token",
            headers={"X-Key": "geheim-key"},
        )
        egress = Egress(read_allowed(place), client_servers=ClientServers.LISTED)
        yield Shop(server, faults, made.state.seen, egress)


@pytest.fixture(autouse=True)
async def sdk() -> None:
    await load()  # a second, which no time limit below is for


@pytest.mark.parametrize("wire", WIRES)
async def test_tools_are_listed_and_called_over_every_wire(wire: str) -> None:
    async with shop(**WIRES[wire]) as it, McpClient(it.egress) as client:
        tools = await client.list_tools(it.server)
        assert [tool.name for tool in tools] == OFFERED
        assert tools[0].annotations == {"readOnlyHint": True}
        for _ in range(2):
            text = await client.call(it.server, "lookup_order", '{"order_id": "A-17"}')
            assert text == "Order A-17 is shipped on Monday."
        assert it.seen.calls == [("lookup_order", {"order_id": "A-17"})] * 2


async def test_a_call_lists_first_if_nobody_did() -> None:
    async with shop() as it, McpClient(it.egress) as client:
        assert await client.call(it.server, "figures", "") == '{"sum": 3}'
        assert it.seen.lists == 1


async def test_a_server_that_is_said_to_be_old_is_not_asked_anything_new() -> None:
    async with shop() as it, McpClient(it.egress) as client:
        at_sse = it.server.server_url.replace("/mcp", "/sse")
        old = msgspec.structs.replace(it.server, server_url=at_sse, transport="sse")
        assert await client.call(old, "figures", "{}") == '{"sum": 3}'


async def test_a_server_that_is_said_to_be_new_is_not_asked_the_old_way() -> None:
    async with shop(is_old=True) as it, McpClient(it.egress) as client:
        new = msgspec.structs.replace(it.server, transport="streamable-http")
        assert (await failure_of(client.list_tools(new))).code == 405


async def test_two_first_wishes_share_one_line() -> None:
    async with shop() as it:
        async with McpClient(it.egress) as client:
            await asyncio.gather(client.list_tools(it.server), client.list_tools(it.server))
        assert it.seen.lists == 2
        assert it.seen.ended_sessions == 1


async def test_calls_run_beside_one_another() -> None:
    async with shop() as it, McpClient(it.egress, call_limit_s=LIMIT_S) as client:
        await client.list_tools(it.server)
        async with asyncio.TaskGroup() as tasks:
            slow = tasks.create_task(failure_of(client.call(it.server, "slow", "{}")))
            quick = [tasks.create_task(client.call(it.server, "picture", "{}")) for _ in range(5)]
            await asyncio.wait(quick)
            assert not slow.done()
        assert {task.result() for task in quick} == {
            "[image/png, which is not shown here]\n[see more: https://example.com/]"
        }
        assert slow.result().code == 504


async def failure_of(call: Any) -> McpFailure:
    with pytest.raises(McpFailure) as failed:
        await call
    return failed.value


FINE = (None, None)
LATE, LOST, NO_JSON = ("http_error", 504), ("http_error", 502), ("protocol_error", -32_700)
CLOSED, MISSHAPEN = ("protocol_error", -32_000), ("protocol_error", -32_603)
MATRIX: dict[Fault, tuple[Any, Any, Any]] = {
    Fault.NONE: (FINE, FINE, FINE),
    Fault.REFUSE: (("http_error", 401),) * 3,
    Fault.TOO_MANY: (("http_error", 429),) * 3,
    Fault.BROKEN: (("http_error", 500),) * 3,
    Fault.HANG: (LATE, LATE, LATE),
    Fault.STALL: (LATE, LATE, LATE),
    Fault.SLOW_DRIP: (LATE, LATE, LATE),
    Fault.CLOSE_1006: (LOST, LOST, CLOSED),
    Fault.CLOSE_1011: (LOST, CLOSED, CLOSED),
    Fault.ZERO_AUDIO: (MISSHAPEN, MISSHAPEN, MISSHAPEN),
    Fault.GARBAGE: (NO_JSON, NO_JSON, LATE),
    Fault.ODD_PCM: (FINE, FINE, FINE),
    Fault.BIG_CHUNK: (LOST, CLOSED, CLOSED),
}


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("wire", WIRES)
async def test_every_fault_is_a_failure_in_time_and_the_next_call_works(fault: Fault, wire: str) -> None:
    expected = MATRIX[fault][list(WIRES).index(wire)]
    async with shop(**WIRES[wire]) as it, McpClient(it.egress, call_limit_s=LIMIT_S) as client:
        await client.list_tools(it.server)
        it.faults.inject(fault)
        async with asyncio.timeout(LIMIT_S + 1):
            try:
                assert "Monday" in await client.call(it.server, "lookup_order", '{"order_id": "A-17"}')
                found: tuple[Any, Any] = FINE
            except McpFailure as failure:
                found = (failure.kind, failure.code)
                assert "geheim" not in failure.message
        assert found == expected
        assert len(it.seen.calls) <= 1  # never twice
        if (fault, wire) == (Fault.HANG, "older"):
            return  # its one way in stays blocked for a while
        async with asyncio.timeout(10):
            assert "Monday" in await client.call(it.server, "lookup_order", '{"order_id": "A-17"}')


@pytest.mark.parametrize("fault", set(Fault) - {Fault.NONE, Fault.ODD_PCM})
async def test_a_server_that_fails_at_the_handshake_fails_in_time(fault: Fault) -> None:
    async with shop(faulty_handshake=True) as it:
        it.faults.always = fault
        async with McpClient(it.egress, list_limit_s=0.5) as client, asyncio.timeout(3):
            with pytest.raises(McpFailure):
                await client.list_tools(it.server)


@pytest.mark.parametrize("wire", WIRES)
async def test_a_result_of_a_hundred_megabytes_is_not_read(wire: str) -> None:
    async with shop(**WIRES[wire]) as it, McpClient(it.egress) as client:
        with pytest.raises(McpFailure):
            await client.call(it.server, "big", "{}")
        assert it.seen.big_bytes < MOST_BYTES // 4


async def test_a_tool_that_fails_says_so() -> None:
    async with shop() as it, McpClient(it.egress) as client:
        failure = await failure_of(client.call(it.server, "fails", "{}"))
        assert (failure.kind, failure.message) == ("tool_execution_error", "It did not work.")
        failure = await failure_of(client.call(it.server, "misshapen", "{}"))
        assert failure.kind == "protocol_error"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("lookup_order", "{}", "'order_id' is a required property"),
        ("lookup_order", '{"order_id": 17}', "not of type 'string'"),
        ("lookup_order", "[]", "not a JSON object"),
        ("lookup_order", "{", "not JSON"),
        ("lookup_order", '{"order_id": NaN}', "not JSON"),
        ("lookup_order", "[" * 100_000, "not JSON"),
        ("broken", "{}", "no such tool"),
        ("rm", "{}", "no such tool"),
    ],
)
async def test_a_bad_call_never_reaches_the_server(name: str, arguments: str, message: str) -> None:
    async with shop() as it, McpClient(it.egress) as client:
        failure = await failure_of(client.call(it.server, name, arguments))
        assert message in failure.message and failure.kind == "protocol_error"
        assert it.seen.calls == []


async def test_only_allowed_tools_are_listed_and_called() -> None:
    async with shop() as it, McpClient(it.egress) as client:
        read_only = msgspec.structs.replace(it.server, allowed_tools={"read_only": True})
        assert [tool.name for tool in await client.list_tools(read_only)] == ["lookup_order"]
        failure = await failure_of(client.call(read_only, "fails", "{}"))
        assert "no such tool" in failure.message
        assert it.seen.calls == []


async def test_a_tool_that_changes_after_it_was_first_seen_is_refused() -> None:
    async with shop() as it, McpClient(it.egress) as client:
        assert "shifty" in {tool.name for tool in await client.list_tools(it.server)}
        assert "shifty" not in {tool.name for tool in await client.list_tools(it.server)}
        failure = await failure_of(client.call(it.server, "shifty", "{}"))
        assert "changed" in failure.message
        assert it.seen.calls == []


async def test_credentials_reach_their_server_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with shop() as it:
        async with McpClient(it.egress) as client:
            text = await client.call(it.server, "whoami", "{}")
            it.faults.inject(Fault.GARBAGE)
            await failure_of(client.call(it.server, "whoami", "{}"))
        assert text == "You sent Bearer [hidden] and [hidden]."
        assert {headers["x-key"] for headers in it.seen.headers} == {"geheim-key"}
        assert {headers["authorization"] for headers in it.seen.headers} == {"Bearer geheim-token"}
    assert "geheim" not in caplog.text


@pytest.mark.parametrize(
    ("policy", "url"),
    [
        (ClientServers.OFF, "https://example.com/mcp"),
        (ClientServers.LISTED, "https://example.com/mcp"),
        (ClientServers.PUBLIC, "http://127.0.0.1:1/mcp"),
        (ClientServers.PUBLIC, "https://2130706433/mcp"),
    ],
)
async def test_a_client_names_only_servers_it_may(policy: ClientServers, url: str) -> None:
    async with McpClient(Egress(client_servers=policy)) as client:
        failure = await failure_of(client.list_tools(McpServer(server_label="x", server_url=url)))
        assert (failure.kind, failure.code) == ("http_error", 403)


async def test_servers_of_the_agents_file_are_reached_where_clients_may_name_none() -> None:
    async with shop() as it, McpClient(Egress(), trusted=[it.server]) as client:
        assert await client.list_tools(it.server)
        stranger = msgspec.structs.replace(it.server, authorization="another-token")
        assert (await failure_of(client.list_tools(stranger))).code == 403


async def test_a_bad_address_in_the_agents_file_is_told() -> None:
    server = McpServer(server_label="x", server_url="http://0x7f.1/")
    async with McpClient(Egress(), trusted=[server]) as client:
        assert "number" in (await failure_of(client.list_tools(server))).message


async def test_a_server_that_is_not_there_is_told() -> None:
    server = McpServer(server_label="x", server_url="http://127.0.0.1:1/mcp")
    async with McpClient(Egress(), trusted=[server]) as client:
        failure = await failure_of(client.list_tools(server))
        assert (failure.kind, failure.code) == ("http_error", 502)


async def test_a_server_that_comes_back_is_found_again() -> None:
    faults = Faults()
    async with served(app(faults)) as place:
        server = McpServer(server_label="x", server_url=f"http://{place}/mcp")
    port = int(place.rpartition(":")[2])
    async with McpClient(Egress(), trusted=[server]) as client:
        assert (await failure_of(client.list_tools(server))).code == 502
        async with served(app(faults), port=port):
            assert await client.list_tools(server)


async def test_a_session_has_so_many_servers_and_no_more() -> None:
    servers = [McpServer(server_label=f"s{n}", server_url="http://127.0.0.1:1/") for n in range(MOST_SERVERS + 1)]
    async with McpClient(Egress(), trusted=servers) as client:
        for server in servers[:-1]:
            assert (await failure_of(client.list_tools(server))).code == 502
        assert "already" in (await failure_of(client.list_tools(servers[-1]))).message


async def test_who_leaves_lets_the_call_end_and_the_session_says_goodbye() -> None:
    async with shop() as it:
        async with McpClient(it.egress) as client:
            await client.list_tools(it.server)
            leaving = asyncio.create_task(client.call(it.server, "lookup_order", '{"order_id": "A-17"}'))
            await asyncio.sleep(0)
            leaving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving
            assert await client.call(it.server, "figures", "{}")
        assert it.seen.ended_sessions == 1


async def test_an_error_in_the_session_ends_its_lines_at_once() -> None:
    async with shop() as it:
        with pytest.raises(ExceptionGroup) as raised:
            async with McpClient(it.egress) as client, asyncio.timeout(5):
                await client.list_tools(it.server)
                raise LookupError("the session's own")
        assert raised.group_contains(LookupError)


async def test_a_missing_sdk_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError("No module named 'mcp'", name="mcp")

    monkeypatch.setattr(importlib, "import_module", missing)
    server = McpServer(server_label="x", server_url="http://127.0.0.1:1/mcp")
    async with McpClient(Egress(), trusted=[server]) as client:
        failure = await failure_of(client.list_tools(server))
    assert "switchboard-voice[mcp]" in failure.message


async def test_arguments_are_sent_as_they_were_given() -> None:
    async with shop() as it, McpClient(it.egress) as client:
        given = {"order_id": "A-17", "more": [1, None, {"ü": True}]}
        await client.call(it.server, "lookup_order", json.dumps(given))
        assert it.seen.calls == [("lookup_order", given)]
