"""What is read out piece by piece, and how far it has come."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.turn.dictation import (
    JOINERS,
    LIKENESS,
    MAGNITUDES,
    REPEATS,
    TEENS,
    TENS,
    UNITS,
    Dictation,
    Run,
    dictation_at_end,
    is_complete,
    last_run,
)

CASES: list[tuple[str, Dictation | None]] = [
    # One short piece may be an answer
    ("two", Dictation.LONE),
    ("it's twenty one", Dictation.LONE),
    ("yes b", Dictation.LONE),
    ("five five", Dictation.GOING_ON),
    ("555", Dictation.GOING_ON),
    ("double two", Dictation.GOING_ON),
    # A sentence that has a number in it
    ("a table for two", None),
    ("in 2019", None),
    ("at seven thirty", None),
    ("it costs one hundred and fifty", None),
    ("we paid two hundred fifty five thousand", None),
    ("at 4 a m", None),
    ("can i have a", None),
    ("i'd like a double", None),
    ("a double", None),
    # Telephone numbers
    ("my number is 555", Dictation.GOING_ON),
    ("my number is double", Dictation.GOING_ON),
    ("my number is 555 123 4567", Dictation.COMPLETE),
    ("five five five one two three four five six seven", Dictation.COMPLETE),
    ("five five five one two three four five six", Dictation.GOING_ON),
    ("oh seven nine one one one two three four five", Dictation.GOING_ON),
    ("oh seven nine one one one two three four five six", Dictation.COMPLETE),
    ("call me at five five five one two", Dictation.GOING_ON),
    ("call me at 555 12", Dictation.GOING_ON),
    ("call me at 555.123.4567", None),
    ("call me at 555 123 4567", Dictation.COMPLETE),
    ("call me at 555 dash 123 dash 4567", Dictation.COMPLETE),
    ("call me at 555 dash", None),
    # Things with a length of their own
    ("my zip code is nine four one oh", Dictation.GOING_ON),
    ("my zip code is nine four one oh three", Dictation.COMPLETE),
    ("the pin is 4271", Dictation.COMPLETE),
    ("card number 4242 4242 4242", Dictation.GOING_ON),
    ("card number 4242 4242 4242 4242", Dictation.COMPLETE),
    ("the order number is 1234567890", Dictation.GOING_ON),
    ("my account 12 that i opened for my wife and my two", None),
    # Spelling
    ("it's spelled s m i", Dictation.GOING_ON),
    ("s as in sam", Dictation.GOING_ON),
    ("m for mother n like nancy", Dictation.GOING_ON),
    ("my plate is r j", Dictation.GOING_ON),
    ("option b", None),
    ("option b 2", None),
    # Addresses
    ("my email is", None),
    ("my email is john", Dictation.GOING_ON),
    ("my email address would be john at example", Dictation.GOING_ON),
    ("my email is john at example dot", Dictation.GOING_ON),
    ("my email is john at example dot co", Dictation.GOING_ON),
    ("my email is john at example dot co dot uk", Dictation.COMPLETE),
    ("my email is john at example dot com thank you", None),
    ("john dot smith at example", Dictation.GOING_ON),
    ("john@example", Dictation.GOING_ON),
    ("john@example.com", Dictation.COMPLETE),
    ("i ordered it at amazon dot com last week", None),
    ("where is my parcel", None),
]


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[text for text, _ in CASES])
def test_what_is_dictated_is_known_by_its_last_words(text: str, expected: Dictation | None) -> None:
    assert dictation_at_end(text.split()) is expected


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("call double five twenty three oh", Run("55230", 3, 1, is_amount=False, awaits_more=False)),
        ("ten twenty triple", Run("1020", 2, 0, is_amount=False, awaits_more=True)),
        ("um eight hundred 4", Run("8004", 2, 1, is_amount=True, awaits_more=False)),
        ("b as in boy 7 then q", Run("b7q", 3, 0, is_amount=False, awaits_more=False)),
        ("five um", None),
        ("um", None),
        ("hello", None),
    ],
)
def test_the_last_letters_and_digits_are_read_as_they_would_be_written(text: str, run: Run | None) -> None:
    assert last_run(text.split()) == run


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("5551234567", True),
        ("0791112345", False),
        ("07911123456", True),
        ("15551234567", True),
        ("55512345678", False),
        ("555123456", False),
        ("4242424242424242", True),
        ("abcdefghij", False),
    ],
)
def test_a_telephone_number_has_ten_digits_or_eleven_with_a_trunk_digit(digits: str, expected: bool) -> None:
    assert is_complete(digits, frozenset({10, 11, 16})) == expected


vocabulary = [
    *UNITS,
    *TEENS,
    *TENS,
    *MAGNITUDES,
    *REPEATS,
    *JOINERS,
    *"abim",
    "as",
    "in",
    "for",
    "like",
    "sam",
    "number",
]
vocabulary += [
    "at",
    "dot",
    "com",
    "email",
    "is",
    "@",
    "12",
    "3.5",
    "pin",
    *(word for like in LIKENESS for word in like),
]


@given(st.lists(st.sampled_from(vocabulary), min_size=1, max_size=12))
@settings(derandomize=True, max_examples=300)
def test_any_words_are_read_and_a_run_always_reaches_the_end(words: list[str]) -> None:
    dictation_at_end(words)
    run = last_run(words)
    if run is not None:
        assert 0 <= run.begins < len(words)
        assert run.characters or run.awaits_more
        assert run.pieces <= len(words) - run.begins
        assert last_run(words[run.begins :]) == Run(run.characters, run.pieces, 0, run.is_amount, run.awaits_more)
