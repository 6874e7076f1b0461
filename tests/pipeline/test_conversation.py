"""Items in order, each found by its id."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.conversation import ROOT, Conversation, DuplicateItem, UnknownItem, telling
from pipeline.events.items import FunctionCall, InputAudio, InputImage, InputText, Message
from tests.pipeline.expected import result, said, spoken, typed


def ids(conversation: Conversation) -> list[str]:
    return [item.id for item in conversation.items]


@pytest.mark.parametrize(
    ("after", "stands_behind", "order"),
    [
        (None, "b", ["a", "b", "new"]),
        (ROOT, None, ["new", "a", "b"]),
        ("a", "a", ["a", "new", "b"]),
        ("b", "b", ["a", "b", "new"]),
    ],
)
def test_an_item_goes_where_it_is_put(after: str | None, stands_behind: str | None, order: list[str]) -> None:
    conversation = Conversation("conv_1", (typed("a", "A."), typed("b", "B.")))
    assert conversation.add(typed("new", "New."), after) == stands_behind
    assert ids(conversation) == order
    assert conversation.previous("new") == stands_behind
    assert conversation.last_id == order[-1]


def test_the_first_item_stands_behind_nothing() -> None:
    conversation = Conversation("conv_1")
    assert (conversation.last_id, conversation.items) == (None, ())
    assert conversation.add(typed("a", "A.")) is None
    assert (conversation.last_id, len(conversation.items)) == ("a", 1)


def test_what_cannot_be_added_changes_nothing() -> None:
    conversation = Conversation("conv_1", (typed("a", "A."),))
    with pytest.raises(DuplicateItem, match="^Item 'a' is already in the conversation.$") as duplicate:
        conversation.add(typed("a", "Another."))
    with pytest.raises(UnknownItem, match="^Item 'z' is not in the conversation.$") as unknown:
        conversation.add(typed("b", "B."), "z")
    assert (duplicate.value.item_id, unknown.value.item_id) == ("a", "z")
    assert conversation.items == (typed("a", "A."),)


def test_unknown_items_are_neither_found_nor_replaced_nor_deleted() -> None:
    conversation = Conversation("conv_1")
    for ask in (conversation.find, conversation.delete, lambda _: conversation.replace(typed("z", "Z."))):
        with pytest.raises(UnknownItem):
            ask("z")
    assert not conversation.holds("z")


def test_a_replaced_item_keeps_its_place_and_a_deleted_one_loses_it() -> None:
    conversation = Conversation("conv_1", (typed("a", "A."), typed("b", "B."), typed("c", "C.")))
    conversation.replace(typed("b", "Other."))
    assert conversation.find("b") == typed("b", "Other.")
    conversation.delete("b")
    assert ids(conversation) == ["a", "c"]
    assert conversation.previous("c") == "a"


def test_a_model_is_told_only_what_says_something() -> None:
    call = FunctionCall(id="d", call_id="call_1", name="look", arguments="{}")
    items = (said("a", "Hello."), said("b"), spoken("c", ""), call, result("e", "call_1", ""))
    assert telling(Conversation("conv_1", items).items) == (items[0], items[3], items[4])


def test_what_was_said_is_written_into_its_item() -> None:
    unknown = Message(id="a", role="user", content=(InputAudio(transcript=None),))
    conversation = Conversation("conv_1", (unknown, result("b", "call_1", "{}")))
    conversation.hear("a", "Hello.")
    conversation.hear("b", "not a message")
    conversation.hear("deleted", "too late")
    assert conversation.items == (said("a", "Hello."), result("b", "call_1", "{}"))


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([None, ROOT, *"abcdef"]), st.booleans())))
@settings(derandomize=True, max_examples=150)
def test_every_item_stands_behind_the_one_it_was_said_to(steps: list[tuple[str, str | None, bool]]) -> None:
    conversation = Conversation("conv_1")
    mirror: list[str] = []
    for item_id, after, deletes in steps:
        if deletes and item_id in mirror:
            conversation.delete(item_id)
            mirror.remove(item_id)
            continue
        try:
            behind = conversation.add(typed(item_id, "x"), after)
        except (DuplicateItem, UnknownItem):
            assert item_id in mirror or after not in mirror
            continue
        mirror.insert(mirror.index(behind) + 1 if behind else 0, item_id)
        assert ids(conversation) == mirror


def test_the_words_of_several_pieces_of_sound_stand_in_the_first() -> None:
    parts = (InputText(text="Two:"), InputAudio(transcript=None), InputAudio(transcript="old"))
    conversation = Conversation("conv_1", (Message(id="a", role="user", content=parts),))
    conversation.hear("a", "Hello there.")
    (item,) = conversation.items
    assert isinstance(item, Message)
    assert item.content == (parts[0], InputAudio(transcript="Hello there."), InputAudio(transcript=""))


def test_a_picture_tells_something_without_a_word() -> None:
    picture = Message(id="a", role="user", content=(InputImage(image_url="data:image/png;base64,AA=="),))
    assert telling((picture, said("b"))) == (picture,)


def test_a_conversation_knows_its_length_and_its_end() -> None:
    conversation = Conversation("conv_1")
    nobody = conversation.last_id
    assert (len(conversation), nobody) == (0, None)
    conversation.add(typed("a", "A."))
    assert (len(conversation), conversation.last_id) == (1, "a")
