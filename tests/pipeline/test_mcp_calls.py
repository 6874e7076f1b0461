"""Calls of MCP servers' tools: the order of the Realtime reference, section D.6; each made once, with consent."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pipeline import commands
from pipeline.events import conversation as conv
from pipeline.events import mcp
from pipeline.events import response as resp
from pipeline.events.config import McpServer
from pipeline.events.error import ErrorEvent
from pipeline.events.items import (
    FunctionCall,
    FunctionCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpError,
    Message,
)
from pipeline.events.session import SessionUpdate
from pipeline.limits import Limits
from pipeline.mcp_calls import is_object
from pipeline.reports import Failed, Finished, McpFailed, McpReturned, ToolRequested, ToolsListed
from pipeline.session import Output, Session
from tests.fakes import Ids
from tests.pipeline.expected import EVENT, joined
from tests.pipeline.feeding import TOOLS, feed
from tests.pipeline.mcp_servers import ASKS, FREE, LOOK
from tests.pipeline.test_mcp_listings import kinds, listed_session, with_tools

replace = msgspec.structs.replace
CALL = McpCall(id="mcp_1", server_label="free", name="look", arguments='{"q":1}')
ASKED = ToolRequested("resp_1", "c", "look", '{"q":1}')
REQUEST = McpApprovalRequest(id="mcpr_1", server_label="asks", name="look", arguments='{"q":1}')


def answer(request_id: str = "mcpr_1", *, approve: bool = True, **fields: Any) -> conv.ConversationItemCreate:
    item = McpApprovalResponse(id="", approval_request_id=request_id, approve=approve, **fields)
    return conv.ConversationItemCreate(item=item, event_id="a")


def responding(*servers: McpServer) -> Session:
    talk = listed_session(*TOOLS, *servers)
    feed(talk, resp.ResponseCreate())
    return talk


def called() -> Session:
    """A call runs: `mcp_1`."""
    talk = responding(FREE)
    feed(talk, ASKED, Finished("resp_1"))
    return talk


def requested() -> Session:
    """A request waits: `mcpr_1`."""
    talk = responding(ASKS)
    feed(talk, ASKED, Finished("resp_1"))
    return talk


def ran(outputs: list[Output]) -> list[Output]:
    return [output for output in outputs if isinstance(output, commands.CallMcpTool)]


def told(outputs: list[Output]) -> list[str]:
    """What the next model is told that functions returned."""
    (respond,) = (output for output in outputs if isinstance(output, commands.Respond))
    return [item.output for item in respond.prompt.items if isinstance(item, FunctionCallOutput)]


def refusal(outputs: list[Output]) -> tuple[str | None, str | None, str]:
    (error,) = outputs
    assert isinstance(error, ErrorEvent) and error.error.event_id == "a"
    return error.error.code, error.error.param, error.error.message


def test_a_call_is_told_in_its_response_and_made_once_that_is_done() -> None:
    talk = responding(FREE)
    where = {"event_id": EVENT, "response_id": "resp_1", "item_id": "mcp_1", "output_index": 0}
    opened = replace(CALL, arguments="")
    assert feed(talk, ASKED) == [
        resp.OutputItemAdded(event_id=EVENT, response_id="resp_1", output_index=0, item=opened),
        conv.ConversationItemAdded(event_id=EVENT, previous_item_id="mcpl_1", item=opened),
        mcp.McpCallArgumentsDelta(**where, delta='{"q":1}'),  # type: ignore[arg-type]
        mcp.McpCallArgumentsDone(**where, arguments='{"q":1}'),  # type: ignore[arg-type]
        resp.OutputItemDone(event_id=EVENT, response_id="resp_1", output_index=0, item=CALL),
    ]
    done, *after = feed(talk, Finished("resp_1"))
    assert isinstance(done, resp.ResponseDone) and done.response.output == (CALL,)
    assert after == [
        mcp.McpCallInProgress(event_id=EVENT, item_id="mcp_1", output_index=0),
        commands.CallMcpTool("mcp_1", FREE, "look", '{"q":1}'),
    ]
    assert feed(talk, McpReturned("mcp_1", "sunny")) == [
        mcp.McpCallCompleted(event_id=EVENT, item_id="mcp_1", output_index=0),
        conv.ConversationItemDone(event_id=EVENT, previous_item_id="mcpl_1", item=replace(CALL, output="sunny")),
    ], "and the client asks on"
    assert told(feed(talk, resp.ResponseCreate())) == ["sunny"]


@pytest.mark.parametrize(
    ("failed", "error"),
    [
        (McpFailed("mcp_1", "http_error", "gone", 410), McpError(type="http_error", message="gone", code=410)),
        (McpFailed("mcp_1", "protocol_error", "odd"), McpError(type="tool_execution_error", message="odd")),
        (McpFailed("mcp_1", "tool_execution_error", "x", 3), McpError(type="tool_execution_error", message="x")),
    ],
)
def test_a_call_that_fails_has_an_error_and_no_output(failed: McpFailed, error: McpError) -> None:
    talk = called()
    assert feed(talk, failed) == [
        mcp.McpCallFailed(event_id=EVENT, item_id="mcp_1", output_index=0),
        conv.ConversationItemDone(event_id=EVENT, previous_item_id="mcpl_1", item=replace(CALL, error=error)),
    ]
    assert told(feed(talk, resp.ResponseCreate())) == [f'{{"error":"{failed.message}"}}']


def test_what_is_told_of_a_call_that_is_over_counts_no_more() -> None:
    talk = called()
    feed(talk, McpReturned("mcp_1", "sunny"))
    assert feed(talk, McpReturned("mcp_1", "rain"), McpFailed("mcp_1", "http_error", "x", 1)) == []
    assert talk.conversation.find("mcp_1") == replace(CALL, output="sunny")


@pytest.mark.parametrize("end", [resp.ResponseCancel(), Failed("resp_1", "model_failed", "gone")])
def test_of_a_response_that_was_broken_off_nothing_is_run_and_no_call_stays(
    end: resp.ResponseCancel | Failed,
) -> None:
    talk = responding(FREE)
    feed(talk, ASKED, ASKED)
    feed(talk, conv.ConversationItemDelete(item_id="mcp_2"))
    outputs = feed(talk, end)
    assert ran(outputs) == [] and kinds(outputs)[-2:] == ["ConversationItemDeleted", "ResponseDone"]
    assert kinds(outputs).count("ConversationItemDeleted") == 1
    assert not talk.conversation.holds("mcp_1")


def test_a_model_cut_off_has_still_made_its_calls() -> None:
    talk = responding(FREE)
    assert len(ran(feed(talk, ASKED, Finished("resp_1", cut_off="max_output_tokens")))) == 1


def test_a_call_that_the_peer_deleted_before_its_time_is_not_made_and_later_it_is_not_told_of() -> None:
    talk = responding(FREE)
    feed(talk, ASKED, conv.ConversationItemDelete(item_id="mcp_1"))
    assert kinds(feed(talk, Finished("resp_1"))) == ["ResponseDone"]
    talk = called()
    feed(talk, conv.ConversationItemDelete(item_id="mcp_1"))
    assert kinds(feed(talk, McpReturned("mcp_1", "sunny"))) == ["McpCallCompleted"]


def test_arguments_that_are_no_object_are_not_run_and_nobody_is_asked_to_agree_to_them() -> None:
    talk = responding(ASKS)
    outputs = feed(talk, ToolRequested("resp_1", "c", "look", "{"), Finished("resp_1"))
    assert ran(outputs) == []
    assert kinds(outputs)[-3:] == ["McpCallInProgress", "McpCallFailed", "ConversationItemDone"]
    assert [is_object(text) for text in ("{}", "[]", "{", "3", "\ud800")] == [True, False, False, False, False]


def test_no_arguments_are_an_empty_object() -> None:
    talk = responding(FREE)
    (command,) = ran(feed(talk, ToolRequested("resp_1", "c", "look", ""), Finished("resp_1")))
    assert isinstance(command, commands.CallMcpTool) and command.arguments == "{}"


def test_while_a_call_runs_a_model_is_told_so_and_does_not_ask_again() -> None:
    assert told(feed(called(), resp.ResponseCreate())) == ['{"status":"still running, no result yet"}']


def test_a_result_too_large_for_an_item_is_a_failure() -> None:
    for limits, size in ((Limits(item_words_bytes=500), 600), (Limits(conversation_bytes=500), 450)):
        talk = Session(with_tools(FREE), Ids(), plays=False, limits=limits)
        talk.open()
        feed(talk, ToolsListed("mcpl_1", (LOOK,)), resp.ResponseCreate(), ASKED, Finished("resp_1"))
        assert kinds(feed(talk, McpReturned("mcp_1", "x" * size))) == ["McpCallFailed", "ConversationItemDone"]


def test_a_request_for_approval_is_told_whole_and_nothing_runs() -> None:
    talk = responding(ASKS)
    assert feed(talk, ASKED) == [
        resp.OutputItemAdded(event_id=EVENT, response_id="resp_1", output_index=0, item=REQUEST),
        *joined(REQUEST, "mcpl_1"),
        resp.OutputItemDone(event_id=EVENT, response_id="resp_1", output_index=0, item=REQUEST),
    ]
    assert kinds(feed(talk, Finished("resp_1"))) == ["ResponseDone"]
    assert told(feed(talk, resp.ResponseCreate())) == ['{"status":"not run: waiting for approval"}']


def test_what_was_agreed_to_runs() -> None:
    talk = requested()
    item = McpApprovalResponse(id="item_1", approval_request_id="mcpr_1", approve=True)
    call = McpCall(id="mcp_1", server_label="asks", name="look", arguments='{"q":1}', approval_request_id="mcpr_1")
    assert feed(talk, answer()) == [
        *joined(item, "mcpr_1"),
        conv.ConversationItemAdded(event_id=EVENT, previous_item_id="item_1", item=call),
        mcp.McpCallInProgress(event_id=EVENT, item_id="mcp_1", output_index=0),
        commands.CallMcpTool("mcp_1", ASKS, "look", '{"q":1}'),
    ]
    assert feed(talk, McpReturned("mcp_1", "sunny"))[1:] == [
        conv.ConversationItemDone(event_id=EVENT, previous_item_id="item_1", item=replace(call, output="sunny"))
    ]
    assert told(feed(talk, resp.ResponseCreate())) == ["sunny"]


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({}, '{"error":"not run: it was not approved"}'),
        ({"reason": "too dear"}, '{"error":"not run: it was not approved","reason":"too dear"}'),
    ],
)
def test_what_was_not_agreed_to_does_not_run_and_the_model_sees_why(fields: dict[str, str], seen: str) -> None:
    talk = requested()
    assert kinds(feed(talk, answer(approve=False, **fields))) == ["ConversationItemAdded", "ConversationItemDone"]
    assert told(feed(talk, resp.ResponseCreate())) == [seen]


def test_an_answer_to_nothing_and_a_second_one_are_refused_and_nothing_runs_twice() -> None:
    talk = requested()
    param = "item.approval_request_id"
    code, at, text = refusal(feed(talk, answer("mcpr_9")))
    assert (code, at) == ("invalid_value", param) and "No approval request" in text
    feed(talk, answer())
    assert refusal(feed(talk, answer()))[:2] == ("invalid_value", param)
    feed(talk, conv.ConversationItemDelete(item_id="item_1"))
    assert "answered before" in refusal(feed(talk, answer(approve=False)))[2]


def test_requests_and_calls_of_a_clients_own_history_run_nothing() -> None:
    talk = listed_session(FREE)
    history = (replace(REQUEST, id="old"), replace(CALL, id="older", output="42"))
    for item in history:
        assert kinds(feed(talk, conv.ConversationItemCreate(item=item))) == [
            "ConversationItemAdded",
            "ConversationItemDone",
        ]
    assert ran(feed(talk, answer("old"))) == []
    assert "answered before" in refusal(feed(talk, answer("old")))[2]
    assert told(feed(talk, resp.ResponseCreate())) == ["42"]


@pytest.mark.parametrize("is_auto", [True, False])
@pytest.mark.parametrize("ends", [McpReturned("mcp_1", "sunny"), McpFailed("mcp_1", "http_error", "gone", 410)])
def test_inworlds_clients_may_have_results_answered_by_themselves(
    ends: McpReturned | McpFailed, is_auto: bool
) -> None:
    talk = called()
    config = replace(talk.config, provider_data={"auto_tool_response": is_auto})
    feed(talk, SessionUpdate(session=config))
    call = FunctionCall(id="f", call_id="c", name="find_table", arguments="{}")
    returned = FunctionCallOutput(id="o", call_id="c", output="{}")
    outputs = feed(talk, *(conv.ConversationItemCreate(item=item) for item in (call, returned)))
    assert "Respond" not in kinds(outputs), "a call still runs"
    assert kinds(feed(talk, ends))[2:] == (["ResponseCreated", "Respond"] if is_auto else [])


def test_a_refusal_is_answered_by_itself_where_results_are() -> None:
    talk = requested()
    feed(talk, SessionUpdate(session=replace(talk.config, provider_data={"auto_tool_response": True})))
    assert kinds(feed(talk, answer(approve=False)))[2:] == ["ResponseCreated", "Respond"]


def test_a_call_outlives_its_session_and_is_told_once() -> None:
    talk = called()
    talk.close()
    assert kinds(feed(talk, McpReturned("mcp_1", "sunny"))) == ["McpCallCompleted", "ConversationItemDone"]
    assert not any(isinstance(item, Message) for item in talk.conversation.items)
