from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.provider import WordTime
from pipeline.upstream.captions import Caption, Captions


def test_once_all_is_here_words_share_the_sound_by_their_length() -> None:
    captions = Captions()
    captions.push("one two three ")
    captions.sound(1_300)
    captions.finish()
    assert captions.take(0) == Caption("one")
    assert captions.next_ms == 1_300 * 4 / 14
    assert captions.take(371) == Caption()
    assert captions.take(372) == Caption("two")
    assert captions.take(743) == Caption("three")
    assert captions.next_ms is None


def test_a_word_does_not_begin_before_the_sound_it_came_with() -> None:
    captions = Captions()
    captions.push("well ")
    captions.sound(900)
    captions.push("then ")
    assert captions.take(0) == Caption("well")
    assert captions.next_ms == 900


def test_ordinary_speech_is_assumed_while_more_is_to_come() -> None:
    captions = Captions()
    captions.push("well then ")
    captions.sound(100)
    captions.take(0)
    assert captions.next_ms == pytest.approx(5 / 15 * 1000)


def test_half_a_word_waits_for_its_other_half() -> None:
    captions = Captions()
    captions.push("hel")
    assert captions.next_ms is None
    captions.push("lo there")
    assert captions.take(0) == Caption("hello")
    captions.sound(1_000)
    captions.finish()
    assert captions.take(1_000) == Caption("there", (WordTime("there", -600),))


def test_words_that_come_after_their_sound_are_given_times_before_it() -> None:
    captions = Captions()
    captions.sound(800)
    captions.push("late words")
    captions.finish()
    assert captions.rest(800) == Caption("late words", (WordTime("late", -800), WordTime("words", -436)))


def test_the_last_of_the_sound_carries_all_that_is_left() -> None:
    captions = Captions()
    captions.push("one two three")
    captions.sound(3_000)
    assert captions.rest(0) == Caption("one two three")
    assert captions.rest(10) == Caption()


def test_scripts_without_spaces_end_words_at_their_marks() -> None:
    captions = Captions()
    captions.push("你好，再见。")
    captions.sound(600)
    captions.finish()
    assert captions.rest(0).text == "你好， 再见。"


@given(
    st.lists(st.one_of(st.text("ab c", max_size=6), st.integers(0, 400)), max_size=20),
    st.lists(st.integers(0, 500), max_size=10),
)
def test_however_it_comes_every_word_is_placed_once_and_in_order(made: list[str | int], steps: list[int]) -> None:
    captions, text, placed, at_ms = Captions(), "", [], 0.0
    for one in made:
        if isinstance(one, str):
            captions.push(one)
            text += one
        else:
            captions.sound(one)
        if steps:
            at_ms = min(captions.made_ms, at_ms + steps.pop())
            placed.append(captions.take(at_ms).text)
    placed.append(captions.rest(at_ms).text)
    assert " ".join(" ".join(placed).split()) == " ".join(text.split())
