"""An ear: one call's way into the shared speech activity. Bytes in on the event loop, windows out in the thread.

The two sides meet in the inbox alone: the loop only appends to it, the thread only takes from its front. All else
belongs to one of them. What a window scores, and when it is its turn, this file does not know.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from queue import SimpleQueue
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.audio.formats import AudioFormat, Encoding
from pipeline.audio.g711 import ALAW_TO_FLOAT, ULAW_TO_FLOAT
from pipeline.audio.resample import Resampler
from pipeline.reports import SpeechScored
from pipeline.turn.silero import CONTEXT_SAMPLES, WINDOW_SAMPLES

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]

MOST_WAITING_S: Final = 30.0
"""Sound of one call that waits for the thread, which scores a lone call 100 times faster than it is spoken."""

NO_SLOT: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """How sound becomes rows for the model. Calls of one reading share a batch; there is one object for each.

    Samples are the model's. Where the sound has several for each of them, their mean is taken: whether somebody
    speaks is heard through that as well as through a proper filter, at a fraction of the price.
    """

    encoding: Encoding
    model_hz: int
    folds: int
    """Samples of the sound in one of the model's."""
    sample_bytes: int
    window_samples: int
    window_bytes: int
    context_bytes: int

    def rows(self, pieces: list[bytearray]) -> Floats:
        """[pieces, samples] within -1 … 1; all pieces are equally long."""
        audio = b"".join(pieces)
        if self.encoding is Encoding.PCM16:
            samples = np.frombuffer(audio, dtype="<i2").astype(np.float32)
            if self.folds > 1:
                samples = samples.reshape(-1, self.folds).sum(axis=1)
            samples /= np.float32(32_768 * self.folds)
        else:
            table = ULAW_TO_FLOAT if self.encoding is Encoding.ULAW else ALAW_TO_FLOAT
            samples = table.take(np.frombuffer(audio, dtype=np.uint8))
        return samples.reshape(len(pieces), -1)


@cache
def _reading(encoding: Encoding, model_hz: int, folds: int) -> Reading:
    size, window = encoding.bytes_per_sample * folds, WINDOW_SAMPLES[model_hz]
    return Reading(encoding, model_hz, folds, size, window, window * size, CONTEXT_SAMPLES[model_hz] * size)


def reading_of(format: AudioFormat) -> Reading:
    """8 and 16 kHz as they are, anything else at 8, which costs less and finds the same speech.

    Raises `ValueError` for G.711 not at 8 kHz.
    """
    if format.encoding is not Encoding.PCM16 and format.rate_hz != 8_000:
        raise ValueError(f"G.711 sound has 8000 Hz, got {format.rate_hz} with {format.encoding.value}")
    if format.rate_hz == 16_000:
        return _reading(format.encoding, 16_000, 1)
    folds = format.rate_hz // 8_000 if format.rate_hz % 8_000 == 0 else 1
    return _reading(format.encoding, 8_000, folds)


class Ear:
    """Made by `SpeechActivity.open`; a call uses `hear` and `close` and nothing else."""

    def __init__(
        self, format: AudioFormat, report: Callable[[SpeechScored], None], queue: SimpleQueue[Ear | None]
    ) -> None:
        # The loop's.
        self._report = report
        self._queue = queue
        self._inbox = bytearray()
        self._most_bytes = int(MOST_WAITING_S * format.bytes_per_second)
        self._refused_bytes = 0
        self._is_queued = False
        self.is_closed = False
        self.is_urgent = True
        """Speech must be noticed at once, because it would interrupt somebody. Otherwise whole windows will do, for
        less. The call may change it at any time."""
        # The thread's.
        self.reading = reading_of(format)
        self.slot = NO_SLOT
        self.may_look = True
        """Whether the last score left open that somebody speaks."""
        self.unheard_bytes = 0
        """Past the last window. May end in half a sample."""
        self._format = format
        self._refused_seen = 0
        self._looked_bytes = 0
        folded_hz = format.rate_hz // self.reading.folds
        is_native = folded_hz == self.reading.model_hz
        self._resampler = None if is_native else Resampler(format.rate_hz, self.reading.model_hz)
        self._whole_bytes = self.reading.window_bytes * folded_hz // self.reading.model_hz
        """Of sound as it comes that make a window."""
        self._partial_bytes = 0
        # One window of the past stays in front: the model's context, and an early look's older half.
        self._sound = bytearray(self._silence())

    def hear(self, audio: bytes) -> None:
        """The next piece of the call's sound, of any length. Only puts it down.

        When `MOST_WAITING_S` of sound wait already, the piece is counted instead and its windows are dropped.
        """
        if len(self._inbox) >= self._most_bytes:
            self._refused_bytes += len(audio)
            return
        self._inbox += audio
        self._partial_bytes += len(audio)
        if self._partial_bytes >= self._whole_bytes:
            self._partial_bytes %= self._whole_bytes or 1
        elif not self.is_urgent:
            return
        if not self._is_queued:
            self.wait()

    def close(self) -> None:
        """No report comes after this, not even of windows that are being scored right now."""
        if not self.is_closed:
            self.is_closed = True
            self._queue.put(self)  # the thread gives the slot back

    def wait(self) -> None:
        """Queue for the next round. To queue twice for one round is harmless."""
        self._is_queued = True
        self._queue.put(self)

    def tell(self, end: int, probability: float, loud_until: int) -> None:
        """Report a score, on the loop. Positions come in the model's samples and leave in the call's."""
        if self.is_closed:
            return
        if self._format.rate_hz != self.reading.model_hz:
            end = end * self._format.rate_hz // self.reading.model_hz
            loud_until = loud_until * self._format.rate_hz // self.reading.model_hz
        try:
            self._report(SpeechScored(end, probability, loud_until))
        except Exception:
            # The scores of other calls are in the same callback.
            logger.exception("A call did not take its speech score")

    # What follows is called in the thread.

    def take(self) -> int:
        """Empty the inbox into the sound that waits for its windows. Returns how many of the model's samples were
        given up because `hear` refused the end of them."""
        self._is_queued = False  # first, so that what `hear` adds from here on queues again
        new = bytes(self._inbox)
        del self._inbox[: len(new)]  # not `clear`: the loop may have added meanwhile
        if self._resampler is not None:
            new = self._resampler.push(new)
        self._sound += new
        self.unheard_bytes += len(new)
        refused_bytes = self._refused_bytes - self._refused_seen
        if not refused_bytes:
            return 0
        self._refused_seen += refused_bytes
        refused = refused_bytes // self._format.encoding.bytes_per_sample
        lost = refused * self.reading.model_hz // self._format.rate_hz
        lost += self.unheard_bytes // self.reading.sample_bytes
        self._sound[:] = self._silence()
        self.unheard_bytes = self._looked_bytes = 0
        return lost

    @property
    def is_worth_a_look(self) -> bool:
        """Whether there is news past the last window, and at least 4 ms in all: the model saw the rest."""
        return (
            self.is_urgent
            and self.unheard_bytes > self._looked_bytes
            and self.unheard_bytes >= self.reading.context_bytes
        )

    def drop_all_but_newest(self) -> int:
        """Give up on all whole windows but one. Returns their samples."""
        dropped = self.unheard_bytes // self.reading.window_bytes - 1
        del self._sound[: dropped * self.reading.window_bytes]
        self.unheard_bytes -= dropped * self.reading.window_bytes
        return dropped * self.reading.window_samples

    def window(self) -> bytearray:
        """The next window with its context in front; it is then heard."""
        size = self.reading.window_bytes
        window = self._sound[size - self.reading.context_bytes : 2 * size]
        del self._sound[:size]
        self.unheard_bytes -= size
        self._looked_bytes = 0
        return window

    def newest(self, size: int) -> bytearray:
        """The last `size` bytes that came, whole samples only."""
        end = len(self._sound) - self.unheard_bytes % self.reading.sample_bytes
        return self._sound[end - size : end]

    def look(self) -> int:
        """Take note that the newest sound is being looked at. Returns how many samples lie past the last window."""
        self._looked_bytes = self.unheard_bytes
        return self._looked_bytes // self.reading.sample_bytes

    def _silence(self) -> bytes:
        return self._format.silence * self.reading.window_samples * self.reading.folds
