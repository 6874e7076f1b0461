"""Items a client creates: which parts a role may hold, by which names, and what is kept of them."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.dialects import Dialect
from pipeline.events.items import (
    AnyItem,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    ItemReference,
    Message,
    OutputAudio,
    OutputText,
)
from pipeline.events.refusal import BadEvent
from pipeline.limits import USUAL, Limits
from pipeline.wire_items import item_of, item_or_reference_of

PNG = "data:image/png;base64,QUJD"
JPEG = "data:image/jpeg;base64,QUJD"


def created(value: object, dialect: Dialect = Dialect.GA, limits: Limits = USUAL) -> AnyItem:
    return item_of(value, "item", dialect, limits)


def message(role: str, *parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(parts)} | fields


PARTS: list[tuple[str, dict[str, Any], object]] = [
    ("system", {"type": "input_text", "text": "be kind"}, InputText(text="be kind")),
    ("user", {"type": "input_text", "text": ""}, InputText(text="")),
    ("user", {"type": "input_audio", "audio": "QUJD"}, InputAudio(transcript=None, audio=b"ABC")),
    ("user", {"type": "input_audio", "transcript": "hi"}, InputAudio(transcript="hi")),
    ("user", {"type": "input_audio", "audio": None, "transcript": None}, InputAudio(transcript=None)),
    ("user", {"type": "input_image", "image_url": PNG}, InputImage(image_url=PNG)),
    ("user", {"type": "input_image", "image_url": JPEG, "detail": "low"}, InputImage(image_url=JPEG, detail="low")),
    ("assistant", {"type": "output_text", "text": "yes"}, OutputText(text="yes")),
    ("assistant", {"type": "text", "text": "yes"}, OutputText(text="yes")),
    ("assistant", {"type": "output_audio", "transcript": "yes"}, OutputAudio(transcript="yes")),
    ("assistant", {"type": "audio", "transcript": "yes"}, OutputAudio(transcript="yes")),
    ("assistant", {"type": "output_audio", "audio": None}, OutputAudio()),
]


@pytest.mark.parametrize(("role", "part", "expected"), PARTS)
def test_each_role_has_its_parts(role: Any, part: dict[str, Any], expected: Any) -> None:
    assert created(message(role, part, part)) == Message(id="", role=role, content=(expected, expected))


@pytest.mark.parametrize(
    ("role", "part"),
    [("system", InputText(text="hi")), ("user", InputText(text="hi")), ("assistant", OutputText(text="hi"))],
)
def test_a_plain_string_is_a_text_of_the_role(role: Any, part: Any) -> None:
    value = {"type": "message", "role": role, "content": "hi"}
    assert created(value) == Message(id="", role=role, content=(part,))


def test_a_clients_own_id_and_status_are_kept() -> None:
    longest = "x" * 64
    item = created(message("user", id=longest, status="incomplete", object="realtime.item"))
    assert item == Message(id=longest, role="user", content=(), status="incomplete")
    assert created(message("user", id=None, status=None)) == Message(id="", role="user", content=())


def test_the_beta_dialect_has_no_images() -> None:
    with pytest.raises(BadEvent) as caught:
        created(message("user", {"type": "input_image", "image_url": PNG}), Dialect.BETA)
    assert caught.value.message == (
        "Invalid value: 'input_image'. Supported values are: 'input_text', 'input_audio'."
    )


def test_function_calls_and_their_outputs_are_told_as_history() -> None:
    call = {"type": "function_call", "name": "look", "arguments": "{}"}
    assert created(call) == FunctionCall(id="", call_id="", name="look", arguments="{}")
    assert created(call | {"id": "f", "call_id": "c"}) == FunctionCall(
        id="f", call_id="c", name="look", arguments="{}"
    )
    output = {"type": "function_call_output", "call_id": "c", "output": "42"}
    assert created(output) == FunctionCallOutput(id="", call_id="c", output="42")


def test_a_reference_stands_only_in_the_input_of_a_response() -> None:
    reference = {"type": "item_reference", "id": "i"}
    assert item_or_reference_of(reference, "response.input[0]", Dialect.GA, USUAL) == ItemReference(id="i")
    with pytest.raises(BadEvent) as caught:
        created(reference)
    assert caught.value.param == "item.type"


@pytest.mark.parametrize(("most_bytes", "fits"), [(3, True), (4, True), (2, False)])
def test_sound_and_pictures_have_limits(most_bytes: int, fits: bool) -> None:
    sound = message("user", {"type": "input_audio", "audio": "QUJD"})
    picture = message("user", {"type": "input_image", "image_url": PNG})
    limits = Limits(append_bytes=most_bytes, conversation_bytes=most_bytes)
    for value, field in ((sound, "audio"), (picture, "image_url")):
        if fits:
            assert created(value, limits=limits)
        else:
            with pytest.raises(BadEvent) as caught:
                created(value, limits=limits)
            assert (caught.value.code, caught.value.param) == ("invalid_value", f"item.content[0].{field}")
