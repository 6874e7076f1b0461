"""MCP servers that a client names: listing, calling, agreeing (Realtime reference, section D.6)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from pipeline.dialects import Dialect
from pipeline.mcp.tool import McpTool
from pipeline.mcp_errands import McpTools
from tests.calls.support import LIMIT_S
from tests.pipeline.mcp_servers import FakeMcpTools, gone
from tests.protocol.conftest import BEARER, House, open_house
from tests.protocol.peer import Event, Peer, names
from tests.protocol.providers import ARGUMENTS, CALL

pytestmark = pytest.mark.anyio

WEATHER = McpTool("get_weather", "Tells it.", {"type": "object"}, {"readOnlyHint": True})
SECRET = "tok-3n"
SERVER = {
    "type": "mcp",
    "server_label": "sky",
    "server_url": "https://sky.example/mcp",
    "authorization": SECRET,
    "headers": {"x-key": SECRET},
    "require_approval": "never",
}
IW_PATH = "/api/v1/realtime/session?key=k&protocol=realtime"
LISTED = ["mcp_list_tools.completed", "conversation.item.done"]
LISTING = ["conversation.item.added", "mcp_list_tools.in_progress"]
CALLED = [
    "response.output_item.added",
    "conversation.item.added",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.output_item.done",
]


class Sky:
    """What stands in for MCP servers; a test changes it."""

    tools = FakeMcpTools(WEATHER)

    def open(self) -> AbstractAsyncContextManager[McpTools]:
        """For one session."""
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[McpTools, None]:
        async with self.tools.open() as tools:
            yield tools


SKY = Sky()


@pytest.fixture(scope="module")
async def shared_house(anyio_backend: str) -> AsyncGenerator[House, None]:
    async with open_house(mcp=SKY.open) as opened:
        yield opened


@asynccontextmanager
async def served(house: House, tools: FakeMcpTools | None = None, **server: object) -> AsyncGenerator[Peer, None]:
    """A session of text whose client has named `SERVER`, listed by now."""
    SKY.tools = tools or FakeMcpTools(WEATHER, get_weather="sunny")
    async with house.text_session() as peer:
        await peer.update(tools=[SERVER | server])
        await peer.expect("conversation.item.done")
        yield peer


async def called(peer: Peer) -> list[Event]:
    """A response that calls."""
    await peer.say(CALL)
    await peer.send("response.create")
    return await peer.answer()


@pytest.mark.proves("D6-listing", "B3-mcp-items", "C4-mcp")
async def test_a_server_is_listed_in_the_order_of_the_reference_and_its_secrets_are_never_told(
    house: House,
) -> None:
    SKY.tools = FakeMcpTools(WEATHER)
    async with house.session() as peer:
        shown = await peer.update(tools=[SERVER])
        assert shown["tools"] == [{k: v for k, v in SERVER.items() if k not in ("authorization", "headers")}]
        events = await peer.until("conversation.item.done")
        assert names(events) == LISTING + LISTED
        added, done = events[0]["item"], events[-1]["item"]
        assert (added["type"], added["tools"]) == ("mcp_list_tools", []) and added["id"].startswith("mcpl_")
        tool = {"name": "get_weather", "description": "Tells it.", "input_schema": {"type": "object"}}
        assert done == added | {"tools": [tool | {"annotations": {"readOnlyHint": True}}]}
        assert {event["item_id"] for event in events[1:3]} == {added["id"]}
        assert (await peer.update(tools=shown["tools"]))["tools"] == shown["tools"]
        assert await peer.fence() == [], "what was listed is not listed again"
        twice = await peer.refused("session.update", session={"type": "realtime", "tools": [SERVER, SERVER]})
        assert twice["param"] == "session.tools" and "sky" in twice["message"]
        assert SECRET not in json.dumps(peer.frames)
    assert [(s.authorization, s.headers) for s in SKY.tools.listed] == [(SECRET, {"x-key": SECRET})]


@pytest.mark.proves("D6-listing-fails")
async def test_a_server_that_cannot_be_asked_leaves_the_session_usable(house: House) -> None:
    SKY.tools = FakeMcpTools(WEATHER, sky=gone())
    async with house.text_session() as peer:
        await peer.update(tools=[SERVER])
        events = await peer.until("conversation.item.done")
        assert names(events) == [*LISTING, "mcp_list_tools.failed", "conversation.item.done"]
        assert events[-1]["item"]["tools"] == []
        await peer.say("Hello.")
        await peer.send("response.create")
        assert (await peer.answer())[-1]["response"]["status"] == "completed"


@pytest.mark.proves("D6-listing-awaited")
async def test_a_response_asked_for_meanwhile_knows_the_tools(house: House) -> None:
    SKY.tools = FakeMcpTools(WEATHER)
    async with house.text_session() as peer:
        await peer.send("response.create", response={"tools": [SERVER]})
        events = await peer.until("response.done")
        assert set(LISTING + LISTED) < set(names(events))
        assert [tool.name for tool in house.model.prompts[-1].tools] == ["get_weather"]


@pytest.mark.proves("D6-only-asked")
async def test_who_names_no_server_is_told_of_none(house: House) -> None:
    async with house.text_session() as peer:
        await peer.say("Hello.")
        await peer.send("response.create")
        await peer.answer()
        assert not [name for name in names(peer.frames) if "mcp" in name]


@pytest.mark.proves("D6-call", "D6-no-continuing", "B2-mcp-events", "B3-mcp-items")
async def test_a_call_runs_after_its_response_and_the_client_asks_on(house: House) -> None:
    async with served(house) as peer:
        events = await called(peer)
        assert names(events) == ["response.created", "rate_limits.updated", *CALLED, "response.done"]
        opened, item = events[2]["item"], events[-2]["item"]
        assert (opened["arguments"], opened["output"], opened["server_label"]) == ("", None, "sky")
        assert opened["id"].startswith("mcp_") and item == opened | {"arguments": ARGUMENTS}
        assert events[4]["obfuscation"] == "" and events[5]["arguments"] == ARGUMENTS
        ran = await peer.until("conversation.item.done")
        assert names(ran) == [
            "response.mcp_call.in_progress",
            "response.mcp_call.completed",
            "conversation.item.done",
        ]
        assert ran[-1]["item"] == item | {"output": "sunny"}
        assert {(event["item_id"], event["output_index"]) for event in ran[:2]} == {(item["id"], 0)}
        assert await peer.fence() == [], "the result is not answered by itself"
        await peer.send("response.create")
        spoken = (await peer.answer())[-1]["response"]["output"][0]["content"][0]["text"]
    assert spoken == "You said: the tool says sunny."
    assert SKY.tools.called == [("sky", "get_weather", ARGUMENTS)]
    async with asyncio.timeout(LIMIT_S):
        await SKY.tools.closed.wait()  # with the session


@pytest.mark.proves("D6-call-fails")
async def test_a_call_that_fails_is_told_with_its_error(house: House) -> None:
    async with served(house, FakeMcpTools(WEATHER, get_weather=gone())) as peer:
        await called(peer)
        events = await peer.until("conversation.item.done")
        assert names(events)[1] == "response.mcp_call.failed"
        assert events[-1]["item"]["output"] is None
        assert events[-1]["item"]["error"] == {
            "type": "http_error",
            "code": 410,
            "message": "The server answered 410.",
        }


async def requested(peer: Peer) -> Event:
    """The request for approval that a response made."""
    events = await called(peer)
    item: Event = events[-1]["response"]["output"][0]
    assert names(events)[2:] == [
        "response.output_item.added",
        "conversation.item.added",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert item["type"] == "mcp_approval_request" and item["id"].startswith("mcpr_")
    assert json.loads(item["arguments"]) == json.loads(ARGUMENTS)
    return item


@pytest.mark.proves("D6-approval", "B3-mcp-items")
async def test_what_was_agreed_to_runs_once(house: House) -> None:
    async with served(house, require_approval="always") as peer:
        request = await requested(peer)
        answer = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": True}
        unknown = await peer.refused("conversation.item.create", item=answer | {"approval_request_id": "mcpr_x"})
        assert unknown["param"] == "item.approval_request_id" and SKY.tools.called == []
        await peer.send("conversation.item.create", previous_item_id=request["id"], item=answer)
        given = (await peer.expect("conversation.item.done"))["item"]
        assert given["id"] and given == answer | {"id": given["id"], "object": "realtime.item"}
        events = await peer.until("conversation.item.done")
        assert names(events) == [
            "conversation.item.added",
            "response.mcp_call.in_progress",
            "response.mcp_call.completed",
            "conversation.item.done",
        ]
        assert events[0]["item"]["approval_request_id"] == request["id"] and events[1]["output_index"] == 0
        assert events[-1]["item"]["output"] == "sunny"
        again = await peer.refused("conversation.item.create", item=answer)
        assert "answered before" in again["message"]
    assert len(SKY.tools.called) == 1


@pytest.mark.proves("D6-approval")
async def test_a_refusal_is_seen_by_the_model_and_nothing_runs(house: House) -> None:
    async with served(house, require_approval="always") as peer:
        request = await requested(peer)
        await peer.send(
            "conversation.item.create",
            item={
                "type": "mcp_approval_response",
                "approval_request_id": request["id"],
                "approve": False,
                "reason": "too dear",
            },
        )
        assert names(await peer.fence()) == ["conversation.item.added", "conversation.item.done"]
        await peer.send("response.create")
        spoken = (await peer.answer())[-1]["response"]["output"][0]["content"][0]["text"]
    assert "not approved" in spoken and "too dear" in spoken and SKY.tools.called == []


@pytest.mark.proves("D6-no-continuing")
async def test_inworlds_clients_may_have_results_answered_by_themselves(house: House) -> None:
    SKY.tools = FakeMcpTools(WEATHER, get_weather="sunny")
    async with house.session(IW_PATH, dialect=Dialect.IW) as peer:
        wanted = {"tools": [SERVER], "output_modalities": ["text"], "providerData": {"auto_tool_response": True}}
        await peer.send("session.update", session=wanted)
        await peer.expect("mcp_list_tools.completed")
        await called(peer)
        assert (await peer.answer())[-1]["response"]["output"][0]["content"][0]["text"].endswith("sunny.")


@pytest.mark.proves("C4-mcp")
async def test_the_seeds_servers_are_numbered_and_need_no_consent(house: House) -> None:
    SKY.tools = FakeMcpTools(WEATHER, get_weather="sunny")
    async with house.session("/api/v1/realtime/session?key=k", dialect=Dialect.SEED) as peer:
        await peer.send("session.update", session={"mcpServers": [{"url": "https://sky.example"}]})
        assert (await peer.expect("conversation.item.added"))["item"]["server_label"] == "mcp_1"
        await peer.expect("mcp_list_tools.completed")
        await called(peer)
        await peer.expect("response.mcp_call.completed")


@pytest.mark.proves("B2-mcp-events", "C4-mcp")
async def test_a_secret_may_hold_servers_which_no_echo_shows_and_no_beta_connection_has(house: House) -> None:
    SKY.tools = FakeMcpTools(WEATHER)
    session = {"type": "realtime", "tools": [SERVER]}
    made = await house.post("/v1/realtime/client_secrets", {"session": session})
    assert SECRET not in json.dumps(made) and made["session"]["tools"][0]["server_label"] == "sky"
    bearer = {"Authorization": f"Bearer {made['value']}"}
    async with house.session(headers=bearer) as peer:
        assert names(await peer.until("conversation.item.done")) == LISTING + LISTED
    beta = {**BEARER, "OpenAI-Beta": "realtime=v1"}
    async with house.session(dialect=Dialect.BETA, headers=beta) as peer:
        error = await peer.refused("session.update", session={"tools": [SERVER]})
        assert error["param"] == "session.tools[0].type"
