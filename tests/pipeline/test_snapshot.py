"""Snapshots as JSON: each part comes back as it was, and what is broken or of another version is refused."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.events.config import ServerVad
from pipeline.events.items import (
    AnyItem,
    FunctionCall,
    InputImage,
    InputText,
    McpCall,
    McpError,
    McpListTools,
    Message,
)
from pipeline.limits import USUAL
from pipeline.opening import Ending
from pipeline.snapshot import (
    Snapshot,
    Spoken,
    Unreadable,
    decoded,
    decoded_config,
    decoded_item,
    encoded,
    encoded_config,
    encoded_item,
)
from tests.pipeline.expected import result, said, spoken, typed
from tests.pipeline.feeding import CONFIG
from tests.pipeline.phone_call import PHONE_CONFIG
from tests.pipeline.world import ASKS, FREE

ITEMS: tuple[AnyItem, ...] = (
    said("a", "Is there a table?"),
    said("b", None),
    FunctionCall(id="c", call_id="call_1", name="find_table", arguments="{}"),
    result("d", "call_1", "{}"),
    Message(
        id="e", role="user", content=(InputText(text="Look."), InputImage(image_url="data:image/png;base64,A"))
    ),
    McpListTools(id="f", server_label="free"),
    spoken("g", "There are — two.", "in_progress"),
)
FULL = Snapshot(
    items=ITEMS,
    config=CONFIG,
    spoken=(Spoken(item_id="g", heard="There", is_whole=False),),
    promised="At eight.",
    owes_answer=True,
    remark="Be quick.",
    unreturned=("call_1",),
    keys="12",
    ending=Ending("+4930123456"),
)


def test_a_snapshot_comes_back_whole() -> None:
    assert decoded(encoded(FULL), reversed(ITEMS), CONFIG) == FULL
    assert decoded(encoded(FULL), ITEMS, CONFIG).config is CONFIG


def test_a_snapshot_of_nothing_comes_back() -> None:
    empty = Snapshot(items=(), config=CONFIG)
    assert decoded(encoded(empty), (), CONFIG) == empty
    assert encoded(empty) == b'{"v":1,"order":[]}'


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.id)
def test_each_item_comes_back(item: AnyItem) -> None:
    assert decoded_item(encoded_item(item)) == item


def test_items_it_does_not_name_are_left_out_and_missing_ones_missed() -> None:
    read = decoded(encoded(FULL), [*ITEMS[2:], typed("later", "Yes.")], CONFIG)
    assert read.items == ITEMS[2:]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"v":2,"order":[]}',
        b'{"order":[]}',
        b'{"v":1}',
        b'{"v":1,"order":["a","a"]}',
        b"\xff",
    ],
)
def test_what_is_no_snapshot_of_this_version_is_refused(text: bytes) -> None:
    with pytest.raises(Unreadable, match="^No snapshot: "):
        decoded(text, ITEMS, CONFIG)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b'{"v":1}',
        encoded_item(ITEMS[0]).replace(b'"v":1', b'"v":2'),
        b'{"v":1,"item":{"type":"message"}}',
    ],
)
def test_what_is_no_item_of_this_version_is_refused(text: bytes) -> None:
    with pytest.raises(Unreadable, match="^No item: "):
        decoded_item(text)


def test_the_configuration_as_it_was_changed_is_laid_over_what_a_new_session_has() -> None:
    changed = msgspec.structs.replace(
        PHONE_CONFIG, instructions="Be brief.", voice="ben", turn_detection=ServerVad(idle_timeout_ms=6_000)
    )
    assert decoded_config(encoded_config(changed), PHONE_CONFIG) == changed
    assert decoded_config(encoded_config(PHONE_CONFIG), PHONE_CONFIG) == PHONE_CONFIG


def test_servers_are_there_again_where_they_are_served() -> None:
    config = msgspec.structs.replace(CONFIG, tools=(*CONFIG.tools, FREE, ASKS))
    assert decoded_config(encoded_config(config), CONFIG, USUAL, serves_mcp=True).tools == config.tools
    assert decoded_config(encoded_config(config), CONFIG).tools == CONFIG.tools


def test_secrets_of_servers_are_not_written() -> None:
    secretive = msgspec.structs.replace(FREE, authorization="s3cret", headers={"x-key": "s3cret"})
    assert b"s3cret" not in encoded_config(msgspec.structs.replace(CONFIG, tools=(secretive,)))


def test_what_is_no_configuration_is_refused() -> None:
    with pytest.raises(Unreadable):
        decoded_config(b"{", CONFIG)


def test_a_failed_call_of_a_server_is_an_item_like_any_other() -> None:
    error = McpError(type="http_error", message="gone", code=410)
    item = McpCall(id="h", server_label="free", name="look", arguments="{}", error=error)
    assert decoded_item(encoded_item(item)) == item
