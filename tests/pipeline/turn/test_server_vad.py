"""Where turns begin and end. One sample is one millisecond here, and a window 32 of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.events.config import ServerVad
from pipeline.reports import SpeechScored
from pipeline.turn.server_vad import HYSTERESIS, LONGEST_HANGOVER_MS, ServerVadTurns, SpeechBegan, SpeechEnded

RULE = ServerVad(threshold=0.5, silence_duration_ms=200)
RATE_HZ = 1_000


def test_a_turn_begins_where_the_first_window_of_speech_begins() -> None:
    turns = ServerVadTurns(RULE, RATE_HZ)
    assert turns.judge(SpeechScored(32, 0.49, 0)) is None
    assert not turns.is_speaking
    assert turns.judge(SpeechScored(64, 0.5, 64)) == SpeechBegan(start=32)
    assert turns.is_speaking


def test_a_turn_ends_after_a_silence_counted_from_the_last_sound_inside_speech() -> None:
    turns = ServerVadTurns(RULE, RATE_HZ)
    turns.judge(SpeechScored(32, 0.9, 32))
    # The model still says speech, the level says the voice ended at 40.
    assert turns.judge(SpeechScored(64, 0.9, 40)) is None
    assert turns.judge(SpeechScored(96, 0.9, 40)) is None
    assert turns.judge(SpeechScored(239, 0.1, 40)) is None
    assert turns.judge(SpeechScored(240, 0.1, 40)) == SpeechEnded(voice_end=40)
    assert not turns.is_speaking


def test_sound_that_is_no_speech_does_not_hold_a_turn_open() -> None:
    turns = ServerVadTurns(RULE, RATE_HZ)
    turns.judge(SpeechScored(32, 0.9, 32))
    assert turns.judge(SpeechScored(231, 0.1, 231)) is None
    assert turns.judge(SpeechScored(232, 0.1, 232)) == SpeechEnded(voice_end=32)


@pytest.mark.parametrize(("probability", "goes_on"), [(0.5 - HYSTERESIS, True), (0.5 - HYSTERESIS - 0.01, False)])
def test_speech_under_way_goes_on_a_little_below_the_threshold(probability: float, goes_on: bool) -> None:
    turns = ServerVadTurns(RULE, RATE_HZ)
    turns.judge(SpeechScored(32, 0.9, 32))
    turns.judge(SpeechScored(200, probability, 200))
    assert (turns.judge(SpeechScored(232, 0.1, 200)) is None) == goes_on


def test_a_voice_too_soft_for_the_level_is_believed_to_the_model() -> None:
    turns = ServerVadTurns(RULE, RATE_HZ)
    turns.judge(SpeechScored(32, 0.9, 32))
    assert turns.judge(SpeechScored(1_000, 0.9, 32)) is None
    ends = 1_000 - LONGEST_HANGOVER_MS + RULE.silence_duration_ms
    assert turns.judge(SpeechScored(ends - 1, 0.1, 32)) is None
    assert turns.judge(SpeechScored(ends, 0.1, 32)) == SpeechEnded(voice_end=1_000 - LONGEST_HANGOVER_MS)


def test_a_turn_that_was_committed_by_other_means_is_forgotten() -> None:
    turns = ServerVadTurns(RULE, RATE_HZ)
    turns.judge(SpeechScored(32, 0.9, 32))
    turns.reset()
    assert not turns.is_speaking
    assert turns.judge(SpeechScored(500, 0.1, 32)) is None
    assert turns.judge(SpeechScored(532, 0.9, 532)) == SpeechBegan(start=500)


def test_a_rule_may_take_over_while_somebody_speaks() -> None:
    turns = ServerVadTurns(RULE, RATE_HZ, spoken_until=1_000)
    assert turns.is_speaking
    assert turns.judge(SpeechScored(1_199, 0.1, 0)) is None
    assert turns.judge(SpeechScored(1_200, 0.1, 0)) == SpeechEnded(voice_end=1_000)


windows = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 32)), max_size=60)


@given(windows, st.integers(0, 400))
@settings(derandomize=True, max_examples=200)
def test_turns_begin_and_end_in_turn_and_never_before_the_silence(
    windows: list[tuple[float, int]], silence_ms: int
) -> None:
    turns = ServerVadTurns(ServerVad(silence_duration_ms=silence_ms), RATE_HZ)
    begun: int | None = None
    loud_until = 0
    for number, (probability, loud) in enumerate(windows):
        end = (number + 1) * 32
        loud_until = max(loud_until, end - 32 + loud)
        boundary = turns.judge(SpeechScored(end, probability, loud_until))
        match boundary:
            case SpeechBegan(start=start):
                assert begun is None
                assert start == end - 32
                begun = start
            case SpeechEnded(voice_end=voice_end):
                assert begun is not None
                assert begun <= voice_end <= end - silence_ms
                begun = None
        assert turns.is_speaking == (begun is not None)


@pytest.mark.parametrize(
    ("heard", "is_over"),
    [(231, False), (232, True), (240, True), (257, False)],
    ids=["too short", "long enough", "between two windows", "the scores are late"],
)
def test_a_silence_may_be_long_enough_between_two_windows(heard: int, is_over: bool) -> None:
    turns = ServerVadTurns(RULE, RATE_HZ)
    turns.judge(SpeechScored(32, 0.9, 32))
    turns.judge(SpeechScored(192, 0.1, 32))
    assert turns.is_over(heard) == is_over
    assert turns.end() == SpeechEnded(voice_end=32)
    assert not turns.is_over(heard)
    assert turns.end() is None
