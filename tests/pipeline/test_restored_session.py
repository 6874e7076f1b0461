"""A session that goes on with another's conversation: what its client is told, and what it may do."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.commands import CallMcpTool, ListTools, Respond
from pipeline.dialects import Dialect
from pipeline.events import conversation as conv
from pipeline.events import response as resp
from pipeline.events import session as sess
from pipeline.events.config import SessionConfig
from pipeline.events.error import ErrorEvent
from pipeline.events.event import ServerEvent
from pipeline.events.items import AnyItem, FunctionCall, McpApprovalRequest, McpApprovalResponse, McpCall
from pipeline.kept_conversation import configured, decoded, encoded, kept_of
from pipeline.limits import USUAL
from pipeline.session import Output, Session
from pipeline.wire import Wire
from tests.fakes import Ids
from tests.pipeline.expected import EVENT, joined, refused, result, said, spoken, typed
from tests.pipeline.feeding import CONFIG, MANUAL, prompt
from tests.pipeline.oracle import Oracle
from tests.pipeline.world import ASKS, CONFIGS, FREE, KINDS, Step, World, replace

HISTORY: tuple[AnyItem, ...] = (
    said("old_1", "Is there a table?"),
    FunctionCall(id="old_2", call_id="call_old", name="find_table", arguments="{}"),
    result("old_3", "call_old", '{"free": 2}'),
    spoken("old_4", "There are two", status="incomplete"),
)


def going_on(
    history: tuple[AnyItem, ...], config: SessionConfig = MANUAL, *, plays: bool = False, tells: bool = True
) -> Session:
    return Session(config, Ids(), plays=plays, history=history, tells_history=tells)


def opened(session: Session) -> list[Output]:
    """What comes after the session and its conversation."""
    first, second, *rest = session.open()
    assert isinstance(first, sess.SessionCreated) and isinstance(second, conv.ConversationCreated)
    return rest


def test_every_item_is_told_in_order_after_the_conversation() -> None:
    assert going_on(HISTORY).open() == [
        sess.SessionCreated(event_id=EVENT, session_id="sess_1", session=MANUAL),
        conv.ConversationCreated(event_id=EVENT, conversation_id="conv_1"),
        *joined(HISTORY[0], None),
        *joined(HISTORY[1], "old_1"),
        *joined(HISTORY[2], "old_2"),
        *joined(HISTORY[3], "old_3"),
    ]


def test_a_phone_is_told_nothing_of_what_was_said_before() -> None:
    assert opened(going_on(HISTORY, tells=False)) == []


def test_servers_are_asked_for_their_tools_behind_the_old_items() -> None:
    outputs = opened(going_on(HISTORY, replace(MANUAL, tools=(FREE,))))
    added = [output for output in outputs if isinstance(output, conv.ConversationItemAdded)]
    assert [(event.previous_item_id, event.item.id) for event in added[-2:]] == [
        ("old_3", "old_4"),
        ("old_4", "mcpl_1"),
    ]
    assert isinstance(outputs[-1], ListTools)


def test_the_model_is_told_all_of_it() -> None:
    session = going_on(HISTORY)
    session.open()
    asked = typed("new", "So book one.")
    session.receive(conv.ConversationItemCreate(item=asked))
    outputs = session.receive(resp.ResponseCreate())
    (respond,) = [output for output in outputs if isinstance(output, Respond)]
    assert respond.prompt == prompt(*HISTORY, asked)  # type: ignore[arg-type]  # functions and messages alone


def test_what_comes_next_stands_behind_the_last_of_them() -> None:
    session = going_on(HISTORY)
    session.open()
    new = typed("new", "Hello again.")
    assert session.receive(conv.ConversationItemCreate(item=new)) == [*joined(new, "old_4")]


def test_the_old_items_may_be_deleted_and_named_as_places() -> None:
    session = going_on(HISTORY)
    session.open()
    deleted = conv.ConversationItemDeleted(event_id=EVENT, item_id="old_4")
    assert session.receive(conv.ConversationItemDelete(item_id="old_4")) == [deleted]
    new = typed("new", "Before all.")
    create = conv.ConversationItemCreate(item=new, previous_item_id="old_1")
    assert session.receive(create) == [*joined(new, "old_1")]


def test_an_old_answer_cannot_be_truncated_since_its_sound_is_gone() -> None:
    session = going_on(HISTORY)
    session.open()
    (error,) = session.receive(conv.ConversationItemTruncate(item_id="old_4", audio_end_ms=100, event_id="mine"))
    assert error == refused("invalid_value", "Only model output audio messages can be truncated", "item_id", "mine")


def test_a_function_called_before_may_be_answered_now() -> None:
    session = going_on(HISTORY[:2], replace(MANUAL, provider_data={"auto_tool_response": True}))
    session.open()
    assert session.conversation.awaits_output
    output = result("new", "call_old", "{}")
    outputs = session.receive(conv.ConversationItemCreate(item=output))
    assert outputs[:2] == joined(output, "old_2")
    assert isinstance(outputs[2], resp.ResponseCreated)
    assert not session.conversation.awaits_output


def test_nothing_is_called_for_a_request_that_an_earlier_session_made() -> None:
    """It is withdrawn when the conversation is kept, so whoever answers it is told that there is none."""
    request = McpApprovalRequest(id="mcpr_old", server_label="asks", name="write", arguments="{}")
    kept = kept_of((*HISTORY, request), replace(MANUAL, tools=(ASKS,)))
    session = going_on(kept.items, replace(MANUAL, tools=(ASKS,)))
    session.open()
    answer = McpApprovalResponse(id="new", approval_request_id="mcpr_old", approve=True)
    outputs = session.receive(conv.ConversationItemCreate(item=answer, event_id="mine"))
    assert [type(output) for output in outputs] == [ErrorEvent]
    assert not any(isinstance(output, CallMcpTool) for output in outputs)


kinds = st.sampled_from(KINDS)
steps = st.lists(st.tuples(kinds, st.integers(0, 7), st.booleans()), max_size=100)


@given(steps, st.booleans(), st.integers(0, len(CONFIGS) - 1), st.sampled_from(Dialect))
@settings(derandomize=True, max_examples=120, deadline=None)
def test_whatever_was_said_its_next_client_is_told_it_as_the_protocol_has_it(
    steps: list[Step], plays: bool, first: int, dialect: Dialect
) -> None:
    world = World(plays=plays, first=first)
    for step in steps:
        world.do(step)
    world.end()
    kept = decoded(encoded(kept_of(world.session.conversation.items, world.session.config)))
    config = configured(kept, CONFIG, USUAL, serves_mcp=True)
    numbers = count(1)
    session = Session(
        config, lambda prefix: f"{prefix}_again{next(numbers)}", plays=plays, history=kept.items, tells_history=True
    )
    events = [output for output in session.open() if isinstance(output, ServerEvent)]
    wire, oracle = Wire(dialect, opened_at_s=0.0, expires_at_s=60.0, serves_mcp=True), Oracle(dialect)
    seen = [oracle.see(text) for event in events if (text := wire.encode(event)) is not None]
    assert in_order(seen, dialect) == [item.id for item in kept.items if told_in(item, dialect)]
    session.close()


def told_in(item: AnyItem, dialect: Dialect) -> bool:
    return dialect is not Dialect.BETA or not isinstance(item, McpCall | McpApprovalRequest | McpApprovalResponse)


def in_order(seen: list[dict[str, Any]], dialect: Dialect) -> list[str]:
    """The old items, each told to be there and then to be done, behind the one before."""
    name = "conversation.item.created" if dialect is Dialect.BETA else "conversation.item.added"
    ids: list[str] = []
    for at, event in enumerate(seen):
        if event["type"] != name or event["item"]["type"] == "mcp_list_tools":
            continue
        if dialect is not Dialect.BETA:
            assert event["previous_item_id"] == (ids[-1] if ids else None)
            done = seen[at + 1]
            assert (done["type"], done["item"]) == ("conversation.item.done", event["item"])
            assert done["previous_item_id"] == event["previous_item_id"]
        ids.append(event["item"]["id"])
    return ids


@pytest.mark.parametrize("plays", [False, True])
def test_a_restored_conversation_can_be_kept_again(plays: bool) -> None:
    kept = kept_of(HISTORY, MANUAL)
    session = going_on(kept.items, plays=plays)
    session.open()
    session.close()
    assert kept_of(session.conversation.items, session.config) == kept
