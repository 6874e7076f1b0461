from __future__ import annotations

from simulator.standins.energy import FRAME_MS
from simulator.standins.subtitled_words import SubtitledWords
from simulator.subtitles import subtitle

TEXTS = {7: "one two three four"}


def hear(words: SubtitledWords, frames: int, *, is_voice: bool = False) -> int:
    """How often something new was understood."""
    return sum(words.hear(is_voice) for _ in range(frames))


def test_words_are_understood_once_their_subtitle_and_its_delay_have_passed() -> None:
    words = SubtitledWords(TEXTS, lag_ms=lambda text: 60.0 if text == TEXTS[7] else 0.0)
    words.listen(subtitle(7, 1))
    assert hear(words, 2, is_voice=True) == 0
    assert (hear(words, 1), words.text()) == (1, "one")
    words.listen(subtitle(7, 2))
    words.listen(subtitle(7, 3))
    assert (hear(words, 3), words.text(), words.text(1)) == (1, "one two three", "two three")
    assert (words.shown, words.is_half_way) == (3, True)


def test_at_the_end_everything_said_is_known_and_nothing_else() -> None:
    ended: list[str] = []
    words = SubtitledWords(TEXTS, lag_ms=lambda _: 1_000.0, ended=ended.append)
    words.listen(subtitle(7, 2))
    words.show_all()
    assert (words.text(), ended) == ("one two", ["one two"])
    assert [entry["word"] for entry in words.entries(1, 500)] == ["two"]


def test_voice_and_silence_are_counted() -> None:
    words = SubtitledWords(TEXTS)
    hear(words, 3, is_voice=True)
    hear(words, 2)
    assert (words.voice_ms, words.silence_ms) == (3 * FRAME_MS, 2 * FRAME_MS)
    hear(words, 1, is_voice=True)
    assert words.silence_ms == 0


def test_sound_without_subtitles_says_nothing() -> None:
    ended: list[str] = []
    words = SubtitledWords(TEXTS, ended=ended.append)
    words.listen(b"\xff" * 400)
    words.show_all()
    assert (words.text(), ended, words.shown) == ("", [""], 0)
