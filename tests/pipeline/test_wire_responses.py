"""What a client asks of one response. How the response object looks is the table of test_wire_shapes.py."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pipeline.costs import Used
from pipeline.dialects import Dialect
from pipeline.events.config import SessionConfig
from pipeline.events.items import InputText, ItemReference, Message
from pipeline.events.refusal import BadEvent
from pipeline.events.response import ResponseCreate, ResponseSnapshot, Usage
from pipeline.limits import USUAL, Limits
from pipeline.wire_responses import create_of, shown_response

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


HEARD = Used(provider="a/ear", kind="stt", requests=1, audio_s=1.5)
THOUGHT = Used(provider="b/mind", kind="llm", requests=1, input_tokens=9, output_tokens=2, cost_usd=0.001)


def usage_in(dialect: Dialect, **usage: Any) -> dict[str, Any]:
    done = ResponseSnapshot(id="r", status="completed", conversation_id=None, usage=Usage(**usage))
    shown: dict[str, Any] = shown_response(done, dialect)["usage"]
    return shown


@pytest.mark.parametrize("dialect", [Dialect.GA, Dialect.IW])
def test_what_each_provider_used_is_told_beside_the_protocols_counts(dialect: Dialect) -> None:
    plain, usage = usage_in(dialect), usage_in(dialect, used=(HEARD, THOUGHT))
    assert usage.pop("switchboard") == {
        "providers": [
            {"provider": "a/ear", "kind": "stt", "requests": 1, "audio_s": 1.5},
            {
                "provider": "b/mind",
                "kind": "llm",
                "requests": 1,
                "input_tokens": 9,
                "output_tokens": 2,
                "cost_usd": 0.001,
            },
        ],
    }
    assert usage == plain
    assert usage_in(dialect, used=(THOUGHT,))["switchboard"]["cost_usd"] == 0.001


@pytest.mark.parametrize("dialect", [Dialect.BETA, Dialect.SEED])
def test_older_dialects_are_told_nothing_they_do_not_know(dialect: Dialect) -> None:
    assert usage_in(dialect, used=(HEARD,)) == usage_in(dialect)


def test_tokens_of_sound_stand_apart_and_parts_make_the_whole() -> None:
    usage = usage_in(
        Dialect.GA,
        input_tokens=10,
        cached_tokens=5,
        output_tokens=8,
        input_audio_tokens=6,
        cached_audio_tokens=2,
        output_audio_tokens=7,
    )
    assert usage["input_token_details"] == {
        "text_tokens": 4,
        "audio_tokens": 6,
        "image_tokens": 0,
        "cached_tokens": 5,
        "cached_tokens_details": {"text_tokens": 3, "audio_tokens": 2, "image_tokens": 0},
    }
    assert usage["output_token_details"] == {"text_tokens": 1, "audio_tokens": 7}
