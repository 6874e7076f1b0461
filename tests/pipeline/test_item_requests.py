"""What a peer asks of items: each request's answer, and each error with its code, its field and its event."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.audio.formats import AudioFormat, Encoding
from pipeline.conversation import Conversation
from pipeline.events import conversation as conv
from pipeline.events.event import ServerEvent
from pipeline.events.items import (
    AnyItem,
    FunctionCall,
    InputAudio,
    InputImage,
    InputText,
    ItemReference,
    Message,
    OutputAudio,
)
from pipeline.events.refusal import BadEvent
from pipeline.item_requests import TRUNCATE_SLACK_MS, ItemRequests
from pipeline.kept_audio import KeptAudio
from pipeline.limits import USUAL, Limits
from pipeline.output_line import OutputLine
from pipeline.playback_ledger import Heard
from pipeline.provider import WordTime
from pipeline.reports import AudioMade
from tests.fakes import Ids
from tests.pipeline.expected import EVENT, joined, refused, result, spoken, truncated, typed

HELLO = spoken("hello", "Good morning.")
SOUND = b"\x20\x00" * 1_000
PICTURE = InputImage(image_url="data:image/png;base64,AA==")


class Desk:
    """`hello` (1 s of sound) and `mine` (typed) are in the conversation."""

    def __init__(self, limits: Limits = USUAL, *, takes_images: bool = False) -> None:
        self.conversation = Conversation("conv_1", (HELLO, typed("mine", "Hi.")))
        ids = Ids()
        format = AudioFormat(Encoding.PCM16, 1_000)
        self.line = OutputLine(format, KeptAudio(100_000), ids, plays=False)
        self.ledger = self.line.ledger
        times = (WordTime("Good", 0), WordTime("morning.", 400))
        self.line.write("resp_1", "hello", AudioMade("resp_1", SOUND, "Good morning.", times), format)
        self.ledger.finish("hello")
        self.requests = ItemRequests(self.conversation, self.line, ids, limits, takes_images=takes_images)

    def truncate(
        self, item_id: str, audio_end_ms: int, content_index: int = 0, *, clamps: bool = False
    ) -> list[ServerEvent]:
        event = conv.ConversationItemTruncate(
            item_id=item_id,
            audio_end_ms=audio_end_ms,
            content_index=content_index,
            clamps=clamps,
            event_id="theirs",
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
    event: conv.ConversationItemRetrieve | conv.ConversationItemDelete | conv.ConversationItemTruncate,
    code: str,
    message: str,
    param: str,
) -> None:
    desk = Desk()
    before = desk.conversation.items
    match event:
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


@pytest.mark.parametrize(
    ("item", "previous", "code", "message", "param"),
    [
        (
            typed("mine", "Again."),
            None,
            "item_create_duplicate_item_id",
            "Item 'mine' is already in the conversation.",
            "item.id",
        ),
        (typed("new", "Hi."), "z", "item_create_invalid_previous_item_id", NOT_IN, "previous_item_id"),
        (
            result("new", "call_1", "{}"),
            None,
            "invalid_value",
            "Invalid value: 'call_1'. No function call with this call_id is in the conversation.",
            "item.call_id",
        ),
        (
            Message(id="new", role="user", content=(InputText(text="See."), PICTURE)),
            None,
            "invalid_value",
            "Invalid value: 'input_image'. The language model of this session does not take images.",
            "item.content[1].type",
        ),
    ],
)
def test_what_cannot_be_created_is_refused_and_changes_nothing(
    item: AnyItem, previous: str | None, code: str, message: str, param: str
) -> None:
    desk = Desk()
    before = desk.conversation.items
    event = conv.ConversationItemCreate(item=item, previous_item_id=previous, event_id="theirs")
    with pytest.raises(BadEvent) as refusal:
        desk.requests.create(event)
    assert desk.requests.refusal(refusal.value, "theirs") == [refused(code, message, param, "theirs")]
    assert desk.conversation.items == before


def test_a_result_is_taken_for_a_call_that_was_made() -> None:
    desk = Desk()
    desk.conversation.add(FunctionCall(id="call", call_id="call_1", name="look", arguments="{}"))
    output = result("new", "call_1", "{}")
    assert desk.requests.create(conv.ConversationItemCreate(item=output)) == (output, b"", joined(output, "call"))


def test_a_model_with_eyes_is_shown_images() -> None:
    item = Message(id="new", role="user", content=(PICTURE,))
    created, sound, _ = Desk(takes_images=True).requests.create(conv.ConversationItemCreate(item=item))
    assert (created, sound) == (item, b"")


def test_a_conversation_holds_so_many_items_and_no_more() -> None:
    desk = Desk(Limits(items=3))
    desk.requests.create(conv.ConversationItemCreate(item=typed("three", "Hi.")))
    with pytest.raises(BadEvent, match=r"^The conversation has 3 items already\. Delete some first\.$") as refusal:
        desk.requests.create(conv.ConversationItemCreate(item=typed("four", "Hi.")))
    assert (refusal.value.code, refusal.value.param) == ("conversation_full", "item")
    desk.requests.delete(conv.ConversationItemDelete(item_id="three"))
    desk.requests.create(conv.ConversationItemCreate(item=typed("four", "Hi.")))


@pytest.mark.parametrize("spare_bytes", [-1, 0, 1])
def test_a_conversation_holds_so_many_bytes_of_created_items(spare_bytes: int) -> None:
    item = typed("new", "x" * 1_000)
    most_bytes = len(msgspec.json.encode(item)) + spare_bytes
    desk = Desk(Limits(conversation_bytes=most_bytes))
    event = conv.ConversationItemCreate(item=item)
    if spare_bytes >= 0:
        desk.requests.create(event)
    else:
        text = f"^The conversation would hold more than {most_bytes} bytes of created items.$"
        with pytest.raises(BadEvent, match=text):
            desk.requests.create(event)


def test_what_is_deleted_makes_room_and_sound_takes_none() -> None:
    sound = InputAudio(transcript=None, audio=bytes(10_000))
    item = Message(id="new", role="user", content=(InputText(text="x" * 1_000), sound))
    desk = Desk(Limits(conversation_bytes=1_500))
    for _ in range(3):
        desk.requests.create(conv.ConversationItemCreate(item=item))
        desk.requests.delete(conv.ConversationItemDelete(item_id="new"))


def test_what_was_refused_takes_no_room() -> None:
    item = typed("new", "x" * 1_000)
    desk = Desk(Limits(conversation_bytes=len(msgspec.json.encode(item))))
    with pytest.raises(BadEvent, match="not in the conversation"):
        desk.requests.create(conv.ConversationItemCreate(item=item, previous_item_id="z"))
    desk.requests.create(conv.ConversationItemCreate(item=item))


def test_sound_is_taken_out_of_what_everybody_sees_and_kept_for_whoever_retrieves_it() -> None:
    desk = Desk()
    parts = (
        InputAudio(transcript=None, audio=b"12"),
        InputText(text="And"),
        InputAudio(transcript=None, audio=b"34"),
    )
    seen = (InputAudio(transcript=None), InputText(text="And"), InputAudio(transcript=None))
    item = Message(id="new", role="user", content=seen)
    event = conv.ConversationItemCreate(item=Message(id="new", role="user", content=parts))
    assert desk.requests.create(event) == (item, b"1234", joined(item, "mine"))
    whole = (InputAudio(transcript=None, audio=b"1234"), *seen[1:])
    assert desk.requests.retrieve(conv.ConversationItemRetrieve(item_id="new")) == [
        conv.ConversationItemRetrieved(event_id=EVENT, item=msgspec.structs.replace(item, content=whole))
    ]
    desk.requests.delete(conv.ConversationItemDelete(item_id="new"))
    assert desk.line.kept.of("new") is None


def retrieved(desk: Desk, item_id: str) -> AnyItem:
    (event,) = desk.requests.retrieve(conv.ConversationItemRetrieve(item_id=item_id))
    assert isinstance(event, conv.ConversationItemRetrieved)
    return event.item


def test_what_was_said_is_retrieved_with_its_sound() -> None:
    content = (OutputAudio(transcript="Good morning.", audio=SOUND),)
    assert retrieved(Desk(), "hello") == msgspec.structs.replace(HELLO, content=content)


def test_what_was_cut_is_retrieved_with_the_sound_that_was_heard_and_without_words() -> None:
    """Realtime reference, section D.7: truncating deletes the transcript; the model still knows what was heard."""
    desk = Desk()
    desk.truncate("hello", 650)
    item = retrieved(desk, "hello")
    assert isinstance(item, Message) and item.content == (OutputAudio(audio=SOUND[:1_300]),)
    assert desk.conversation.find("hello") == spoken("hello", "Good", "incomplete")


def test_a_function_call_is_retrieved_as_it_is() -> None:
    desk = Desk()
    call = FunctionCall(id="call", call_id="call_1", name="look", arguments="{}")
    desk.conversation.add(call)
    assert retrieved(desk, "call") == call


def test_a_client_that_clamps_may_say_any_position_past_the_end() -> None:
    assert Desk().truncate("hello", 99_999, clamps=True) == [truncated("hello", 1_000)]


def test_of_what_is_being_spoken_and_has_no_sound_yet_nothing_was_heard() -> None:
    desk = Desk()
    desk.conversation.add(Message(id="new", role="assistant", content=(), status="in_progress"))
    event = conv.ConversationItemTruncate(item_id="new", audio_end_ms=TRUNCATE_SLACK_MS, event_id="theirs")
    assert desk.requests.refusal_of(event, is_being_spoken=True) == []
    assert desk.requests.truncate(event) == [truncated("new", 0)]
    late = msgspec.structs.replace(event, audio_end_ms=TRUNCATE_SLACK_MS + 1)
    message = "Audio content of 0ms is already shorter than 251ms"
    desk.conversation.add(Message(id="other", role="assistant", content=(), status="in_progress"))
    late = msgspec.structs.replace(late, item_id="other")
    assert desk.requests.refusal_of(late, is_being_spoken=True) == [
        refused("invalid_value", message, "audio_end_ms", "theirs")
    ]


def test_a_reference_stands_for_its_item() -> None:
    desk = Desk()
    asked = (ItemReference(id="mine"), typed("", "And?"), result("", "call_1", "{}"))
    assert desk.requests.resolve(asked) == (typed("mine", "Hi."), *asked[1:])


@pytest.mark.parametrize(
    ("item", "message", "param"),
    [
        (
            ItemReference(id="z"),
            "Invalid value: 'z'. No item with this id is in the conversation.",
            "response.input[1].id",
        ),
        (
            Message(id="", role="user", content=(PICTURE,)),
            "Invalid value: 'input_image'. The language model of this session does not take images.",
            "response.input[1].content[0].type",
        ),
        (
            Message(id="", role="user", content=(InputAudio(transcript=None, audio=b"12"),)),
            "Sound must be put into the conversation first; refer to its item here.",
            "response.input[1].content",
        ),
    ],
)
def test_what_a_response_cannot_be_told_is_refused_by_its_place(
    item: AnyItem | ItemReference, message: str, param: str
) -> None:
    with pytest.raises(BadEvent) as refusal:
        Desk().requests.resolve((typed("", "Hi."), item))
    bad = refusal.value
    assert (bad.code, bad.message, bad.param) == ("invalid_value", message, param)
