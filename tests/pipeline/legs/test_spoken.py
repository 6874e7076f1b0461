"""What an attempt has sounded, to the word."""

from __future__ import annotations

import pytest

from pipeline.legs.spoken import Spoken
from pipeline.provider import Speech, WordTime

RATE_HZ = 8_000
WORDS = "one two three four".split()
TIMES = tuple(WordTime(word, at * 500) for at, word in enumerate(WORDS))


def spoken(*pieces: Speech, begins: int = 0, speed: float = 1.0) -> Spoken:
    record = Spoken(begins, RATE_HZ, speed)
    for piece in pieces:
        record.made(piece, len(piece.audio))
    return record


def sound(seconds: float, text: str = "", words: tuple[WordTime, ...] = ()) -> Speech:
    return Speech(b"\x20" * int(seconds * RATE_HZ), text, words)


@pytest.mark.parametrize(
    ("seconds", "place"), [(0.0, 0), (0.4, 0), (0.5, 1), (1.6, 3), (1.7, 3), (1.8, 4), (9.0, 4)]
)
def test_times_of_words_are_believed(seconds: float, place: int) -> None:
    """The last one is over after its letters' time."""
    assert spoken(sound(seconds, "one two three four", TIMES)).place(WORDS) == place


@pytest.mark.parametrize(("seconds", "place"), [(0.1, 0), (0.2, 1), (0.5, 2), (1.2, 4)])
def test_without_times_words_are_taken_in_proportion(seconds: float, place: int) -> None:
    assert spoken(sound(seconds, "one two three four")).place(WORDS) == place


@pytest.mark.parametrize(("seconds", "place"), [(0.1, 0), (0.3, 1), (9.0, 4)])
def test_sound_that_nobody_announced_is_taken_at_an_ordinary_pace(seconds: float, place: int) -> None:
    assert spoken(sound(seconds)).place(WORDS) == place


def test_an_attempt_counts_from_where_it_began() -> None:
    record = spoken(sound(9.0, "three"), begins=2)
    assert (record.told, record.place(WORDS)) == (3, 3)


def test_whoever_asks_for_more_after_it_announced_all_has_said_all() -> None:
    record = spoken(sound(0.3, "one two"))
    assert record.asked_for_more(2) and record.place(WORDS) == 2
    assert not record.asked_for_more(4), "it asks ahead"
    record.made(Speech(b"", "three four"), 0)
    assert not record.asked_for_more(4), "the sound is still to come"
    assert record.place(WORDS) == 2


def test_whoever_asks_for_more_too_soon_has_not_said_all() -> None:
    record = spoken(sound(0.01, "one two"))
    assert not record.asked_for_more(2) and record.place(WORDS) == 0


def test_whoever_asks_for_more_after_too_little_sound_may_be_through_but_has_not_said_all() -> None:
    record = spoken(sound(0.2, "one two three four"))
    assert record.asked_for_more(4) and record.place(WORDS) == 1


def test_whoever_makes_more_sound_of_what_it_seemed_through_with_asks_ahead() -> None:
    record = spoken(sound(0.7, "one two three four"))
    assert record.asked_for_more(4) and record.place(WORDS) == 4
    record.made(sound(0.1), RATE_HZ // 10)
    assert not record.asked_for_more(4)
    assert record.place(WORDS) == 2


def test_a_clean_end_with_too_little_sound_breaks_off() -> None:
    assert spoken(sound(0.1, "one two three four")).breaks_off
    assert not spoken(sound(0.6, "one two three four")).breaks_off
    assert not spoken(sound(0.6), Speech(b"", "one two three four")).breaks_off, "its sound came before"


def test_a_quicker_voice_needs_less_sound() -> None:
    assert not spoken(sound(0.5), speed=1.0).may_be_all(WORDS)
    assert spoken(sound(0.5), speed=1.5).may_be_all(WORDS)


def test_words_without_sound_are_passed_over() -> None:
    record = spoken(sound(1.0, "one"))
    record.skip_to(3)
    record.skip_to(2)
    assert (record.told, record.has_sound) == (3, True)
