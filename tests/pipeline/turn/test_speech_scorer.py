"""Scoring many calls: skipping, drift, early looks, failure of the model, slots."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from pipeline.turn.loudness import Loudness
from pipeline.turn.silero import Floats, Silero
from pipeline.turn.speech_scorer import (
    CALM_WINDOWS,
    FIRST_SLOTS,
    FORGET_AFTER_WINDOWS,
    LOOKS_TO_A_RISE,
    STILL_AFTER_WINDOWS,
    Counts,
    SpeechScorer,
)
from tests.pipeline.turn.clips import CLIPS, line, noise, voice_bounds

QUIET = noise(288, -60.0)[None]
LOUD = noise(288, -20.0)[None]


class Scripted:
    """A model that says what it is told to, and whose memory counts the windows that went into it."""

    def __init__(self, probability: float = 0.0) -> None:
        self.probability = probability
        self.fails = False

    def score(self, sound: Floats, state: Floats, rate_hz: int) -> tuple[Floats, Floats]:
        if self.fails:
            raise RuntimeError("no model today")
        return np.full(len(sound), self.probability, dtype=np.float32), state + 1


@pytest.fixture(scope="module")
def silero() -> Silero:
    return Silero.load()


def one_call(model: Scripted) -> tuple[SpeechScorer, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    scorer = SpeechScorer(model, Counts())
    return scorer, np.array([scorer.admit()])


def windows_of(sound: Floats) -> list[Floats]:
    """Each window with its context in front; silence came before the first."""
    whole = np.concatenate((np.zeros(32, dtype=np.float32), sound))
    return [whole[start : start + 288] for start in range(0, sound.size - 255, 256)]


def probabilities(silero: Silero, sound: Floats) -> Floats:
    scorer = SpeechScorer(silero, Counts())
    slots = np.array([scorer.admit()])
    return np.array([scorer.score(slots, window[None], 8_000).probability[0] for window in windows_of(sound)])


def test_calls_scored_together_get_what_they_get_alone(silero: Silero) -> None:
    lines = [line(name, 4_000, 12_000, seed=seed)[:20_000] for seed, name in enumerate(CLIPS)]
    scorer = SpeechScorer(silero, Counts())
    slots = np.array([scorer.admit() for _ in lines])
    together = [
        scorer.score(slots, np.stack(rows), 8_000).probability
        for rows in zip(*(windows_of(sound) for sound in lines), strict=True)
    ]
    for row, sound in enumerate(lines):
        np.testing.assert_allclose(np.array(together)[:, row], probabilities(silero, sound), atol=1e-4)


@pytest.mark.parametrize("noise_db", [-60.0, -45.0])
@pytest.mark.parametrize("name", CLIPS)
def test_skipping_still_windows_delays_an_onset_by_one_window_at_most(
    silero: Silero, name: str, noise_db: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of 2,400 other onsets (20 phrases, two noises, any moment of the memory's cycle) 3 came later than that.
    for phase in range(0, 256, 64):
        sound = line(name, 24_000 + phase, 8_000, noise_db)
        skipping = probabilities(silero, sound)
        with monkeypatch.context() as patched:
            patched.setattr(Loudness, "is_still", lambda self, slots, heard: np.zeros(len(slots), dtype=bool))
            inferring = probabilities(silero, sound)
        assert skipping.max() >= 0.5
        assert int(np.argmax(skipping >= 0.5)) <= int(np.argmax(inferring >= 0.5)) + 1
        assert np.count_nonzero(skipping == 0.0) > 40


def test_the_end_of_sound_is_known_to_a_block(silero: Silero) -> None:
    for name in CLIPS:
        sound = line(name, 8_000, 4_000)
        scorer = SpeechScorer(silero, Counts())
        slots = np.array([scorer.admit()])
        until = [int(scorer.score(slots, row[None], 8_000).loud_until[0]) for row in windows_of(sound)]
        assert until == sorted(until)
        assert abs(until[-1] - 8_000 - voice_bounds(name)[1]) <= 2 * 64


def test_quiet_windows_are_inferred_until_the_call_is_calm_and_a_loud_one_always() -> None:
    scorer, slots = one_call(Scripted())
    for _ in range(STILL_AFTER_WINDOWS + 5):
        scorer.score(slots, QUIET, 8_000)
    assert scorer.counts.inferred == STILL_AFTER_WINDOWS
    scorer.score(slots, LOUD, 8_000)
    assert scorer.counts.inferred == STILL_AFTER_WINDOWS + 1
    assert scorer.counts.windows == STILL_AFTER_WINDOWS + 6


def test_a_word_that_begins_in_the_last_8_ms_is_inferred() -> None:
    scorer, slots = one_call(Scripted())
    for _ in range(STILL_AFTER_WINDOWS):
        scorer.score(slots, QUIET, 8_000)
    scorer.score(slots, np.concatenate((QUIET[:, :224], 3 * QUIET[:, 224:]), axis=1), 8_000)
    assert scorer.counts.inferred == STILL_AFTER_WINDOWS + 1


def test_the_memory_is_cleared_against_drift_after_two_seconds_without_speech() -> None:
    model = Scripted()
    scorer, slots = one_call(model)
    for _ in range(FORGET_AFTER_WINDOWS - 1):
        scorer.score(slots, LOUD, 8_000)
    assert scorer.counts.forgotten == 0
    scorer.score(slots, LOUD, 8_000)
    assert scorer.counts.forgotten == 1
    assert not scorer._state[:, slots].any()


def test_the_memory_is_kept_while_somebody_speaks_and_cleared_in_the_pause() -> None:
    model = Scripted(0.9)
    scorer, slots = one_call(model)
    for _ in range(2 * FORGET_AFTER_WINDOWS):
        scorer.score(slots, LOUD, 8_000)
    assert scorer._state[0, slots[0], 0] == 2 * FORGET_AFTER_WINDOWS
    model.probability = 0.0
    for _ in range(CALM_WINDOWS):
        scorer.score(slots, LOUD, 8_000)
    assert scorer.counts.forgotten == 1


def test_a_look_reports_a_place_between_windows_and_leaves_the_memory_alone() -> None:
    model = Scripted(0.4)
    scorer, slots = one_call(model)
    scorer.score(slots, QUIET, 8_000)
    before = scorer._state.copy()
    found = scorer.look(slots, LOUD, np.array([96]), 8_000)
    assert found is not None
    assert (found.ends.tolist(), found.loud_until.tolist()) == ([352], [352])
    assert found.probability[0] == pytest.approx(0.4)
    np.testing.assert_array_equal(scorer._state, before)
    assert scorer.score(slots, LOUD, 8_000).ends.tolist() == [512]


def test_looks_are_rationed_to_a_rise_and_granted_again_after_quiet() -> None:
    scorer, slots = one_call(Scripted(0.2))
    for left in reversed(range(LOOKS_TO_A_RISE)):
        found = scorer.look(slots, LOUD, np.array([96]), 8_000)
        assert found is not None
        assert found.may_look.tolist() == [left > 0]
    assert scorer.score(slots, LOUD, 8_000).may_look.tolist() == [False]
    allowed = [bool(scorer.score(slots, QUIET, 8_000).may_look[0]) for _ in range(3)]
    assert allowed == [False, False, True]


def test_no_look_is_wanted_where_speech_is_known() -> None:
    scorer, slots = one_call(Scripted(0.9))
    assert scorer.score(slots, LOUD, 8_000).may_look.tolist() == [False]


def test_a_look_is_worth_it_only_where_the_newest_sound_is_loud() -> None:
    scorer, _ = one_call(Scripted())
    slots = np.array([0, scorer.admit()])
    newest = np.concatenate((QUIET[:, :128], LOUD[:, :128]))
    assert scorer.stirs(slots, newest).tolist() == [False, True]


def test_without_the_model_loud_windows_count_as_speech_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = Scripted(0.2)
    scorer, slots = one_call(model)
    model.fails = True
    with caplog.at_level(logging.ERROR):
        scores = [float(scorer.score(slots, sound, 8_000).probability[0]) for sound in (LOUD, QUIET, LOUD)]
        assert scorer.look(slots, LOUD, np.array([96]), 8_000) is None
    assert scores == [1.0, 0.0, 1.0]
    assert scorer.counts.scored_by_level == 3
    assert scorer.counts.inferred == 0
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    model.fails = False
    assert scorer.score(slots, LOUD, 8_000).probability[0] == pytest.approx(0.2)


def test_slots_are_used_again_and_begin_blank() -> None:
    model = Scripted(0.9)
    scorer, slots = one_call(model)
    scorer.score(slots, LOUD, 8_000)
    scorer.release(int(slots[0]))
    assert scorer.admit() == slots[0]
    assert not scorer._state[:, slots].any()
    model.probability = 0.1
    scores = scorer.score(slots, QUIET, 8_000)
    assert (scores.ends.tolist(), scores.loud_until.tolist()) == ([256], [0])


def test_more_calls_than_slots_keep_what_was_learned_of_the_first() -> None:
    scorer, slots = one_call(Scripted(0.5))
    scorer.score(slots, LOUD, 8_000)
    others = [scorer.admit() for _ in range(3 * FIRST_SLOTS)]
    assert len({*others, int(slots[0])}) == 3 * FIRST_SLOTS + 1
    scores = scorer.score(np.array([slots[0], others[-1]]), np.concatenate((QUIET, QUIET)), 8_000)
    assert scores.ends.tolist() == [512, 256]
    assert scores.loud_until.tolist() == [256, 0]


def test_skipped_sound_moves_the_position_and_clears_the_memory() -> None:
    scorer, slots = one_call(Scripted(0.5))
    scorer.score(slots, LOUD, 8_000)
    scorer.skip(int(slots[0]), 1_000)
    assert not scorer._state[:, slots].any()
    assert scorer.score(slots, QUIET, 8_000).ends.tolist() == [1_512]
