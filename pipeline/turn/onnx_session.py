"""An ONNX model, run on one thread that sleeps while it waits: the core belongs to the event loop beside it.

onnxruntime counts how it is used, and keeps a device id in the user's cache folder; it is told to leave that be.
"""

from __future__ import annotations

from pathlib import Path

import onnxruntime


def onnx_session(path: Path) -> onnxruntime.InferenceSession:
    """Raises whatever onnxruntime raises: a dozen classes without a base of their own."""
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
