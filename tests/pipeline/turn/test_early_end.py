"""When an answer may be begun before the turn is over, and when that is taken back."""

from __future__ import annotations

from pipeline.turn.early_end import EARLY_MS, MOST_GUESSES, EarlyEnd, Guess

EARLY = EARLY_MS * 8


def test_a_short_silence_behind_known_words_is_a_guess_once() -> None:
    early = EarlyEnd(8_000)
    assert early.look(EARLY - 1, 0, "hello") is None
    assert early.look(EARLY, 0, "hello") is Guess.FINISHED
    assert early.look(EARLY + 100, 0, "Hello.") is None  # the same words


def test_without_words_or_voice_there_is_nothing_to_guess() -> None:
    early = EarlyEnd(8_000)
    assert early.look(9_000, 0, "...") is None
    assert early.look(9_000, None, "hello") is None


def test_the_voice_takes_a_guess_back_and_a_later_pause_makes_another() -> None:
    early = EarlyEnd(8_000)
    assert early.look(EARLY, 0, "I want") is Guess.FINISHED
    again = EARLY + 50
    assert early.look(again + 50, again, "I want") is Guess.GOES_ON
    assert early.look(again + 150, again, "I want") is None
    assert early.look(again + EARLY, again, "I want tea") is Guess.FINISHED


def test_other_words_in_the_same_pause_make_another_guess_but_not_for_ever() -> None:
    early = EarlyEnd(8_000)
    texts = ("one", "one two", "one two three", "one two three four")
    guesses = [early.look(2_000 + number, 0, text) for number, text in enumerate(texts)]
    assert guesses == [Guess.FINISHED] * MOST_GUESSES + [None]
    early.forget()
    assert early.look(9_000, 0, "five") is Guess.FINISHED


def test_a_hint_of_the_transcriber_needs_no_silence_and_can_be_taken_back() -> None:
    early = EarlyEnd(8_000)
    assert not early.take_back()
    assert early.look(10, 0, "hello", is_hinted=True) is Guess.FINISHED
    assert early.take_back()
    assert not early.take_back()
