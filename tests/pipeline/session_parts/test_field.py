"""One field of what a client sent: read as what it must be, or refused at its path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.dialects import Dialect
from pipeline.events.refusal import BadEvent
from pipeline.session_parts.field import KEPT_BYTES, Field, Terms, encoded_bytes


def field(value: object) -> Field:
    return Field(value, "session.x")


def refusal(read: Callable[[Field], object], value: object) -> BadEvent:
    with pytest.raises(BadEvent) as caught:
        read(field(value))
    assert caught.value.code == "invalid_value"
    return caught.value


READINGS: list[tuple[Callable[[Field], object], Any, Any]] = [
    (lambda f: f.text(3), "", ""),
    (lambda f: f.text(3), "äöü", "äöü"),
    (lambda f: f.text(3, least_chars=1), "a", "a"),
    (lambda f: f.identifier(), "look_up-2", "look_up-2"),
    (lambda f: f.identifier(), "a" * 64, "a" * 64),
    (lambda f: f.one_of(("a", "b")), "b", "b"),
    (lambda f: f.flag(), False, False),
    (lambda f: f.number(0, 1), 0, 0.0),
    (lambda f: f.number(0, 1), 1.0, 1.0),
    (lambda f: f.whole(1, 5), 5, 5),
    (lambda f: f.whole(1, 5), 1.0, 1),
    (lambda f: f.words(), ["a", ""], ["a", ""]),
    (lambda f: f.kept(), {"a": [1]}, {"a": [1]}),
    (lambda f: f.kept(), "x" * (KEPT_BYTES - 2), "x" * (KEPT_BYTES - 2)),
]


@pytest.mark.parametrize(("read", "value", "expected"), READINGS)
def test_what_is_right_is_read(read: Callable[[Field], object], value: object, expected: object) -> None:
    got = read(field(value))
    assert got == expected
    assert type(got) is type(expected)


REFUSALS: list[tuple[Callable[[Field], object], Any, str]] = [
    (lambda f: f.text(3), 1, "Invalid value: 1. Expected a string. (session.x)"),
    (
        lambda f: f.text(3),
        "abcd",
        "Invalid value: a string of 4 characters. Expected 0 to 3 characters. (session.x)",
    ),
    (
        lambda f: f.text(3, least_chars=1),
        "",
        "Invalid value: a string of 0 characters. Expected 1 to 3 characters. (session.x)",
    ),
    (
        lambda f: f.text(3),
        "\ud800",
        "Invalid value: a string of 1 characters. "
        "Expected a string without half characters (lone surrogates). (session.x)",
    ),
    (
        lambda f: f.identifier(),
        "a b",
        "Invalid value: a string of 3 characters. Expected 1 to 64 letters, digits, '_' or '-'. (session.x)",
    ),
    (lambda f: f.one_of(("a", "b")), "c", "Invalid value: 'c'. Supported values are: 'a', 'b'. (session.x)"),
    (lambda f: f.one_of(("a", "b")), {}, "Invalid value: an object. Expected 'a', 'b'. (session.x)"),
    (lambda f: f.flag(), 1, "Invalid value: 1. Expected true or false. (session.x)"),
    (lambda f: f.flag(), None, "Invalid value: null. Expected true or false. (session.x)"),
    (lambda f: f.number(0, 1.5), 1.51, "Invalid value: 1.51. Expected a number from 0 to 1.5. (session.x)"),
    (lambda f: f.number(0, 1.5), -1, "Invalid value: -1. Expected a number from 0 to 1.5. (session.x)"),
    (lambda f: f.number(0, 1.5), True, "Invalid value: true. Expected a number from 0 to 1.5. (session.x)"),
    (
        lambda f: f.number(0, 1),
        10**400,
        "Invalid value: a very large number. Expected a number from 0 to 1. (session.x)",
    ),
    (lambda f: f.whole(1, 5), 6, "Invalid value: 6. Expected a whole number from 1 to 5. (session.x)"),
    (lambda f: f.whole(1, 5), 0, "Invalid value: 0. Expected a whole number from 1 to 5. (session.x)"),
    (lambda f: f.whole(1, 5), 2.5, "Invalid value: 2.5. Expected a whole number from 1 to 5. (session.x)"),
    (
        lambda f: f.whole(1, 5),
        float("inf"),
        "Invalid value: a very large number. Expected a whole number from 1 to 5. (session.x)",
    ),
    (
        lambda f: f.whole(1, 5),
        "3",
        "Invalid value: a string of 1 characters. Expected a whole number from 1 to 5. (session.x)",
    ),
    (lambda f: f.members(), [], "Invalid value: a list. Expected an object. (session.x)"),
    (lambda f: f.elements(), False, "Invalid value: false. Expected a list. (session.x)"),
    (lambda f: f.words(), ["a", 2], "Invalid value: 2. Expected a string. (session.x[1])"),
    (
        lambda f: f.kept(),
        "x" * (KEPT_BYTES - 1),
        "Invalid value: longer than 65536 bytes as JSON. (session.x)",
    ),
    (lambda f: f.kept(), ["\ud800"], "Invalid value: a list. Expected what can be written as JSON. (session.x)"),
]


@pytest.mark.parametrize(("read", "value", "message"), REFUSALS)
def test_what_is_wrong_is_refused_with_what_was_expected_and_what_came(
    read: Callable[[Field], object], value: object, message: str
) -> None:
    refused = refusal(read, value)
    assert refused.message == message
    assert f"({refused.param})" in message


def test_only_the_start_of_a_long_word_or_name_is_quoted() -> None:
    refused = refusal(lambda f: f.one_of(("a",)), "y" * 10_000)
    assert f"'{'y' * 64}'" in refused.message
    (inner,) = field({"z" * 10_000: 1}).members().values()
    assert inner.path == "session.x." + "z" * 64


def test_null_is_not_given() -> None:
    whole = field({"a": 1, "b": None, "c": 2})
    assert whole.given(("a", "b")) == {"a": Field(1, "session.x.a")}
    assert whole.members()["b"].is_null


def test_a_strict_reading_refuses_names_it_does_not_know_unless_they_are_null() -> None:
    assert field({"a": 1, "b": None}).given(("a",), is_strict=True) == {"a": Field(1, "session.x.a")}
    with pytest.raises(BadEvent) as caught:
        field({"a": 1, "b": 2}).given(("a",), is_strict=True)
    assert (caught.value.code, caught.value.param) == ("unknown_parameter", "session.x.b")
    assert caught.value.message == "Unknown parameter: 'session.x.b'."


def test_what_is_lacking_is_named_with_its_path() -> None:
    refused = field({}).lacks("type")
    assert (refused.code, refused.param) == ("missing_required_parameter", "session.x.type")
    assert refused.message == "Missing required parameter: 'session.x.type'."


def test_depth_without_end_is_the_clients_fault() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(BadEvent):
        encoded_bytes(deep, field(deep))


@pytest.mark.parametrize(
    ("dialect", "is_strict", "reads_camel_case"),
    [
        (Dialect.GA, True, False),
        (Dialect.BETA, False, False),
        (Dialect.IW, False, True),
        (Dialect.SEED, False, True),
    ],
)
def test_each_dialect_has_its_own_strictness(dialect: Dialect, is_strict: bool, reads_camel_case: bool) -> None:
    terms = Terms(dialect)
    assert (terms.is_strict, terms.reads_camel_case) == (is_strict, reads_camel_case)


def test_a_number_too_long_to_be_written_is_refused_without_writing_it() -> None:
    endless = 10**5_000
    for read in (lambda f: f.number(0, 1), lambda f: f.whole(0, 1), lambda f: f.kept(), lambda f: f.flag()):
        assert "a very large number" in refusal(read, endless).message
