"""The end-of-turn model: it listens to an utterance up to a pause and says how complete it sounds.

smart-turn v3 (BSD-2-Clause, pipecat-ai) on onnxruntime, optional: without it `judge` answers None at once, and text
and silence decide alone. One instance serves all calls of a process with one thread. A judgement takes 50 to 150 ms
of a core, so few may wait for one, each has a deadline, and a call that gets none goes on without. What a judgement
means for the turn, `semantic_vad.py` knows.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from pipeline.audio.formats import PCM_16K, AudioFormat
from pipeline.audio.transcode import Transcoder
from pipeline.turn.log_mel import BANDS, SECONDS, STEPS, log_mel
from pipeline.turn.onnx_session import onnx_session
from pipeline.turn.silero import ModelMissing

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]

IN_WHEEL: Final = "pipecat"
"""Instead of a path: the model that an installed pipecat-ai brings along. The package itself is not imported."""

DEADLINE_S: Final = 0.25
"""A later judgement is about a pause that the text has decided already, or the voice has ended."""

MOST_PENDING: Final = 4
"""Judgements asked for and not given, the one under way included. A fifth would come after its deadline."""

_DISTRIBUTION: Final = "pipecat-ai"
_INPUT: Final = "input_features"


class TurnModel(Protocol):
    """What judges. `SmartTurn` in earnest, something scripted in tests."""

    def completeness(self, features: Floats) -> float:
        """`features` [80, 800] of the last eight seconds; how likely the turn is complete, 0 to 1."""
        ...


def model_path(model: str) -> Path:
    """The file meant by a path or by `IN_WHEEL`. Raises `ModelMissing`."""
    if model != IN_WHEEL:
        path = Path(model)
        if path.is_file():
            return path
        raise ModelMissing(
            f"End-of-turn model {model!r}: no such file. Give the path of a smart-turn v3 .onnx file, "
            f"{IN_WHEEL!r} to take it out of an installed {_DISTRIBUTION}, or nothing to do without."
        )
    try:
        files = importlib.metadata.files(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in sorted(files, key=str, reverse=True):  # the newest version first
        if file.match("smart_turn/data/smart-turn-v3*.onnx"):
            path = Path(str(file.locate()))
            if path.is_file():
                return path
    raise ModelMissing(
        f"No smart-turn v3 model in {_DISTRIBUTION}. Install it with: pip install --no-deps {_DISTRIBUTION}"
    )


class SmartTurn:
    """One session of the model. Its calls are to come from one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Takes about 50 ms. Raises `ModelMissing` for what is not such a model."""
        try:
            self._session = onnx_session(path)
        except Exception as error:  # onnxruntime has a dozen classes without a base of their own
            raise ModelMissing(f"{path} is no model that onnxruntime can load: {error}") from error
        takes = [(wanted.name, wanted.shape[1:]) for wanted in self._session.get_inputs()]
        if takes != [(_INPUT, [BANDS, STEPS])]:
            raise ModelMissing(
                f"{path} is no smart-turn v3 model: expected {_INPUT} [_, {BANDS}, {STEPS}], got {takes}"
            )

    def completeness(self, features: Floats) -> float:
        return float(self._session.run(None, {_INPUT: features[None]})[0].item())


@dataclass(slots=True)
class Counts:
    """Of all calls since the beginning."""

    asked: int = 0
    late: int = 0
    refused: int = 0
    """Too many were waiting."""
    failed: int = 0


class EndOfTurn:
    """The shared instance: `async with EndOfTurn(setting) as end_of_turn:`, then `judge` at each pause.

    Entering loads the model (raises `ModelMissing`); leaving waits for a judgement under way and drops the others.
    `judge` is for the loop that entered.
    """

    def __init__(self, model: str | TurnModel = "", *, deadline_s: float = DEADLINE_S) -> None:
        """`model`: a path, `IN_WHEEL`, or nothing to do without; a model itself in tests."""
        self.counts = Counts()
        self._wanted = model
        self._deadline_s = deadline_s
        self._model: TurnModel | None = None
        self._pending: set[Future[float | None]] = set()
        self._has_failed = False

    @property
    def is_there(self) -> bool:
        """Whether asking is of any use."""
        return self._model is not None

    async def __aenter__(self) -> Self:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="end-of-turn")
        if not isinstance(self._wanted, str):
            self._model = self._wanted
        elif self._wanted:
            self._model = await asyncio.to_thread(_load, self._wanted)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._model = None
        await asyncio.to_thread(self._pool.shutdown)

    async def judge(self, audio: bytes, format: AudioFormat) -> float | None:
        """How complete the turn sounds whose newest sound is `audio`, 0 to 1.

        None without a model, past the deadline, when too many wait already, and when the model fails.
        """
        if self._model is None:
            return None
        self.counts.asked += 1
        self._pending = {future for future in self._pending if not future.done()}
        if len(self._pending) >= MOST_PENDING:
            self.counts.refused += 1
            return None
        future = self._pool.submit(self._judge, audio, format)
        self._pending.add(future)
        try:
            # Past the deadline, what has not begun is never begun; what has is let go, and counts as pending.
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            self.counts.late += 1
            return None

    # What follows runs in the thread.

    def _judge(self, audio: bytes, format: AudioFormat) -> float | None:
        model = self._model
        if model is None:
            return None  # left meanwhile
        try:
            completeness = model.completeness(log_mel(b"".join(_at_16k(audio, format))))
            if not 0.0 <= completeness <= 1.0:
                raise ValueError(f"expected 0 to 1 from the model, got {completeness}")
        except Exception:
            self.counts.failed += 1
            if not self._has_failed:
                self._has_failed = True
                logger.exception(
                    "The end-of-turn model failed; calls go on without. Further failures are only counted."
                )
            return None
        return completeness


def _at_16k(audio: bytes, format: AudioFormat) -> Iterator[bytes]:
    """The last eight seconds of `audio`. Resampled by the second, so that the event loop is let in between."""
    whole = format.samples_in(audio) * format.encoding.bytes_per_sample
    newest = audio[max(0, whole - SECONDS * format.bytes_per_second) : whole]
    transcoder = Transcoder(format, PCM_16K)
    for begin in range(0, len(newest), format.bytes_per_second):
        yield transcoder.push(newest[begin : begin + format.bytes_per_second])
    yield transcoder.flush()


def _load(model: str) -> TurnModel:
    loaded = SmartTurn(model_path(model))
    # The first judgement takes several times as long as the others.
    loaded.completeness(log_mel(b""))
    return loaded
