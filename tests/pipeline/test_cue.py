"""When, while a caller speaks, an acknowledgement is considered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.backchannel import Backchannel
from pipeline.cue import PAUSE_MS, Cue, Verdict

RATE_HZ = 8_000
WINDOW_MS = 32
WINDOW = WINDOW_MS * RATE_HZ // 1000


def played(cue: Cue, ms: int, *, begins_ms: int = 0, is_said: bool = True) -> list[tuple[int, Verdict]]:
    """Voice from the beginning of a turn on: when, in milliseconds of the turn, came which verdict."""
    at = begins_ms * RATE_HZ // 1000
    cue.begin(at)
    told: list[tuple[int, Verdict]] = []
    for until in range(at + WINDOW, at + ms * RATE_HZ // 1000 + 1, WINDOW):
        verdict = cue.hear(until, 0.9)
        if verdict is not None:
            told.append(((until - at) * 1000 // RATE_HZ, verdict))
        if verdict == "consider" and is_said:
            cue.said(until)
    return told


@pytest.mark.proves("G3-backchannel-timing")
def test_the_first_is_considered_after_enough_speech_and_then_at_every_interval() -> None:
    cue = Cue(Backchannel(), RATE_HZ)
    assert played(cue, 2_500, is_said=False) == [(800, "consider"), (1_600, "consider"), (2_400, "consider")]


@pytest.mark.proves("G3-backchannel-timing")
def test_after_one_was_said_the_next_waits_for_the_gap() -> None:
    cue = Cue(Backchannel(eval_interval_ms=1_600), RATE_HZ)
    assert played(cue, 6_000) == [
        (800, "consider"),
        (2_400, "min_gap_not_elapsed"),
        (4_000, "min_gap_not_elapsed"),
        (5_600, "consider"),
    ]


def test_the_gap_reaches_into_the_next_turn() -> None:
    cue = Cue(Backchannel(), RATE_HZ)
    played(cue, 1_000)
    assert played(cue, 1_000, begins_ms=2_000) == [(800, "min_gap_not_elapsed")]
    assert played(cue, 1_000, begins_ms=8_000) == [(800, "consider")]


@pytest.mark.proves("G3-backchannel-timing")
def test_a_turn_has_no_more_than_its_number_and_says_so_once() -> None:
    cue = Cue(Backchannel(max_per_turn=2, min_gap_ms=0), RATE_HZ)
    assert played(cue, 10_000) == [(800, "consider"), (1_600, "consider"), (2_400, "max_per_turn_reached")]
    assert played(cue, 1_000, begins_ms=20_000) == [(800, "consider")]


@pytest.mark.proves("G3-backchannel-timing")
def test_where_a_pause_is_required_it_waits_for_one() -> None:
    cue = Cue(Backchannel(require_pause=True), RATE_HZ)
    assert played(cue, 3_000) == []
    ends = 3_000 * RATE_HZ // 1000 // WINDOW * WINDOW
    silent = range(ends + WINDOW, ends + 40 * WINDOW, WINDOW)
    (first, *_) = [until for until in silent if cue.hear(until, 0.1) == "consider"]
    assert first - ends == -(-PAUSE_MS // WINDOW_MS) * WINDOW


def test_a_short_word_and_a_long_silence_are_no_long_speech() -> None:
    cue = Cue(Backchannel(), RATE_HZ)
    assert played(cue, 640) == []
    assert [cue.hear(until, 0.1) for until in range(21 * WINDOW, 100 * WINDOW, WINDOW)] == [None] * 79


def test_while_one_is_considered_no_other_is_and_the_voice_is_still_followed() -> None:
    cue = Cue(Backchannel(require_pause=True, min_speech_ms=0), RATE_HZ)
    cue.begin(0)
    assert [cue.hear(at * WINDOW, 0.9, is_busy=True) for at in range(1, 30)] == [None] * 29
    assert cue.hear(30 * WINDOW, 0.1) is None, "the caller has drawn no breath yet"


def test_nothing_is_considered_before_or_after_a_turn() -> None:
    cue = Cue(Backchannel(min_speech_ms=0), RATE_HZ)
    assert cue.hear(WINDOW, 0.9) is None
    cue.begin(WINDOW)
    cue.end()
    assert cue.hear(100 * WINDOW, 0.9) is None


def test_other_settings_count_from_the_next_look_on() -> None:
    cue = Cue(Backchannel(), RATE_HZ)
    played(cue, 800)
    cue.follow(Backchannel(min_gap_ms=0))
    assert cue.hear(1_600 * RATE_HZ // 1000, 0.9) == "consider"


@pytest.mark.proves("G3-backchannel-timing")
@given(
    settings=st.builds(
        Backchannel,
        eval_interval_ms=st.integers(100, 3_000),
        min_speech_ms=st.integers(0, 3_000),
        min_gap_ms=st.integers(0, 6_000),
        max_per_turn=st.integers(0, 4),
        require_pause=st.booleans(),
    ),
    turns=st.lists(
        st.tuples(st.integers(0, 60), st.lists(st.tuples(st.booleans(), st.booleans()), max_size=200)), max_size=4
    ),
)
def test_whatever_the_caller_does_all_rules_hold(
    settings: Backchannel, turns: list[tuple[int, list[tuple[bool, bool]]]]
) -> None:
    cue, until, said_at = Cue(settings, RATE_HZ), 0, None
    for silence, windows in turns:
        until += silence * WINDOW
        begins, voice_until, considered_at, said, is_told = until, until, None, 0, False
        cue.begin(begins)
        for is_voice, is_said in windows:
            until += WINDOW
            voice_until = until if is_voice else voice_until
            verdict = cue.hear(until, 0.9 if is_voice else 0.1)
            if verdict is None:
                continue
            assert voice_until - begins >= settings.min_speech_ms * RATE_HZ // 1000
            if considered_at is not None:
                assert until - considered_at >= settings.eval_interval_ms * RATE_HZ // 1000
            considered_at = until
            assert not is_told, "once the number is reached, nothing more is told in this turn"
            is_told = verdict == "max_per_turn_reached"
            assert is_told == (said >= settings.max_per_turn)
            if verdict == "consider":
                assert not (settings.require_pause and is_voice)
                assert said_at is None or until - said_at >= settings.min_gap_ms * RATE_HZ // 1000
                if is_said:
                    cue.said(until)
                    said, said_at = said + 1, until
        cue.end()
