"""When speech without words is asked about."""

from __future__ import annotations

from pipeline.turn.misheard import LEAST_SPEECH_MS, Misheard


def test_long_speech_without_words_is_asked_about_once_in_a_row() -> None:
    misheard = Misheard()
    asked = [misheard.is_to_be_asked("", LEAST_SPEECH_MS) for _ in range(3)]
    assert asked == [True, False, False]
    assert not misheard.is_to_be_asked("hello", LEAST_SPEECH_MS)
    assert misheard.is_to_be_asked("", LEAST_SPEECH_MS)


def test_a_cough_is_not_asked_about() -> None:
    assert not Misheard().is_to_be_asked("", LEAST_SPEECH_MS - 1)
