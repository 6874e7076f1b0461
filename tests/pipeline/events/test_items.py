"""Items as strict clients read them."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.events.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    Item,
    Message,
    OutputAudio,
    OutputText,
)

ITEMS: list[tuple[Item, dict[str, object]]] = [
    (
        Message(id="a", role="user", content=(InputAudio(transcript=None),)),
        {
            "type": "message",
            "id": "a",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
            "status": "completed",
            "object": "realtime.item",
        },
    ),
    (
        FunctionCall(id="b", call_id="call_1", name="look", arguments="", status="in_progress"),
        {
            "type": "function_call",
            "id": "b",
            "call_id": "call_1",
            "name": "look",
            "arguments": "",
            "status": "in_progress",
            "object": "realtime.item",
        },
    ),
    (
        FunctionCallOutput(id="c", call_id="call_1", output="{}"),
        {
            "type": "function_call_output",
            "id": "c",
            "call_id": "call_1",
            "output": "{}",
            "status": "completed",
            "object": "realtime.item",
        },
    ),
]


@pytest.mark.parametrize(("item", "wire"), ITEMS, ids=["message", "function_call", "function_call_output"])
def test_items_have_the_protocols_fields_and_no_nulls_but_the_one_it_asks_for(
    item: Item, wire: dict[str, object]
) -> None:
    assert msgspec.json.decode(msgspec.json.encode(item)) == wire
    assert msgspec.convert(wire, Item) == item


def test_the_text_of_a_message_is_all_its_words_whatever_they_arrived_as() -> None:
    parts = (
        InputText(text="One"),
        InputAudio(transcript=None),
        InputAudio(transcript="two"),
        OutputText(text=""),
        OutputText(text="three"),
        OutputAudio(transcript="four"),
    )
    assert Message(id="a", role="user", content=parts).text == "One two three four"
    assert Message(id="a", role="user", content=()).text == ""


def test_a_picture_has_no_words_and_is_found() -> None:
    picture = InputImage(image_url="data:image/png;base64,AA==")
    message = Message(id="a", role="user", content=(InputText(text="See."), picture))
    assert (message.text, message.images) == ("See.", (picture,))


def test_a_message_that_was_cut_has_a_part_without_words() -> None:
    """Realtime reference, section D.7: no `transcript`, rather than an empty one or a null."""
    assert msgspec.to_builtins(OutputAudio()) == {"type": "output_audio"}
    assert Message(id="a", role="assistant", content=(OutputAudio(),)).text == ""
