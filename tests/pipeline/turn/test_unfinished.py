"""Whether a transcript sounds finished."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.turn import unfinished
from pipeline.turn.unfinished import LONGEST_PHRASE, MOST_WORDS, Ending, ending_of, words_of

FINISHED = [
    "Yes.",
    "No, thank you",
    "My name is Bob.",
    "I'd like to book a table for two",
    "What is it for?",
    "Who am I speaking to?",
    "When",
    "I think so",
    "Yes it is.",
    "Yeah, I do",
    "mm-hmm",
    "I'll wait",
    "It doesn't turn on",
    "Let me check with my wife",
    "I don't want it, because of the colour.",
    "“That’s fine.”",
    "five five five one two three four five six seven",
    "is the doctor?",
    "is the shop open",
    "if it rains can we cancel",
    "if you want",
]
OTHER_LANGUAGES = [
    "Rufen Sie mich bitte an",
    "Ja, so ist es",
    "Das ist so",
    "Drehen Sie um",
    "Was?",
    "Ça va, on y a",
    "Sí, quiero una mesa para dos",
    "Dat weet ik niet wat het is",
    "我想订一张桌子",
    "Проверьте мой заказ",
]
UNFINISHED = [
    "My name is",
    "My number is.",
    "I'd like to book a table for",
    "and",
    "because",
    "I want to go, but",
    "either tomorrow or",
    "um",
    "It's on the 5th, uh",
    "the",
    "an",
    "I have an",
    "The problem is",
    "I'm",
    "I think we’ll",
    "yes my name",
    "okay so",
    "could you",
    "Can you?",
    "I was wondering",
    "hold on",
    "let me see",
    "s as in",
    "What I'd like is the",
    "I'd like a pizza...",
    "I'd like a pizza—",
    "Book it. And",
    "the one I was looking for",
    "john dash",
    "five five five and",
    "is the doctor",
    "I'd like to know whether",
    "Actually,",
    "That's",
    "don't",
    "the last time I called they",
    "could you please",
    "he's allergic to",
    "my boss said",
    "yes I think",
    "it is booked under",
]
OPEN = [
    "so do I",
    "if it rains",
    "two",
    "I'd like a pizza,",
    "it is",
    "I have a dog and she has",
    "where they are",
    "I know what it is for",
]
DICTATING = ["five five", "my number is 555", "it's S-M-I", "my e-mail is john", "five, five, five."]
UNKNOWN = ["", "  ", "...", "?"]

CASES = [
    *((text, Ending.FINISHED) for text in FINISHED + OTHER_LANGUAGES),
    *((text, Ending.UNFINISHED) for text in UNFINISHED),
    *((text, Ending.OPEN) for text in OPEN),
    *((text, Ending.DICTATING) for text in DICTATING),
    *((text, Ending.UNKNOWN) for text in UNKNOWN),
]


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[text or "nothing" for text, _ in CASES])
def test_a_transcript_is_known_by_how_it_ends(text: str, expected: Ending) -> None:
    assert ending_of(text) is expected


def test_a_question_mark_counts_for_a_word_that_may_be_left_behind_and_not_for_an_article() -> None:
    assert ending_of("What are you looking at") is Ending.OPEN
    assert ending_of("What are you looking at?") is Ending.FINISHED
    assert ending_of("What are the?") is Ending.UNFINISHED


def test_words_that_other_languages_share_do_not_count_in_them() -> None:
    assert ending_of("Was steht da an") is Ending.FINISHED
    assert ending_of("Ruf später an") is Ending.FINISHED
    assert ending_of("I was in") is Ending.UNFINISHED
    assert ending_of("I'd like to fly to Los Angeles on") is Ending.UNFINISHED


def test_only_the_last_sentence_tells() -> None:
    assert ending_of("What is this? I'm calling about") is Ending.UNFINISHED
    assert ending_of("What is this calling about") is Ending.OPEN


def test_what_a_hyphen_joins_is_several_words_and_only_the_last_words_are_read() -> None:
    assert words_of("s-m-i, 555-1234 john.smith@example.com!") == [
        "s",
        "m",
        "i",
        "555",
        "1234",
        "john.smith@example.com",
    ]
    assert words_of("word " * 100 + "end") == ["word"] * (MOST_WORDS - 1) + ["end"]


def test_no_phrase_of_the_tables_is_too_long_to_be_found() -> None:
    phrases = unfinished.FINISHED_PHRASES | unfinished.UNFINISHED_PHRASES
    assert {len(phrase.split()) for phrase in phrases} <= set(range(2, LONGEST_PHRASE + 1))
    assert all(ending_of(f"I {phrase}") is Ending.UNFINISHED for phrase in unfinished.UNFINISHED_PHRASES)
    assert all(ending_of(phrase) is Ending.FINISHED for phrase in unfinished.FINISHED_PHRASES)


@given(st.text(max_size=80))
@settings(derandomize=True, max_examples=300)
def test_any_text_has_an_ending(text: str) -> None:
    assert (ending_of(text) is Ending.UNKNOWN) == (not words_of(text.casefold()))
