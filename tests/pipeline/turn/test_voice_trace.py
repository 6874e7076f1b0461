"""Where the voice was last heard. One sample is one millisecond here. More of it in `test_server_vad.py`."""

from __future__ import annotations

import pytest

from pipeline.reports import SpeechScored
from pipeline.turn.voice_trace import (
    HYSTERESIS,
    LONGEST_HANGOVER_MS,
    TRUSTED_MS,
    SpeechBegan,
    SpeechEnded,
    VoiceTrace,
)


def test_a_voice_begins_where_its_first_window_begins_and_is_followed_by_its_level() -> None:
    trace = VoiceTrace(0.5, 1_000)
    assert trace.follow(SpeechScored(32, 0.49, 0)) is None
    assert trace.voice_end is None
    assert trace.follow(SpeechScored(64, 0.5, 64)) == SpeechBegan(start=32)
    assert trace.follow(SpeechScored(96, 0.9, 70)) is None
    assert trace.voice_end == 70


@pytest.mark.parametrize(("probability", "voice_end"), [(0.5 - HYSTERESIS, 64), (0.5 - HYSTERESIS - 0.01, 32)])
def test_a_voice_goes_on_a_little_below_the_threshold(probability: float, voice_end: int) -> None:
    trace = VoiceTrace(0.5, 1_000)
    trace.follow(SpeechScored(32, 0.9, 32))
    trace.follow(SpeechScored(64, probability, 64))
    assert trace.voice_end == voice_end


def test_a_voice_too_soft_for_the_level_is_believed_to_the_model() -> None:
    trace = VoiceTrace(0.5, 1_000)
    trace.follow(SpeechScored(32, 0.9, 32))
    trace.follow(SpeechScored(1_000, 0.9, 32))
    assert trace.voice_end == 1_000 - LONGEST_HANGOVER_MS


def test_scores_that_lag_behind_the_sound_are_not_current() -> None:
    trace = VoiceTrace(0.5, 1_000)
    trace.follow(SpeechScored(32, 0.1, 0))
    assert trace.is_current(32 + TRUSTED_MS)
    assert not trace.is_current(32 + TRUSTED_MS + 1)


def test_an_end_is_told_once_and_a_reset_not_at_all() -> None:
    trace = VoiceTrace(0.5, 1_000, spoken_until=500)
    assert (trace.end(), trace.end()) == (SpeechEnded(voice_end=500), None)
    trace.follow(SpeechScored(600, 0.9, 600))
    trace.reset()
    assert trace.end() is None
