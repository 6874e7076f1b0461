"""Errands to MCP servers: bounded, reported once, and told without secrets."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import pytest

from pipeline.commands import CallMcpTool, ListTools
from pipeline.events.config import McpServer
from pipeline.mcp.tool import McpTool
from pipeline.mcp_errands import LISTING_LIMIT_S, McpErrands, McpTools
from pipeline.reports import ListingFailed, McpFailed, McpReturned, Report, ToolsListed
from pipeline.toolbox import TOOL_LIMIT_S
from tests.pipeline.mcp_servers import FREE, LOOK, FakeMcpTools, gone
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s

pytestmark = pytest.mark.anyio

SECRET = "s3cret"
SERVER = msgspec.structs.replace(FREE, authorization=SECRET, headers={"x-key": SECRET})
LIST = ListTools("mcpl_1", SERVER)
CALL = CallMcpTool("mcp_1", SERVER, "look", "{}")


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


class Hanging:
    """Servers that never answer."""

    async def list_tools(self, server: McpServer) -> tuple[McpTool, ...]:
        """See `McpTools`."""
        await asyncio.Event().wait()
        return ()

    async def call(self, server: McpServer, name: str, arguments: str) -> str:
        """See `McpTools`."""
        await asyncio.Event().wait()
        return ""


async def outcome(tools: McpTools | None, command: ListTools | CallMcpTool) -> Report:
    reports: list[Report] = []
    errands = McpErrands(tools, reports.append)
    async with asyncio.TaskGroup() as tasks:
        errands.begin(command, tasks)
    (report,) = reports
    return report


async def test_tools_and_results_are_reported() -> None:
    tools = FakeMcpTools(LOOK, look="sunny")
    assert await outcome(tools, LIST) == ToolsListed("mcpl_1", (LOOK,))
    assert await outcome(tools, CALL) == McpReturned("mcp_1", "sunny")
    assert (tools.listed, tools.called) == ([SERVER], [("free", "look", "{}")])


async def test_a_failure_is_reported_as_the_server_had_it() -> None:
    tools = FakeMcpTools(LOOK, free=gone(), look=gone())
    assert await outcome(tools, LIST) == ListingFailed("mcpl_1")
    assert await outcome(tools, CALL) == McpFailed("mcp_1", "http_error", "The server answered 410.", 410)


async def test_a_fault_of_ours_is_told_in_the_log_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tools = FakeMcpTools(LOOK, free=ValueError("x"), look=ValueError("x"))
    assert await outcome(tools, LIST) == ListingFailed("mcpl_1")
    assert await outcome(tools, CALL) == McpFailed("mcp_1", "tool_execution_error", "look failed")
    assert caplog.text.count("fault of ours") == 2 and SECRET not in caplog.text
    assert SECRET not in repr(LIST) + repr(CALL)


async def test_who_never_answers_is_waited_for_so_long_and_no_longer() -> None:
    assert await outcome(Hanging(), LIST) == ListingFailed("mcpl_1")
    assert now_s() == pytest.approx(LISTING_LIMIT_S)
    late = await outcome(Hanging(), CALL)
    assert now_s() == pytest.approx(LISTING_LIMIT_S + TOOL_LIMIT_S)
    assert late == McpFailed(
        "mcp_1", "tool_execution_error", f"look did not answer within {TOOL_LIMIT_S:g} seconds"
    )


async def test_where_none_are_served_every_errand_fails() -> None:
    assert await outcome(None, LIST) == ListingFailed("mcpl_1")
    assert isinstance(await outcome(None, CALL), McpFailed)


async def test_at_the_end_listings_are_dropped_and_calls_are_finished() -> None:
    reports: list[Report] = []
    errands = McpErrands(Hanging(), reports.append)
    async with asyncio.TaskGroup() as tasks:
        errands.begin(LIST, tasks)
        errands.begin(CALL, tasks)
        await asyncio.sleep(0)
        errands.leave()
    assert [type(report) for report in reports] == [McpFailed]
