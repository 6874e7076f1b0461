from __future__ import annotations

import dataclasses
import string

import pytest

from twiml.documents import SAY_LIMIT_CHARS
from twiml.overflow_words import Words, words_in

FILLED_IN = {"position": {"position"}, "minutes": {"minutes"}}


@pytest.mark.parametrize(
    ("language", "voice"),
    [(None, "en-US"), ("", "en-US"), ("en-GB", "en-US"), ("de", "de-DE"), ("DE-at", "de-DE"), ("pl-PL", "en-US")],
)
def test_a_language_without_words_is_spoken_to_in_english(language: str | None, voice: str) -> None:
    assert words_in(language).language == voice


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_sentence_is_short_and_asks_for_what_can_be_filled_in(language: str) -> None:
    words = words_in(language)
    for entry in dataclasses.fields(Words):
        text = getattr(words, entry.name)
        asked = {name for _, name, _, _ in string.Formatter().parse(text) if name}
        assert asked == FILLED_IN.get(entry.name, set()), entry.name
        assert 0 < len(text) < 120 < SAY_LIMIT_CHARS
