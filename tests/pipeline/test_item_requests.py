"""What a peer asks of items: each request's answer, and each error with its code, its field and its event."""

from __future__ import annotations

import pytest

from pipeline.audio.formats import AudioFormat, Encoding
from pipeline.conversation import Conversation
from pipeline.events import conversation as conv
from pipeline.events.event import ServerEvent
from pipeline.item_requests import TRUNCATE_SLACK_MS, ItemRequests
from pipeline.kept_audio import KeptAudio
from pipeline.limits import USUAL
from pipeline.output_line import OutputLine
from pipeline.playback_ledger import Heard
from pipeline.provider import WordTime
from tests.fakes import Ids
from tests.pipeline.expected import EVENT, joined, refused, result, spoken, truncated, typed

HELLO = spoken("hello", "Good morning.")


class Desk:
    """`hello` (1 s of sound) and `mine` (typed) are in the conversation."""

    def __init__(self) -> None:
        self.conversation = Conversation("conv_1", (HELLO, typed("mine", "Hi.")))
        ids = Ids()
        line = OutputLine(AudioFormat(Encoding.PCM16, 1_000), KeptAudio(100_000), ids, plays=False)
        self.ledger = line.ledger
        self.ledger.write("hello", 1_000, "Good morning.", (WordTime("Good", 0), WordTime("morning.", 400)))
        self.ledger.finish("hello")
        self.requests = ItemRequests(self.conversation, line, ids, USUAL, takes_images=False)

    def truncate(self, item_id: str, audio_end_ms: int, content_index: int = 0) -> list[ServerEvent]:
        event = conv.ConversationItemTruncate(
            item_id=item_id, audio_end_ms=audio_end_ms, content_index=content_index, event_id="theirs"
        )
        return self.requests.refusal_of(event, is_being_spoken=False) or self.requests.truncate(event)


def test_an_item_is_created_where_it_is_wanted() -> None:
    desk = Desk()
    event = conv.ConversationItemCreate(item=typed("new", "Yes."), previous_item_id="hello")
    new = typed("new", "Yes.")
    assert desk.requests.create(event) == (new, b"", joined(new, "hello"))
    assert [item.id for item in desk.conversation.items] == ["hello", "new", "mine"]


def test_an_item_without_an_id_is_given_one() -> None:
    desk = Desk()
    given = typed("item_1", "Yes.")
    event = conv.ConversationItemCreate(item=typed("", "Yes."))
    assert desk.requests.create(event) == (given, b"", joined(given, "mine"))


def test_items_are_retrieved_and_deleted() -> None:
    desk = Desk()
    assert desk.requests.retrieve(conv.ConversationItemRetrieve(item_id="mine")) == [
        conv.ConversationItemRetrieved(event_id=EVENT, item=typed("mine", "Hi."))
    ]
    assert desk.requests.delete(conv.ConversationItemDelete(item_id="mine")) == [
        conv.ConversationItemDeleted(event_id=EVENT, item_id="mine")
    ]
    assert desk.conversation.items == (HELLO,)


def test_a_spoken_item_is_cut_to_the_words_that_were_played() -> None:
    desk = Desk()
    assert desk.truncate("hello", 650) == [truncated("hello", 650)]
    assert desk.conversation.find("hello") == spoken("hello", "Good", "incomplete")


@pytest.mark.parametrize("audio_end_ms", [1_000, 1_001, 1_000 + TRUNCATE_SLACK_MS])
def test_a_clock_that_runs_a_little_ahead_is_clamped(audio_end_ms: int) -> None:
    desk = Desk()
    assert desk.truncate("hello", audio_end_ms) == [truncated("hello", 1_000)]
    assert desk.conversation.find("hello") == spoken("hello", "Good morning.", "incomplete")


def test_a_second_cut_may_only_be_shorter() -> None:
    desk = Desk()
    desk.truncate("hello", 600)
    message = "Audio content of 600ms is already shorter than 1000ms"
    assert desk.truncate("hello", 1_000) == [refused("invalid_value", message, "audio_end_ms", "theirs")]
    assert desk.truncate("hello", 700) == [truncated("hello", 600)]
    assert desk.truncate("hello", 0) == [truncated("hello", 0)]
    assert desk.conversation.find("hello") == spoken("hello", "", "incomplete")


NOT_IN = "Item 'z' is not in the conversation."


@pytest.mark.parametrize(
    ("event", "code", "message", "param"),
    [
        (
            conv.ConversationItemCreate(item=typed("mine", "Again."), event_id="theirs"),
            "item_create_duplicate_item_id",
            "Item 'mine' is already in the conversation.",
            "item.id",
        ),
        (
            conv.ConversationItemCreate(item=typed("new", "Hi."), previous_item_id="z", event_id="theirs"),
            "item_create_invalid_previous_item_id",
            NOT_IN,
            "previous_item_id",
        ),
        (
            conv.ConversationItemRetrieve(item_id="z", event_id="theirs"),
            "item_retrieve_invalid_item_id",
            NOT_IN,
            "item_id",
        ),
        (
            conv.ConversationItemDelete(item_id="z", event_id="theirs"),
            "item_delete_invalid_item_id",
            NOT_IN,
            "item_id",
        ),
        (
            conv.ConversationItemTruncate(item_id="z", audio_end_ms=0, event_id="theirs"),
            "item_truncate_invalid_item_id",
            NOT_IN,
            "item_id",
        ),
        (
            conv.ConversationItemTruncate(item_id="mine", audio_end_ms=0, event_id="theirs"),
            "invalid_value",
            "Only model output audio messages can be truncated",
            "item_id",
        ),
        (
            conv.ConversationItemTruncate(item_id="hello", audio_end_ms=0, content_index=1, event_id="theirs"),
            "invalid_value",
            "Invalid value: 1. A spoken item has one content part, 0.",
            "content_index",
        ),
        (
            conv.ConversationItemTruncate(item_id="hello", audio_end_ms=-1, event_id="theirs"),
            "invalid_value",
            "Audio content of 1000ms is already shorter than -1ms",
            "audio_end_ms",
        ),
        (
            conv.ConversationItemTruncate(
                item_id="hello", audio_end_ms=1_001 + TRUNCATE_SLACK_MS, event_id="theirs"
            ),
            "invalid_value",
            "Audio content of 1000ms is already shorter than 1251ms",
            "audio_end_ms",
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else None,
)
def test_what_cannot_be_done_is_one_error_and_changes_nothing(
    event: conv.ConversationItemCreate
    | conv.ConversationItemRetrieve
    | conv.ConversationItemDelete
    | conv.ConversationItemTruncate,
    code: str,
    message: str,
    param: str,
) -> None:
    desk = Desk()
    before = desk.conversation.items
    match event:
        case conv.ConversationItemCreate():
            answer = desk.requests.create(event)
        case conv.ConversationItemRetrieve():
            answer = desk.requests.retrieve(event)
        case conv.ConversationItemDelete():
            answer = desk.requests.delete(event)
        case conv.ConversationItemTruncate():
            answer = desk.requests.refusal_of(event, is_being_spoken=False)
    assert answer == [refused(code, message, param, "theirs")]
    assert desk.conversation.items == before


def test_what_was_deleted_while_it_played_cannot_be_cut() -> None:
    desk = Desk()
    desk.conversation.delete("hello")
    assert desk.requests.cut(Heard("hello", 100, "", is_whole=False)) == []
