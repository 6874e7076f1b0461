from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator.standins.deepgram_words import WORD_MS, ScriptedWords
from simulator.standins.energy import FRAME_MS

FRAMES_A_WORD = WORD_MS // FRAME_MS


def test_a_word_comes_with_every_word_of_voice() -> None:
    words = ScriptedWords("one two")
    news = [words.hear(True) for _ in range(3 * FRAMES_A_WORD)]
    assert [at for at, is_news in enumerate(news) if is_news] == [FRAMES_A_WORD - 1, 2 * FRAMES_A_WORD - 1]
    assert words.text() == "one two"


@given(st.lists(st.booleans()), st.lists(st.text("ab", min_size=1), max_size=5).map(" ".join))
def test_all_of_it_was_said_if_there_was_any_voice(frames: list[bool], script: str) -> None:
    words = ScriptedWords(script)
    for is_voice in frames:
        words.hear(is_voice)
    assert script.startswith(words.text())
    words.show_all()
    assert words.text() == (script if any(frames) else "")
    assert words.voice_ms == frames.count(True) * FRAME_MS


def test_silence_is_counted_from_the_last_voice() -> None:
    words = ScriptedWords("one")
    for is_voice in (False, True, False, False):
        words.hear(is_voice)
    assert words.silence_ms == 2 * FRAME_MS


def test_words_have_times_in_seconds() -> None:
    words = ScriptedWords("one two")
    words.hear(True)
    words.show_all()
    assert words.entries(1, 1_000) == [{"word": "two", "start": 1.2, "end": 1.4, "confidence": 0.99}]


def test_half_way_is_half_of_the_words() -> None:
    words = ScriptedWords("one two three four")
    was_half_way = [words.is_half_way for _ in range(3 * FRAMES_A_WORD) if words.hear(True)]
    assert was_half_way == [False, True, True]


def test_a_script_may_be_empty() -> None:
    assert (ScriptedWords("one").is_empty, ScriptedWords(" ").is_empty) == (False, True)
