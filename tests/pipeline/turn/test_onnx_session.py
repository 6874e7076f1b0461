from __future__ import annotations

import onnxruntime
import pytest

from pipeline.turn.onnx_session import onnx_session
from pipeline.turn.silero import model_path


def test_a_model_runs_on_one_thread_and_nobody_is_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    silenced: list[bool] = []
    monkeypatch.setattr(onnxruntime, "disable_telemetry_events", lambda: silenced.append(True))
    session = onnx_session(model_path())
    assert silenced == [True]
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert session.get_providers() == ["CPUExecutionProvider"]
