"""Words as they were told, with the times a service reports in its own spelling."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.provider import WordTime
from pipeline.providers.spoken_words import LOOK_AHEAD_WORDS, SpokenWords


def told(*clauses: str) -> SpokenWords:
    words = SpokenWords()
    for clause in clauses:
        words.tell(clause)
    return words


def timed(words: SpokenWords, *pieces: tuple[str, int]) -> list[tuple[str, int]]:
    return [(word.text, word.start_ms) for piece, ms in pieces for word in words.time(piece, ms)]


def test_words_keep_the_spelling_they_were_told_in() -> None:
    words = told("Hello, Anna!", "How are you?")

    assert timed(words, ("hello", 0), ("anna", 300), ("How", 600), ("are", 700)) == [
        ("Hello,", 0),
        ("Anna!", 300),
        ("How", 600),
        ("are", 700),
    ]


def test_a_word_reported_in_pieces_begins_with_the_first() -> None:
    words = told("At 9:30 sharp.")

    assert timed(words, ("At", 0), ("9", 200), ("30", 500), ("sharp", 900)) == [
        ("At", 0),
        ("9:30", 200),
        ("sharp.", 900),
    ]


def test_words_reported_as_one_begin_together() -> None:
    assert timed(told("most of the day"), ("most", 0), ("ofthe", 200), ("day", 500)) == [
        ("most", 0),
        ("of", 200),
        ("the", 200),
        ("day", 500),
    ]


def test_what_is_pronounced_in_another_way_takes_the_time_of_the_next_word_that_is_known() -> None:
    words = told("It costs $5 today.")

    assert timed(words, ("It", 0), ("costs", 200), ("five", 400), ("dollars", 600), ("today", 900)) == [
        ("It", 0),
        ("costs", 200),
        ("$5", 900),
        ("today.", 900),
    ]


def test_a_word_whose_end_is_spelled_otherwise_is_not_waited_for() -> None:
    words = told("colour is nice")

    assert timed(words, ("col", 0), ("ors", 100), ("is", 300)) == [("colour", 0), ("is", 300)]


def test_a_dash_comes_with_the_word_behind_it() -> None:
    assert timed(told("Yes - please"), ("Yes", 0), ("-", 150), ("please", 300)) == [
        ("Yes", 0),
        ("-", 300),
        ("please", 300),
    ]


def test_a_word_too_far_ahead_is_another_one() -> None:
    words = told("a " + "b " * LOOK_AHEAD_WORDS + "end")

    assert timed(words, ("end", 100)) == []
    assert timed(told("one"), ("two", 0), ("three", 5)) == []


def test_times_never_go_back() -> None:
    assert timed(told("one two"), ("one", 500), ("two", 300)) == [("one", 500), ("two", 500)]


def test_words_without_times_are_spread_over_the_sound_behind_the_last_known_one() -> None:
    words = told("four eight xx")
    words.time("four", 0)

    assert words.spread(1_100) == [WordTime("eight", 400), WordTime("xx", 900)]
    assert words.spread(1_200) == []


def test_only_the_clauses_that_are_over_are_spread() -> None:
    words = told("one two", "three")

    assert [word.text for word in words.spread(600, 1)] == ["one", "two"]
    assert [word.text for word in words.spread(600, 1)] == []
    assert [word.text for word in words.spread(600, 9)] == ["three"]


def test_what_is_spread_begins_before_the_sound_ends() -> None:
    words = told("one two")
    words.time("one", 900)

    assert words.spread(500) == [WordTime("two", 900)]
    assert told("alone").spread(0) == [WordTime("alone", 0)]


def test_only_letters_can_be_heard() -> None:
    assert not told("…", "—").can_be_heard
    assert told("…", "a").can_be_heard


@given(
    clauses=st.lists(st.text(alphabet="ab'9 -é你", max_size=12), max_size=5),
    pieces=st.lists(st.tuples(st.text(alphabet="ab9é你 ", max_size=5), st.integers(0, 3_000)), max_size=20),
    until_ms=st.integers(0, 3_000),
)
def test_every_word_comes_out_once_and_in_order(
    clauses: list[str], pieces: list[tuple[str, int]], until_ms: int
) -> None:
    words = told(*clauses)
    known = [word for piece, ms in pieces for word in words.time(piece, ms)] + words.spread(until_ms)

    assert [word.text for word in known] == " ".join(clauses).split()
    starts = [word.start_ms for word in known]
    assert starts == sorted(starts)
