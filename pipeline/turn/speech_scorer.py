"""Scores of windows of many calls at once: which need the model, what it remembers of each, what it said.

All that is kept of a call is a row ("slot") of some arrays. Rows come and go, the arrays grow by doubling.
Nothing here knows of threads, queues, encodings or the clock; positions count the model's own samples.

Rules:
* **Still** windows (`loudness.py`) are not inferred once ten inferred windows in a row were below 0.1: their
  score is known, 0. What the model remembers stays as it was. Every other window is inferred.
* **Drift**: in steady noise the model grows deaf (after 180 s its first detection came 0.13 s later). After
  2 s of inference, once five windows in a row are below 0.1, it forgets.
* **Early look**: where sound has just risen above the floor and no speech is known yet, the newest 32 ms are scored
  between two windows, with a copy of the memory, so that a word need not wait for a window of its own. At most
  eight looks to a rise, and again only after 96 ms without a loud block.
* **Failure** of the model: a window of which half or more is loud has score 1, any other 0.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.turn.loudness import BLOCKS, Levels, Loudness, levels
from pipeline.turn.silero import CONTEXT_SAMPLES, STATE_SIZE, WINDOW_SAMPLES, Model

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

FIRST_SLOTS: Final = 64

CALM: Final = 0.1
CALM_WINDOWS: Final = 5
"""Below `CALM` in a row, before the memory may be cleared."""

STILL_AFTER_WINDOWS: Final = 10
"""Calm ones in a row, before still ones are skipped. After five the memory is too young: about one onset in a
hundred on a clean line came two or more windows late; after ten about one in a thousand still does."""
FORGET_AFTER_WINDOWS: Final = 62
"""Inferred since it last forgot: 2 s, as others do (pipecat resets its Silero by the same rule)."""

SPEECH: Final = 0.5
"""A call whose last window reached this needs no early look."""

LOOKS_TO_A_RISE: Final = 8
"""Frames of 20 ms: what has not become speech within 160 ms is a noise, and waits for its windows."""

REARM_WINDOWS: Final = 3

NEWEST_BLOCKS: Final = 2
"""How much of the newest sound tells whether a look is worth its cost: 16 ms."""


@dataclass(slots=True)
class Counts:
    """Since the beginning, over all calls."""

    windows: int = 0
    """Scored, by whatever rule."""
    inferred: int = 0
    looks: int = 0
    forgotten: int = 0
    """Times the model's memory of a call was cleared against drift."""
    scored_by_level: int = 0
    """Windows the model failed on."""
    dropped_windows: int = 0
    """Not scored at all, because the thread was overloaded."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One row a window."""

    ends: Integers
    probability: Floats
    loud_until: Integers
    may_look: Booleans
    """Whether an early look at what follows could tell something new."""


class SpeechScorer:
    """Not safe for two threads at once: it belongs to whoever made it."""

    def __init__(self, model: Model, counts: Counts) -> None:
        self.counts = counts
        self._model = model
        self._has_failed = False
        self._loudness = Loudness(FIRST_SLOTS)
        self._free = list(range(FIRST_SLOTS - 1, -1, -1))
        self._state: Floats = np.zeros((2, FIRST_SLOTS, STATE_SIZE), dtype=np.float32)
        # Integers by slot: samples heard; windows inferred since it forgot; calm ones of them in a row;
        # looks left; windows without a loud block in a row.
        self._heard, self._since, self._calm, self._looks, self._quiet = (
            np.zeros(FIRST_SLOTS, dtype=np.int64) for _ in range(5)
        )

    def admit(self) -> int:
        """A slot for a new call."""
        if not self._free:
            self._grow()
        slot = self._free.pop()
        self._loudness.clear(slot)
        self._heard[slot] = 0
        self._looks[slot] = LOOKS_TO_A_RISE
        self._forget(np.array([slot]))
        return slot

    def release(self, slot: int) -> None:
        """The call is over."""
        self._free.append(slot)

    def skip(self, slot: int, samples: int) -> None:
        """`samples` of the call go by unheard; what the model remembers no longer fits and is forgotten."""
        self._heard[slot] += samples
        self._forget(np.array([slot]))

    def _grow(self) -> None:
        slots = self._heard.size
        self._loudness.grow(slots)
        self._free = list(range(2 * slots - 1, slots - 1, -1))
        self._state = np.concatenate((self._state, np.zeros_like(self._state)), axis=1)
        self._heard, self._since, self._calm, self._looks, self._quiet = (
            np.concatenate((kept, np.zeros_like(kept)))
            for kept in (self._heard, self._since, self._calm, self._looks, self._quiet)
        )

    def _forget(self, slots: Integers) -> None:
        self._state[:, slots] = 0.0
        self._since[slots] = 0
        self._calm[slots] = 0

    def score(self, slots: Integers, sound: Floats, rate_hz: int) -> Scores:
        """The next window of each of `slots` (each at most once): `sound` [rows, context + window]."""
        window = WINDOW_SAMPLES[rate_hz]
        heard = levels(sound[:, CONTEXT_SAMPLES[rate_hz] :])
        self._heard[slots] += window
        ends = self._heard[slots]
        needed = np.flatnonzero(
            ~(self._loudness.is_still(slots, heard) & (self._calm[slots] >= STILL_AFTER_WINDOWS))
        )
        probability = np.zeros(len(slots), dtype=np.float32)
        if needed.size:
            probability[needed] = self._infer(slots[needed], sound, heard, needed, rate_hz)
        self._loudness.hear(slots, heard, probability)
        loud = self._loudness.loud_blocks(slots, heard)
        loud_until = self._loudness.mark(slots, loud, ends, window // BLOCKS)
        quiet = np.where(loud.any(axis=1), 0, self._quiet[slots] + 1)
        self._quiet[slots] = quiet
        self._looks[slots[quiet >= REARM_WINDOWS]] = LOOKS_TO_A_RISE
        self.counts.windows += len(slots)
        may_look = (probability < SPEECH) & (self._looks[slots] > 0)
        return Scores(ends, probability, loud_until, may_look)

    def _infer(
        self, slots: Integers, sound: Floats, heard: Levels, rows: npt.NDArray[np.intp], rate_hz: int
    ) -> Floats:
        """The model's word on some `rows`, which belong to `slots`; its memory of them moves on."""
        chosen = sound if rows.size == len(sound) else sound[rows]
        answer = self._ask(chosen, slots, rate_hz)
        if answer is None:
            self.counts.scored_by_level += rows.size
            loud = self._loudness.loud_blocks(slots, heard.only(rows))
            by_level: Floats = (loud.sum(axis=1) * 2 >= BLOCKS).astype(np.float32)
            return by_level
        probability, state = answer
        self._state[:, slots] = state
        self.counts.inferred += rows.size
        self._since[slots] += 1
        self._calm[slots] = np.where(probability < CALM, self._calm[slots] + 1, 0)
        drifting = (self._calm[slots] >= CALM_WINDOWS) & (self._since[slots] >= FORGET_AFTER_WINDOWS)
        if drifting.any():
            self._forget(slots[drifting])
            self.counts.forgotten += int(drifting.sum())
        return probability

    def _ask(self, sound: Floats, slots: Integers, rate_hz: int) -> tuple[Floats, Floats] | None:
        """None if the model failed. Calls go on without it, and the log says so once."""
        try:
            return self._model.score(sound, self._state.take(slots, axis=1), rate_hz)
        except Exception:
            if not self._has_failed:
                self._has_failed = True
                logger.exception(
                    "The speech model failed on %d windows; they are scored by their level. "
                    "Further failures are only counted (scored_by_level).",
                    len(slots),
                )
            return None

    def stirs(self, slots: Integers, newest: Floats) -> Booleans:
        """Whether the last 16 ms heard, `newest` [rows, samples], rise above the floor: a look may be worth it."""
        loud: Booleans = self._loudness.loud_blocks(slots, levels(newest, NEWEST_BLOCKS)).max(axis=1)
        return loud

    def look(self, slots: Integers, sound: Floats, beyond: Integers, rate_hz: int) -> Scores | None:
        """An early look at the newest context + window of each call, which ends `beyond` samples past its last
        window. What is remembered does not move on. None if the model failed."""
        context, window = CONTEXT_SAMPLES[rate_hz], WINDOW_SAMPLES[rate_hz]
        answer = self._ask(sound, slots, rate_hz)
        if answer is None:
            return None
        self.counts.looks += len(slots)
        self._looks[slots] -= 1
        ends = self._heard[slots] + beyond
        loud = self._loudness.loud_blocks(slots, levels(sound[:, context:]))
        loud_until = self._loudness.mark(slots, loud, ends, window // BLOCKS)
        may_look = (answer[0] < SPEECH) & (self._looks[slots] > 0)
        return Scores(ends, answer[0], loud_until, may_look)
