"""Where a text is cut that was heard in part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.heard_text import has_words, parted


@pytest.mark.parametrize(
    ("text", "heard", "before", "rest"),
    [
        ("Good morning to you.", "Good morning", "Good morning", "to you."),
        ("Good morning to you.", "", "", "Good morning to you."),
        ("Good morning to you.", "Good morning to you.", "Good morning to you.", ""),
        ("Good morning to you.", "Good morning to you", "Good morning to you.", ""),
        ("Well — yes!", "Well", "Well —", "yes!"),
        ("Hello, dear caller.", "Hello", "Hello,", "dear caller."),
        ("Hello,\n\ndear   caller.", "Hello, dear", "Hello,\n\ndear", "caller."),
        ('She said "come in" twice.', "She said", "She said", '"come in" twice.'),
        ('She said "come in" twice.', "She said come in", 'She said "come in"', "twice."),
        ("It is twenty-five euros.", "It is twenty", "It is", "twenty-five euros."),
        ("I don't know.", "I don", "I", "don't know."),
        ("Five euros", "Five euros and more than was ever written", "Five euros", ""),
        ("你好，我是助手。", "你好", "你好，", "我是助手。"),
        ("他说「你好」。", "他说", "他说", "「你好」。"),
        ("...", "", "...", ""),
        ("", "anything", "", ""),
    ],
)
def test_a_text_is_cut_before_the_first_word_not_heard_to_its_end(
    text: str, heard: str, before: str, rest: str
) -> None:
    assert parted(text, heard) == (before, rest)


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.integers(0, 60))
def test_no_letter_is_lost_and_none_said_that_was_heard_in_a_whole_word(text: str, heard: int) -> None:
    before, rest = parted(text, text[:heard])
    assert "".join((before + rest).split()) == "".join(text.split())
    assert letters(before) == letters(text)[: len(letters(before))]
    assert len(letters(before)) <= len(letters(text[:heard]))
    again = letters(text)[len(letters(before)) : len(letters(text[:heard]))]
    assert again in letters(rest.split()[0] if rest.split() else "")


def test_words_are_letters_or_digits() -> None:
    assert [has_words(text) for text in ("Yes.", "4", "…", "", "好")] == [True, True, False, False, True]


def letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())
