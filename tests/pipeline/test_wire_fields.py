"""Reading fields: what a refusal says, and what it never repeats."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import wire_fields as read
from pipeline.events.refusal import BadEvent

SECRET = "sk-" + "s" * 200


def refusal(value: object) -> str:
    return read.invalid(value, "field", "Expected a string").message


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "null"),
        (True, "true"),
        (12, "12"),
        (1.5, "1.5"),
        (SECRET, "a string of 203 characters"),
        ([SECRET], "a list"),
        ({"key": SECRET}, "an object"),
    ],
)
def test_a_refusal_tells_the_kind_of_a_value_and_repeats_no_secret(value: object, told: str) -> None:
    assert refusal(value) == f"Invalid value: {told}. Expected a string."


def test_a_word_that_is_not_supported_is_quoted_but_not_without_end() -> None:
    assert read.unsupported("x" * 1_000, "type", ["a", "b"]).message == (
        f"Invalid value: '{'x' * 64}'. Supported values are: 'a', 'b'."
    )
    assert read.unsupported([1], "type", ["a"]).message == "Invalid value: a list. Supported values are: 'a'."


@pytest.mark.parametrize("value", [0, 1, 1.0, 2**53])
def test_whole_numbers_are_whole_however_they_are_written(value: float) -> None:
    found = read.optional_whole({"n": value}, "n")
    assert found == value and isinstance(found, int)


@pytest.mark.parametrize("value", [-1, 1.5, "1", True, [1], {}])
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(BadEvent) as caught:
        read.optional_whole({"n": value}, "n", "item")
    assert (caught.value.code, caught.value.param) == ("invalid_value", "item.n")


def test_null_is_as_good_as_unset() -> None:
    for fields in ({}, {"x": None}):
        assert read.optional_text(fields, "x") is None
        assert read.optional_whole(fields, "x") is None
        assert read.optional_audio(fields, "x", "", most_bytes=1) is None
        assert read.choice(fields, "x", "", ("a",)) is None
        assert read.mapping(fields, "x") is None
        with pytest.raises(BadEvent) as caught:
            read.text(fields, "x", "item")
        assert caught.value.message == "Missing required parameter: 'item.x'."


@given(st.binary(max_size=60), st.integers(1, 9))
def test_sliced_anywhere_base64_is_what_it_was(sound: bytes, step: int) -> None:
    encoded = b64encode(sound)
    slices = [encoded[begin : begin + step] for begin in range(0, len(encoded), step)]
    assert read.decoded(slices, "audio", most_bytes=60) == sound


@given(st.text(alphabet="AQ=_- \n", max_size=12), st.integers(1, 9))
def test_sliced_anywhere_junk_stays_junk(text: str, step: int) -> None:
    encoded = text.encode()
    slices = [encoded[begin : begin + step] for begin in range(0, len(encoded), step)]
    assert outcome(slices) == outcome([encoded])


def outcome(slices: list[bytes]) -> bytes | str:
    try:
        return read.decoded(slices, "audio", most_bytes=60)
    except BadEvent as refusal:
        return refusal.code
