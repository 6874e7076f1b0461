from __future__ import annotations

import pytest

from gateway.credentials.shown import Scheme, Shown, header_values, what_is_shown
from tests.gateway.credentials.support import Header

KEY = "sk-0123456789abcdefwxyz"


def headers(*values: bytes) -> list[Header]:
    return [(b"Authorization", value) for value in values]


@pytest.mark.parametrize(
    ("value", "scheme", "text"),
    [
        (b"Bearer abc", Scheme.BEARER, "abc"),
        (b"bearer  abc ", Scheme.BEARER, "abc"),
        (b"BASIC abc", Scheme.BASIC, "abc"),
        (b"Bearer", Scheme.BEARER, ""),
        (b"abc", Scheme.OTHER, ""),
        (b"Digest abc", Scheme.OTHER, "abc"),
        (b"Bearer \xff", Scheme.BEARER, "ÿ"),
        (b"", Scheme.OTHER, ""),
    ],
)
def test_a_header_is_read_by_its_scheme(value: bytes, scheme: Scheme, text: str) -> None:
    assert what_is_shown(headers(value)) == Shown(scheme, text)


def test_two_headers_are_none_that_counts() -> None:
    assert what_is_shown(headers(b"Bearer a", b"Bearer a")) == Shown(Scheme.OTHER, "")


def test_the_header_counts_before_the_subprotocol_and_that_before_the_query() -> None:
    subprotocols = ["realtime", "openai-insecure-api-key.sub", "openai-agents-sdk.0.20.0"]
    query = "model=m&token=query&token=second"
    assert what_is_shown(headers(b"Bearer a"), query, subprotocols) == Shown(Scheme.BEARER, "a")
    assert what_is_shown([], query, subprotocols) == Shown(Scheme.BEARER, "sub")
    assert what_is_shown([], query, ["realtime"]) == Shown(Scheme.BEARER, "query")
    assert what_is_shown([], "model=m&key=voice-1", ["realtime"]) is None
    assert what_is_shown([(b"x", b"y")]) is None


@pytest.mark.parametrize(("length", "shown"), [(8192, Scheme.BEARER), (8193, Scheme.OTHER)])
def test_a_header_far_too_long_is_not_even_decoded(length: int, shown: Scheme) -> None:
    found = what_is_shown(headers(b"Bearer ".ljust(length, b"x")))
    assert found is not None
    assert (found.scheme, found.text == "") == (shown, shown is Scheme.OTHER)


def test_a_query_far_too_long_shows_nothing() -> None:
    query = "token=".ljust(8192, "x")
    assert what_is_shown([], query) is not None
    assert what_is_shown([], query + "x") is None


def test_a_query_of_too_many_fields_shows_nothing() -> None:
    assert what_is_shown([], "token=a&" + "&".join(["a=1"] * 100)) is None


def test_a_credential_is_quoted_by_seven_characters_or_not_at_all() -> None:
    assert Shown(Scheme.BEARER, KEY).quoted() == "sk-…wxyz"
    assert Shown(Scheme.BEARER, "x" * 19).quoted() == ""
    assert Shown(Scheme.BEARER, "x" * 20).quoted() == "xxx…xxxx"
    assert Shown(Scheme.BEARER, "é" * 40).quoted() == ""
    assert Shown(Scheme.BEARER, "\x1b[31m" * 40).quoted() == ""
    assert KEY not in repr(Shown(Scheme.BEARER, KEY))


def test_a_header_is_found_however_it_is_written() -> None:
    assert header_values([(b"ORIGIN", b"a"), (b"origin", b"b")], b"origin") == ["a", "b"]
