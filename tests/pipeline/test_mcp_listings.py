"""Listings of MCP servers: the order of the Realtime reference, section D.6, and each server asked once."""

from __future__ import annotations

import msgspec
import pytest

from pipeline import commands
from pipeline.events import conversation as conv
from pipeline.events import mcp
from pipeline.events import response as resp
from pipeline.events import session as sess
from pipeline.events.config import McpServer, SessionConfig, Tool
from pipeline.events.error import ErrorEvent
from pipeline.events.event import ServerEvent
from pipeline.events.items import ListedTool, McpListTools
from pipeline.limits import USUAL, Limits
from pipeline.mcp.tool import McpTool
from pipeline.mcp_listings import LEGAL_STEPS, LISTING_BYTES, MOST_LISTING, Stage
from pipeline.reports import Finished, ListingFailed, ToolRequested, ToolsListed
from pipeline.session import Output, Session
from tests.fakes import Ids
from tests.pipeline.expected import EVENT, created, typed
from tests.pipeline.feeding import MANUAL, TOOLS, feed, session
from tests.pipeline.mcp_servers import ASKS, FREE, LOOK, WRITE

replace = msgspec.structs.replace
SHOWN = (
    ListedTool(
        name="look", description="Looks.", input_schema={"type": "object"}, annotations={"readOnlyHint": True}
    ),
    ListedTool(name="write", description="", input_schema={"type": "object"}),
)


def with_tools(*tools: Tool) -> SessionConfig:
    return replace(MANUAL, tools=tools)


def updated(*tools: Tool) -> sess.SessionUpdate:
    return sess.SessionUpdate(session=with_tools(*tools), event_id="u")


def asked(item_id: str, server: McpServer, previous: str | None = None) -> list[Output]:
    item = McpListTools(id=item_id, server_label=server.server_label)
    return [
        conv.ConversationItemAdded(event_id=EVENT, previous_item_id=previous, item=item),
        mcp.ListingInProgress(event_id=EVENT, item_id=item_id),
        commands.ListTools(item_id, server),
    ]


def told(item: McpListTools, previous: str | None = None) -> ServerEvent:
    return conv.ConversationItemDone(event_id=EVENT, previous_item_id=previous, item=item)


def listed_session(*tools: Tool, plays: bool = False) -> Session:
    """A session whose servers have told that they look and write."""
    talk = session(with_tools(*tools), plays=plays)
    talk.open()
    for number in range(1, sum(isinstance(tool, McpServer) for tool in tools) + 1):
        feed(talk, ToolsListed(f"mcpl_{number}", (LOOK, WRITE)))
    return talk


def kinds(outputs: list[Output]) -> list[str]:
    return [type(output).__name__ for output in outputs]


def names_offered(outputs: list[Output]) -> list[str]:
    (respond,) = (output for output in outputs if isinstance(output, commands.Respond))
    return [tool.name for tool in respond.prompt.tools]


def test_an_update_is_answered_and_then_each_new_server_is_asked() -> None:
    talk = session(MANUAL, plays=False)
    update = updated(FREE, ASKS)
    assert feed(talk, update) == [
        sess.SessionUpdated(event_id=EVENT, session_id="sess_1", session=update.session),
        *asked("mcpl_1", FREE),
        *asked("mcpl_2", ASKS, "mcpl_1"),
    ]
    assert feed(talk, ToolsListed("mcpl_1", (LOOK, WRITE))) == [
        mcp.ListingCompleted(event_id=EVENT, item_id="mcpl_1"),
        told(McpListTools(id="mcpl_1", server_label="free", tools=SHOWN)),
    ]
    assert feed(talk, ListingFailed("mcpl_2")) == [
        mcp.ListingFailed(event_id=EVENT, item_id="mcpl_2"),
        told(McpListTools(id="mcpl_2", server_label="asks"), "mcpl_1"),
    ]
    assert names_offered(feed(talk, resp.ResponseCreate())) == ["look", "write"]


def test_a_session_that_begins_with_servers_asks_them_at_once() -> None:
    talk = session(with_tools(FREE), plays=False)
    assert talk.open()[2:] == asked("mcpl_1", FREE)


def test_what_a_server_says_twice_or_too_late_is_passed_over() -> None:
    talk = listed_session(FREE)
    assert feed(talk, ToolsListed("mcpl_1", ()), ListingFailed("mcpl_1"), ToolsListed("mcpl_9", ())) == []


def test_a_server_that_was_listed_is_not_asked_again_whoever_may_approve_now() -> None:
    talk = listed_session(*TOOLS, FREE)
    same = replace(FREE, require_approval="always", server_description="x")
    assert kinds(feed(talk, updated(same))) == ["SessionUpdated"]
    assert kinds(feed(talk, updated(replace(FREE, headers={"a": "b"})))[1:]) == [
        "ConversationItemAdded",
        "ListingInProgress",
        "ListTools",
    ]


def test_the_tools_of_a_server_that_was_removed_are_offered_no_more_and_are_there_when_it_comes_back() -> None:
    talk = listed_session(*TOOLS, FREE)
    feed(talk, updated(*TOOLS))
    assert names_offered(feed(talk, resp.ResponseCreate())) == ["find_table"]
    feed(talk, Finished("resp_1"))
    assert kinds(feed(talk, updated(FREE))) == ["SessionUpdated"]
    assert names_offered(feed(talk, resp.ResponseCreate())) == ["look", "write"]


def test_a_server_that_failed_is_asked_again_only_after_it_was_removed() -> None:
    talk = session(with_tools(FREE), plays=False)
    talk.open()
    feed(talk, ListingFailed("mcpl_1"))
    assert kinds(feed(talk, updated(FREE))) == ["SessionUpdated"]
    feed(talk, updated())
    assert "ListTools" in kinds(feed(talk, updated(FREE)))


def test_a_response_waits_for_its_tools_and_is_then_told_of_them() -> None:
    talk = session(with_tools(FREE), plays=False)
    talk.open()
    assert feed(talk, resp.ResponseCreate(input=(typed("", "Hi."),))) == [created("resp_1")]
    assert names_offered(feed(talk, ToolsListed("mcpl_1", (LOOK,)))) == ["look"]


def test_a_listing_that_fails_leaves_the_session_usable() -> None:
    talk = session(with_tools(*TOOLS, FREE), plays=False)
    talk.open()
    feed(talk, resp.ResponseCreate())
    assert names_offered(feed(talk, ListingFailed("mcpl_1"))) == ["find_table"]


def test_a_response_may_bring_servers_of_its_own() -> None:
    talk = listed_session(FREE)
    create = resp.ResponseCreate(config=with_tools(FREE, ASKS))
    assert feed(talk, create) == [*asked("mcpl_2", ASKS, "mcpl_1"), created("resp_1")]
    assert names_offered(feed(talk, ToolsListed("mcpl_2", (LOOK,)))) == ["free__look", "write", "asks__look"]
    feed(talk, Finished("resp_1"))
    assert names_offered(feed(talk, create)) == ["free__look", "write", "asks__look"]


def test_a_server_that_failed_for_one_response_is_asked_again_for_the_next() -> None:
    talk = session(MANUAL, plays=False)
    create = resp.ResponseCreate(config=with_tools(FREE))
    feed(talk, create)
    assert names_offered(feed(talk, ListingFailed("mcpl_1"))) == []
    feed(talk, Finished("resp_1"))
    assert "ListTools" in kinds(feed(talk, create))


def test_out_of_band_no_servers_tools_are_offered_and_new_servers_are_refused() -> None:
    talk = listed_session(*TOOLS, FREE)
    assert names_offered(feed(talk, resp.ResponseCreate(is_out_of_band=True))) == ["find_table"]
    called = feed(talk, ToolRequested("resp_1", "c", "look", "{}"))
    assert "FunctionCallArgumentsDone" in kinds(called), "a name that was not offered is nobody's"
    (refused,) = feed(talk, resp.ResponseCreate(is_out_of_band=True, config=with_tools(ASKS), event_id="e"))
    assert isinstance(refused, ErrorEvent) and refused.error.param == "response.tools"


def test_a_listing_that_the_peer_deleted_is_not_told_of_and_still_counts() -> None:
    talk = session(with_tools(FREE), plays=False)
    talk.open()
    feed(talk, conv.ConversationItemDelete(item_id="mcpl_1"))
    assert kinds(feed(talk, ToolsListed("mcpl_1", (LOOK,)))) == ["ListingCompleted"]
    assert names_offered(feed(talk, resp.ResponseCreate())) == ["look"]


def test_only_allowed_tools_are_listed() -> None:
    talk = session(with_tools(replace(FREE, allowed_tools=["write"])), plays=False)
    talk.open()
    (_, done) = feed(talk, ToolsListed("mcpl_1", (LOOK, WRITE)))
    assert isinstance(done, conv.ConversationItemDone) and isinstance(done.item, McpListTools)
    assert [tool.name for tool in done.item.tools] == ["write"]


def test_more_tools_than_a_model_can_read_are_a_failure() -> None:
    talk = session(with_tools(FREE), plays=False)
    talk.open()
    huge = McpTool("huge", "x" * LISTING_BYTES, {}, None)
    assert kinds(feed(talk, ToolsListed("mcpl_1", (huge,)))) == ["ListingFailed", "ConversationItemDone"]


def test_too_many_servers_at_a_time_are_refused_and_nothing_of_the_update_is_done() -> None:
    talk = session(MANUAL, plays=False)
    many = [replace(FREE, server_label=f"s{number}") for number in range(MOST_LISTING + 1)]
    (refused,) = feed(talk, updated(*many))
    assert isinstance(refused, ErrorEvent)
    assert (refused.error.code, refused.error.event_id) == ("rate_limit_exceeded", "u")
    assert talk.config == MANUAL
    (refused,) = feed(talk, resp.ResponseCreate(config=with_tools(*many), event_id="r"))
    assert isinstance(refused, ErrorEvent) and refused.error.event_id == "r"


def test_a_full_conversation_takes_no_more_listings() -> None:
    talk = Session(MANUAL, Ids(), plays=False, limits=Limits(items=1))
    feed(talk, conv.ConversationItemCreate(item=typed("a", "Hi.")))
    (refused,) = feed(talk, updated(FREE))
    assert isinstance(refused, ErrorEvent) and refused.error.code == "conversation_full"


def test_servers_of_responses_long_gone_are_forgotten() -> None:
    talk = session(MANUAL, plays=False)
    most = USUAL.tools + MOST_LISTING
    for number in range(1, most + 2):
        server = replace(FREE, server_label=f"s{number}")
        feed(talk, resp.ResponseCreate(config=with_tools(server)))
        feed(talk, ToolsListed(f"mcpl_{number}", (LOOK,)), Finished(f"resp_{number}"))
    newest, oldest = replace(FREE, server_label=f"s{most}"), replace(FREE, server_label="s1")
    assert "ListTools" not in kinds(feed(talk, resp.ResponseCreate(config=with_tools(newest))))
    feed(talk, Finished(f"resp_{most + 2}"))
    assert "ListTools" in kinds(feed(talk, resp.ResponseCreate(config=with_tools(oldest))))


def test_a_listing_ends_once() -> None:
    assert LEGAL_STEPS == {
        Stage.ASKED: {Stage.LISTED, Stage.FAILED},
        Stage.LISTED: frozenset(),
        Stage.FAILED: frozenset(),
    }
    talk = listed_session(FREE)
    with pytest.raises(AssertionError, match="LISTED cannot become FAILED"):
        talk._listings._step(talk._listings._listings[0], Stage.FAILED)
