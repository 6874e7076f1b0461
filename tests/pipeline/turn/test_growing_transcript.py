"""A transcript as it grows: only what is certain is told, and nothing is taken back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.turn.growing_transcript import GrowingTranscript


@pytest.mark.parametrize(
    ("guesses", "final", "told"),
    [
        ((), "Hello.", ["Hello."]),
        (("one",), "one two", ["", "one two"]),
        (("one", "one two", "one two three"), "one two three", ["", "one", " two", " three"]),
        (("one two", "won two", "won too"), "won too late", ["", "", "won", " too late"]),
        (("one two", "one two", "one", "one two"), "one two", ["", "one two", "", "", ""]),
        (("one", "one", "won", "won"), "won", ["", "one", "", "", ""]),
        (("one", "one"), "One.", ["", "one", ""]),
    ],
)
def test_a_word_is_told_once_two_guesses_in_a_row_agree_on_it(
    guesses: tuple[str, ...], final: str, told: list[str]
) -> None:
    transcript = GrowingTranscript()
    news = []
    for guess in guesses:
        transcript.guess(guess)
        news.append(transcript.news())
    assert [*news, transcript.rest(final)] == told


def test_what_was_certain_while_nobody_asked_is_told_when_somebody_does() -> None:
    transcript = GrowingTranscript()
    for guess in ("one", "one two", "one two"):
        transcript.guess(guess)
    assert transcript.news() == "one two"
    assert transcript.news() == ""


@given(st.lists(st.text("ab ", max_size=8), max_size=8), st.text("ab ", max_size=8))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_the_pieces_joined_are_the_whole_wherever_they_begin_it(guesses: list[str], final: str) -> None:
    transcript = GrowingTranscript()
    told = ""
    for guess in guesses:
        transcript.guess(guess)
        told += transcript.news()
    rest = transcript.rest(final)
    assert told + rest == final or (rest == "" and not final.startswith(told))
