from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from twiml.errors import WebhookError
from twiml.form_fields import (
    TEXT_LIMIT_CHARS,
    account_sid,
    call_sid,
    optional,
    optional_count,
    optional_text,
    party,
    required,
)

LETTERS = re.compile("[a-z]+")


def test_a_required_field_is_there_and_whole() -> None:
    assert required({"x": "abc"}, "x", LETTERS, "letters") == "abc"
    for form in ({}, {"x": ""}, {"x": "abc\n"}):
        with pytest.raises(WebhookError, match="x: expected letters, got"):
            required(form, "x", LETTERS, "letters")


def test_an_optional_field_may_be_missing_or_empty_but_not_wrong() -> None:
    assert [optional(form, "x", LETTERS, "letters") for form in ({}, {"x": ""}, {"x": "a"})] == [None, None, "a"]
    assert [optional_count({"x": text}, "x") for text in ("", "0", "17")] == [None, 0, 17]
    assert [optional_text({"x": text}, "x") for text in ("", "a b")] == [None, "a b"]
    with pytest.raises(WebhookError, match="whole number"):
        optional_count({"x": "-1"}, "x")
    with pytest.raises(WebhookError, match="at most"):
        optional_text({"x": "a" * (TEXT_LIMIT_CHARS + 1)}, "x")


@pytest.mark.parametrize(
    ("value", "read_as"),
    [("", "anonymous"), ("Anonymous", "anonymous"), ("+4930123", "+4930123"), ("sip:a@b", "sip:a@b")],
)
def test_who_withholds_the_number_is_known_by_a_word(value: str, read_as: str) -> None:
    assert party({"From": value}, "From") == read_as


@pytest.mark.parametrize(("read", "field"), [(call_sid, "CallSid"), (account_sid, "AccountSid")])
def test_an_identifier_has_its_letters_and_digits(read: Callable[[dict[str, str]], str], field: str) -> None:
    prefix = "CA" if field == "CallSid" else "AC"
    assert read({field: prefix + "0" * 32}) == prefix + "0" * 32
    with pytest.raises(WebhookError, match=field):
        read({field: prefix + "0" * 31})
