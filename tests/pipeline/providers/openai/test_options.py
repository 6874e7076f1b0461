from __future__ import annotations

from typing import Any

import pytest

from pipeline.provider import ProviderError
from pipeline.providers.openai.options import Options
from tests.pipeline.providers.openai.standing import source_at


def options(**given: Any) -> Options:
    return Options(source_at("http://127.0.0.1:1/v1", **given))


def test_an_option_that_was_not_given_is_none() -> None:
    none = options()
    read = (
        none.flag("images"),
        none.text("voice"),
        none.choice("max_tokens_field", "a"),
        none.number("temperature", 0, 2),
        none.texts("voices"),
        none.table("body"),
    )
    assert read == (None,) * 6


def test_options_of_the_right_kind_are_read() -> None:
    given = options(images=False, voice="ash", temperature=1, voices=["a", "b"], body={"top_k": 3}, usage=True)
    assert given.flag("images") is False
    assert given.text("voice") == "ash"
    assert given.choice("voice", "alloy", "ash") == "ash"
    assert given.number("temperature", 0, 2) == 1
    assert given.texts("voices") == ("a", "b")
    assert given.table("body") == {"top_k": 3}


@pytest.mark.parametrize(
    ("given", "read", "expected"),
    [
        ({"images": "yes"}, lambda o: o.flag("images"), "true or false"),
        ({"voice": 3}, lambda o: o.text("voice"), "a text"),
        ({"max_tokens_field": "tokens"}, lambda o: o.choice("max_tokens_field", "a", "b"), "one of a, b"),
        ({"temperature": 2.5}, lambda o: o.number("temperature", 0, 2), "0 to 2"),
        ({"temperature": True}, lambda o: o.number("temperature", 0, 2), "0 to 2"),
        ({"temperature": "hot"}, lambda o: o.number("temperature", 0, 2), "0 to 2"),
        ({"voices": "alloy"}, lambda o: o.texts("voices"), "a list of texts"),
        ({"voices": [1]}, lambda o: o.texts("voices"), "a list of texts"),
        ({"body": []}, lambda o: o.table("body"), "a table"),
    ],
)
def test_an_option_of_the_wrong_kind_is_refused_by_name(
    given: dict[str, object], read: object, expected: str
) -> None:
    assert callable(read)
    with pytest.raises(ProviderError, match=f"option '{next(iter(given))}': expected {expected}") as refused:
        read(options(**given))
    assert not refused.value.retryable


def test_an_option_nobody_knows_is_refused() -> None:
    with pytest.raises(ProviderError, match="no option 'colour'"):
        options(colour="red")
