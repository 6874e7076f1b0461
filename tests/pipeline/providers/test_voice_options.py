"""Options of a voice, right and wrong."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.agent import Agent
from pipeline.provider import ProviderError
from pipeline.providers.source import Source
from pipeline.providers.voice_options import flag, number, text


def source(**options: Any) -> Source:
    return Source(name="x", agent=Agent("a"), options=options)


def test_what_is_left_out_has_its_default() -> None:
    assert text(source(), "voice", "anna") == "anna"
    assert flag(source(), "trim", True) is True
    assert number(source(), "style", least=0, most=1) is None


def test_what_is_told_is_taken() -> None:
    assert text(source(voice="bob"), "voice", "anna") == "bob"
    assert flag(source(trim=False), "trim", True) is False
    assert number(source(style=1), "style", least=0, most=1) == 1.0


@pytest.mark.parametrize("wrong", ["", 7, None])
def test_a_text_must_be_one(wrong: object) -> None:
    with pytest.raises(ProviderError, match="x: option 'voice': expected a text") as raised:
        text(source(voice=wrong), "voice", "anna")
    assert not raised.value.retryable


@pytest.mark.parametrize("wrong", ["yes", 1])
def test_a_flag_must_be_one(wrong: object) -> None:
    with pytest.raises(ProviderError, match="expected true or false"):
        flag(source(trim=wrong), "trim", True)


@pytest.mark.parametrize("wrong", ["1", True, 1.5, -1])
def test_a_number_must_be_one_and_within_its_limits(wrong: object) -> None:
    with pytest.raises(ProviderError, match="expected a number from 0 to 1"):
        number(source(style=wrong), "style", least=0, most=1)
