"""Where an answer is cut, and that the way it arrives changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sentences import (
    CLAUSE_LIMIT_CHARS,
    FIRST_CLAUSE_CHARS,
    FIRST_CLAUSE_LIMIT_CHARS,
    LONG_CLAUSE_CHARS,
    Clauses,
)


def clauses_of(text: str) -> list[str]:
    cutter = Clauses()
    return cutter.push(text) + cutter.flush()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We are open from nine, until five.", ["We are open from nine,", "until five."]),
        ("Yes, of course we can; always.", ["Yes, of course we can;", "always."]),
        ("Here is the list: one, two.", ["Here is the list:", "one, two."]),
        ("I will look it up — one moment.", ["I will look it up —", "one moment."]),
        ("I will look it up—one moment.", ["I will look it up—", "one moment."]),
        ("I will look it up - one moment.", ["I will look it up -", "one moment."]),
        ("A well-known shop is near.", ["A well-known shop is near."]),
        ("Hello! I am here. You too? Good.", ["Hello! I am here.", "You too?", "Good."]),
        ("He said “Go home now.” Then left.", ["He said “Go home now.”", "Then left."]),
        ("It really works?! Yes it does.", ["It really works?!", "Yes it does."]),
    ],
)
def test_the_first_clause_is_short_and_the_later_ones_are_sentences(text: str, expected: list[str]) -> None:
    assert clauses_of(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "It costs 3.5 euros or 4,815 cents",
        "Ask Dr. Smith or Mrs. Jones about it",
        "Bring fruit e.g. apples i.e. food",
        "In the U.S. Army with J. Doe",
        "See https://example.com/a.b?c=d:e,f now",
        "We close at 10:30 on Oct. 5",
        "Open till 6 p.m. each day",
    ],
)
def test_a_mark_inside_a_number_name_or_address_ends_nothing(text: str) -> None:
    before = "This is the first one."
    assert clauses_of(f"{before} {text}.") == [before, f"{text}."]


def test_a_pronoun_at_the_end_is_no_initial() -> None:
    assert clauses_of("Well, so do I. Let us go.") == ["Well, so do I.", "Let us go."]


def test_a_number_that_opens_a_list_stays_with_its_line() -> None:
    assert clauses_of("Do this in order. 1. Open it. 2. Close it.") == [
        "Do this in order.",
        "1. Open it.",
        "2. Close it.",
    ]


def test_dots_of_hesitation_are_a_comma_and_no_end() -> None:
    assert clauses_of("Here we go now. Well... let me see… yes. Fine.") == [
        "Here we go now.",
        "Well... let me see… yes.",
        "Fine.",
    ]


def test_wide_punctuation_needs_no_space_after_it() -> None:
    assert clauses_of("我们的营业时间是早上九点到下午五点。谢谢您的来电！「再见。」好") == [
        "我们的营业时间是早上九点到下午五点。",
        "谢谢您的来电！",
        "「再见。」",
        "好",
    ]


def test_a_first_clause_without_punctuation_ends_at_a_space() -> None:
    text = "word " * 40
    first = clauses_of(text)[0]
    assert FIRST_CLAUSE_LIMIT_CHARS <= len(first) < FIRST_CLAUSE_LIMIT_CHARS + len("word ")


def test_a_mark_before_the_least_length_does_not_end_the_first_clause() -> None:
    assert clauses_of("Yes. No. Maybe so. Good.")[0] == "Yes. No. Maybe so."
    assert len("Yes. No.") < FIRST_CLAUSE_CHARS


def test_a_long_sentence_is_cut_at_a_comma_and_an_endless_one_at_a_space() -> None:
    lead = "This is the first one."
    long = "word " * (LONG_CLAUSE_CHARS // 5)
    assert clauses_of(f"{lead} a, {long}b, c.") == [lead, f"a, {long}b,", "c."]
    endless = clauses_of(lead + " word" * 100)
    assert CLAUSE_LIMIT_CHARS <= len(endless[1]) < CLAUSE_LIMIT_CHARS + len("word ")


def test_a_clause_is_given_out_as_soon_as_its_end_is_certain() -> None:
    cutter = Clauses()
    assert cutter.push("We are open from 9.") == []
    assert cutter.push("5") == []
    assert cutter.push(" on,") == []
    assert cutter.push(" ") == ["We are open from 9.5 on,"]
    assert cutter.flush() == []


def test_after_a_flush_the_next_text_begins_with_a_short_clause_again() -> None:
    cutter = Clauses()
    cutter.push("One long sentence here. Another one")
    assert cutter.flush() == ["Another one"]
    assert cutter.push("And here we go, again") == ["And here we go,"]


texts = st.lists(
    st.one_of(
        st.sampled_from(["Dr.", "3.5", "4,815", "U.S.", "...", "…", "—", " - ", "\n", "你好。", "，"]),
        st.sampled_from(['"', ")", "I.", "1."]),
        st.sampled_from([" ", ". ", ", ", "! ", "? ", ": ", "; "]),
        st.text(alphabet="abc .,!?:;-", max_size=40),
    ),
    max_size=30,
).map("".join)


@given(texts, st.data())
def test_how_the_text_arrives_changes_nothing(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    cutter = Clauses()
    clauses: list[str] = []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        clauses += cutter.push(text[start:end])
    assert clauses + cutter.flush() == clauses_of(text)


@given(texts)
def test_no_letter_is_lost_or_added(text: str) -> None:
    clauses = clauses_of(text)
    assert "".join("".join(clauses).split()) == "".join(text.split())
    assert all(clause and clause == clause.strip() for clause in clauses)


@given(st.lists(st.text(alphabet="abc.,!?:;'", min_size=1, max_size=12), max_size=40))
def test_joined_with_spaces_the_clauses_are_the_text(words: list[str]) -> None:
    text = " ".join(words)
    assert " ".join(clauses_of(text)) == text
