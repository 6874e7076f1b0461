"""JSON from strangers: how deep and how much is parsed, and what never is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events.refusal import BadEvent
from pipeline.json_text import MOST_VALUES, WINDOW_BYTES, parsed

BRACKETS_IN_WORDS = b'"[[[[ {{{{ \\" [[[[ \\\\"'


def refused(text: bytes, depth: int = 4) -> str:
    with pytest.raises(BadEvent) as caught:
        parsed(text, depth=depth)
    assert (caught.value.code, caught.value.param) == ("invalid_json", None)
    return caught.value.message


def nested(depth: int) -> bytes:
    return b'{"a":[' * (depth // 2) + b"[" * (depth % 2) + b"1" + b"]" * (depth % 2) + b"]}" * (depth // 2)


@pytest.mark.parametrize("depth", [1, 4, 5, 64])
def test_objects_and_lists_may_stand_in_one_another_as_deep_as_allowed(depth: int) -> None:
    parsed(nested(depth), depth=depth)
    parsed(nested(depth), depth=depth + 1)
    assert refused(nested(depth), depth - 1) == f"The event is nested too deeply: at most {depth - 1} levels."


def test_many_things_beside_one_another_are_not_deep() -> None:
    assert parsed(b"[" + b"[],{}," * 50 + b"1]", depth=2) == [[], {}] * 50 + [1]


def test_brackets_in_words_are_words() -> None:
    text = b'{"a":[{"b":%s}],"c":[[1]]}' % BRACKETS_IN_WORDS
    assert parsed(text, depth=3) == {"a": [{"b": '[[[[ {{{{ " [[[[ \\'}], "c": [[1]]}


def test_words_longer_than_a_window_are_still_one_word() -> None:
    words = b'"' + b"x\\\\\\n[" * WINDOW_BYTES + b'"'
    blank = b" " * (3 * WINDOW_BYTES)
    found = parsed(b"[%s%s,[],[],[],[]]" % (blank, words), depth=2)
    assert len(found) == 5 and found[0].startswith("x\\\n[x") and found[0].count("[") == WINDOW_BYTES
    assert "deeply" in refused(b"[%s,[],[],[[]],[]]" % words, depth=2)


def test_a_text_may_hold_so_many_values_and_no_more() -> None:
    commas = MOST_VALUES - 1
    assert len(parsed(b"[" + b"1," * commas + b"1]", depth=4)) == MOST_VALUES
    assert refused(b"[" + b"1," * (commas + 1) + b"1]") == f"The event has too many values: at most {MOST_VALUES}."
    assert "too many" in refused(b'["' + b'"," ' * MOST_VALUES + b'"]')


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, -(2**63), 1e308])
def test_numbers_that_fit_into_64_bits_are_kept(number: float) -> None:
    assert parsed(b'{"a":[%s]}' % str(number).encode(), depth=4) == {"a": [number]}


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**300])
def test_wider_whole_numbers_are_refused_because_nobody_could_write_them_again(number: int) -> None:
    assert "64 bits" in refused(b'{"a":[{"b":%d}]}' % number)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"NaN",
        b"[1,]",
        b'"\\ud800"',
        b'"\xff"',
        b"1e999",
        b"9" * 5_000,
        b'"' + b"[" * 9,
        b"[" * 9 + b'"\\',
        b"[]" * 9 + b'"\\',
    ],
)
def test_what_is_not_json_is_refused(text: bytes) -> None:
    refused(text)
    assert "not valid JSON" in refused(text, depth=100)


def test_the_parsers_own_limit_of_depth_is_a_refusal_too() -> None:
    assert "not valid JSON" in refused(b"[" * 50_000 + b"]" * 50_000, depth=10**9)


@given(st.binary(max_size=40), st.integers(0, 3))
def test_any_bytes_are_parsed_or_refused(text: bytes, depth: int) -> None:
    try:
        parsed(text, depth=depth)
    except BadEvent as refusal:
        assert refusal.code == "invalid_json"


@given(st.text(alphabet='[]{}",:\\ 1a', max_size=60), st.integers(0, 3))
def test_what_is_parsed_is_never_deeper_than_allowed(text: str, depth: int) -> None:
    try:
        value = parsed(text.encode(), depth=depth)
    except BadEvent:
        return
    assert depth_of(value) <= depth


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0
