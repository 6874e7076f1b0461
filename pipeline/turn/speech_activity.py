"""Speech activity: every call's sound goes in as it comes, scores come out on the event loop, window by window.

One instance serves all calls of a process, in one thread of its own: the model costs a third per window when the
windows of many calls go through it together. The event loop only appends bytes (`Ear.hear`) and gets the scores of
a whole batch in one callback. How windows are scored, `speech_scorer.py` knows; what a score means for the turn,
neither does.

A round scores one window of each waiting call, so a client that sends a minute at once delays nobody. When the
thread falls behind the clock (`LATE_S`), calls more than `MOST_WINDOWS_BEHIND` windows behind lose all but the
newest; when it does not come round at all, `Ear.hear` refuses sound. Both are counted in `dropped_windows`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Self

import numpy as np

from pipeline.audio.formats import AudioFormat
from pipeline.reports import SpeechScored
from pipeline.turn.ear import NO_SLOT, Ear, Reading
from pipeline.turn.loudness import BLOCKS
from pipeline.turn.silero import Model, Silero
from pipeline.turn.speech_scorer import NEWEST_BLOCKS, Counts, Scores, SpeechScorer

__all__ = ["Ear", "SpeechActivity"]

logger = logging.getLogger(__name__)

TICK_S: Final = 0.008
"""Rounds begin at least this far apart; the first after a rest begins at once. At 300 calls a tick gathers 75
windows; the model sees about half. Batching has then given nearly all it can, and delay grows with the tick."""

WINDOW_S: Final = 0.032

MOST_WINDOWS_BEHIND: Final = 8
"""A quarter of a second: the verdict on older sound is of no use to a live call."""

LATE_S: Final = MOST_WINDOWS_BEHIND * WINDOW_S
"""A round that lasts longer than a window adds its excess, a shorter one takes off what it left. From this sum on
the thread is overloaded. A burst of one client alone never gets there."""

LOOK_WORTH_TELLING: Final = 0.3
"""Less likely speech than this between two windows is no news; the window will tell."""

Told = tuple[Ear, int, float, int]
"""Whom, and what `Ear.tell` takes."""


def _tell(scores: list[Told]) -> None:
    for ear, end, probability, loud_until in scores:
        ear.tell(end, probability, loud_until)


class SpeechActivity:
    """The shared instance: `async with SpeechActivity() as activity:`, then `activity.open(…)` for each call.

    Entering loads the model (raises `ModelMissing`) and starts the thread; leaving ends it, and ears left open
    hear nothing more. `open` and the ears' methods are for the loop that entered.
    """

    def __init__(self, model: Model | None = None, *, early_look: bool = True) -> None:
        """`model` is Silero from its wheel unless given. `early_look`: see `speech_scorer.py`."""
        self._model = model
        self._early_look = early_look
        self._queue: SimpleQueue[Ear | None] = SimpleQueue()
        self._late_s = 0.0
        self.counts = Counts()
        """Of all calls since the beginning. The thread writes them; they may be read at any time."""

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        model = self._model if self._model is not None else await asyncio.to_thread(Silero.load)
        self._scorer = SpeechScorer(model, self.counts)
        self._thread = threading.Thread(target=self._run, name="speech-activity", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def open(self, format: AudioFormat, report: Callable[[SpeechScored], None]) -> Ear:
        """`report` is called on the event loop, in order, for every window; positions are in samples of `format`.

        Where an early look finds speech before its window is full, it is reported as well, with an `end` between
        those of the windows. Raises `ValueError` for G.711 at another rate than 8 kHz.
        """
        return Ear(format, report, self._queue)

    # What follows runs in the thread.

    def _run(self) -> None:
        while True:
            waiting = [self._queue.get()]
            began = time.monotonic()
            waiting += [self._queue.get() for _ in range(self._queue.qsize())]
            ears = [ear for ear in dict.fromkeys(waiting) if ear is not None]
            if None in waiting:
                return
            try:
                is_more = self._round(ears)
            except Exception:
                logger.exception("A round of speech scores was lost")
                is_more = False
            spent_s = time.monotonic() - began
            self._note_round(spent_s)
            if not is_more and spent_s < TICK_S:
                time.sleep(TICK_S - spent_s)

    def _note_round(self, spent_s: float) -> None:
        """A round that was overloaded has shed its load: the sum begins anew."""
        self._late_s = 0.0 if self._is_overloaded else max(0.0, self._late_s + spent_s - WINDOW_S)

    @property
    def _is_overloaded(self) -> bool:
        return self._late_s >= LATE_S

    def _round(self, ears: list[Ear]) -> bool:
        """One window, or else one early look, of each of `ears`, no two the same. Whether any has more."""
        windows: dict[Reading, list[Ear]] = {}
        looks: dict[Reading, list[Ear]] = {}
        for ear in ears:
            if ear.is_closed:
                self._release(ear)
                continue
            self._take(ear)
            if ear.unheard_bytes >= ear.reading.window_bytes:
                windows.setdefault(ear.reading, []).append(ear)
            elif ear.may_look and self._early_look and ear.is_worth_a_look:
                looks.setdefault(ear.reading, []).append(ear)
        told: list[Told] = []
        again: list[Ear] = []
        for reading, group in windows.items():
            told += self._score(reading, group)
            again += [ear for ear in group if self._has_more(ear, reading)]
        for reading, group in looks.items():
            told += self._look(reading, group)
        if told:
            self._loop.call_soon_threadsafe(_tell, told)
        for ear in again:
            ear.wait()
        return bool(again)

    def _has_more(self, ear: Ear, reading: Reading) -> bool:
        if ear.unheard_bytes >= reading.window_bytes:
            return True
        return ear.may_look and self._early_look and ear.is_worth_a_look

    def _release(self, ear: Ear) -> None:
        if ear.slot != NO_SLOT:
            self._scorer.release(ear.slot)
            ear.slot = NO_SLOT

    def _take(self, ear: Ear) -> None:
        """What came since the last round, and the end of what is too old."""
        if ear.slot == NO_SLOT:
            ear.slot = self._scorer.admit()
        lost = ear.take()
        if self._is_overloaded and ear.unheard_bytes > MOST_WINDOWS_BEHIND * ear.reading.window_bytes:
            lost += ear.drop_all_but_newest()
        if lost:
            self._scorer.skip(ear.slot, lost)
            self.counts.dropped_windows += -(-lost // ear.reading.window_samples)

    def _score(self, reading: Reading, group: list[Ear]) -> list[Told]:
        sound = reading.rows([ear.window() for ear in group])
        slots = np.array([ear.slot for ear in group])
        return _told(group, self._scorer.score(slots, sound, reading.model_hz))

    def _look(self, reading: Reading, group: list[Ear]) -> list[Told]:
        """Looks at those of `group` that just became loud; tells only what is worth telling."""
        beyond = np.array([ear.look() for ear in group])
        slots = np.array([ear.slot for ear in group])
        newest_bytes = reading.window_bytes * NEWEST_BLOCKS // BLOCKS
        stirs = np.flatnonzero(self._scorer.stirs(slots, reading.rows([ear.newest(newest_bytes) for ear in group])))
        if not stirs.size:
            return []
        loud = [group[row] for row in stirs]
        sound = reading.rows([ear.newest(reading.context_bytes + reading.window_bytes) for ear in loud])
        scores = self._scorer.look(slots[stirs], sound, beyond[stirs], reading.model_hz)
        if scores is None:
            return []
        return [told for told in _told(loud, scores) if told[2] >= LOOK_WORTH_TELLING]


def _told(group: list[Ear], scores: Scores) -> list[Told]:
    for ear, may_look in zip(group, scores.may_look.tolist(), strict=True):
        ear.may_look = may_look
    columns = (scores.ends.tolist(), scores.probability.tolist(), scores.loud_until.tolist())
    return list(zip(group, *columns, strict=True))
