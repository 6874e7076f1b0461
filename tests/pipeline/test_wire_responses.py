"""What a client asks of one response. How the response object looks is the table of test_wire_shapes.py."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pipeline.dialects import Dialect
from pipeline.events.config import SessionConfig
from pipeline.events.items import InputText, ItemReference, Message
from pipeline.events.refusal import BadEvent
from pipeline.events.response import ResponseCreate
from pipeline.limits import USUAL, Limits
from pipeline.wire_responses import create_of

CONFIG = SessionConfig(instructions="Be kind.", voice="clive")


def asked(response: object, dialect: Dialect = Dialect.GA, limits: Limits = USUAL) -> ResponseCreate:
    return create_of({"response": response}, CONFIG, dialect, limits, serves_mcp=False)


def refused(response: object, limits: Limits = USUAL) -> tuple[str, str | None]:
    with pytest.raises(BadEvent) as caught:
        asked(response, limits=limits)
    return caught.value.code, caught.value.param


@pytest.mark.parametrize("nothing", [None, {}, {"conversation": "auto"}, {"input": None, "metadata": None}])
def test_nothing_asked_is_an_answer_as_the_session_is(nothing: object) -> None:
    assert asked(nothing) == ResponseCreate()


def test_what_is_asked_otherwise_is_laid_onto_the_session() -> None:
    wanted = {"instructions": "Sing.", "max_output_tokens": 20, "output_modalities": ["text"]}
    assert asked(wanted).config == msgspec.structs.replace(
        CONFIG, instructions="Sing.", max_output_tokens=20, output_modality="text"
    )


@pytest.mark.parametrize("dialect", [Dialect.BETA, Dialect.IW, Dialect.GA])
def test_the_beta_names_are_understood_everywhere(dialect: Dialect) -> None:
    wanted = {"modalities": ["text"], "voice": "ada", "max_response_output_tokens": 7}
    assert asked(wanted, dialect).config == msgspec.structs.replace(
        CONFIG, output_modality="text", voice="ada", max_output_tokens=7
    )


def test_an_answer_out_of_band_has_its_own_input_and_its_metadata() -> None:
    topic = {"topic": "x"}
    greeting = {"type": "message", "role": "user", "content": "hi"}
    wanted = {"conversation": "none", "metadata": topic, "input": [{"type": "item_reference", "id": "i"}, greeting]}
    assert asked(wanted) == ResponseCreate(
        is_out_of_band=True,
        metadata=topic,
        input=(ItemReference(id="i"), Message(id="", role="user", content=(InputText(text="hi"),))),
    )
    assert asked({"input": []}).input == (), "an empty context is not the conversation"


@pytest.mark.parametrize("pairs", [15, 16, 17])
def test_metadata_has_so_many_pairs(pairs: int) -> None:
    metadata = {f"key {number}": "" for number in range(pairs)}
    if pairs <= USUAL.metadata_pairs:
        assert asked({"metadata": metadata}).metadata == metadata
    else:
        assert refused({"metadata": metadata}) == ("invalid_value", "response.metadata")


@pytest.mark.parametrize(("key", "value", "param"), [(64, 512, None), (65, 1, ""), (1, 513, ".k")])
def test_metadata_has_so_long_keys_and_values(key: int, value: int, param: str | None) -> None:
    metadata: dict[str, Any] = {"k" * key: "v" * value}
    if param is None:
        assert asked({"metadata": metadata}).metadata == metadata
    else:
        assert refused({"metadata": metadata}) == ("invalid_value", f"response.metadata{param}")


@pytest.mark.parametrize(("items", "fits"), [(1, True), (2, True), (3, False)])
def test_the_input_has_so_many_items(items: int, fits: bool) -> None:
    wanted = {"input": [{"type": "item_reference", "id": "i"}] * items}
    if fits:
        assert len(asked(wanted, limits=Limits(items=2)).input or ()) == items
    else:
        assert refused(wanted, Limits(items=2)) == ("invalid_value", "response.input")
