"""Change of sample rate for live sound: PCM16 mono in, PCM16 mono out, piece by piece.

A polyphase windowed-sinc filter in numpy. Output sample n lies at exactly n / to_hz seconds, so positions need no
correction; what the filter must still hear of the future (`delay_ms`) is held back until it comes or `flush` says
that it never will. The result does not depend on how the sound was cut into pieces.

Why our own: libsoxr holds back 40 to 175 ms, which a conversation hears; `audioop.ratecv` has no filter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

TAPS_PER_PHASE: Final = 28
"""Of the slower rate: half of it, 14 samples of 8 kHz or 1.75 ms, is the delay."""

KAISER_BETA: Final = 6.0
"""Puts everything beyond the filter's slope at -63 dB or below."""

CUTOFF: Final = 0.97
"""Of the slower rate's Nyquist frequency, where the filter is at -6 dB."""

ONE: Final = 1 << 16
"""What the taps of a phase add up to: they are whole numbers. Their products with 16-bit samples, and sums of
these, are exact in a float64, so no order of adding and no cut of the sound can change a result."""

FEW_PHASES: Final = 8
"""Up to here it pays to make all outputs of a phase at once; the usual rates have one to three."""

AT_ONCE: Final = 256
"""Outputs whose windows are copied together: what they take stays in the processor's cache."""

IN_A_BLOCK: Final = 16
"""Neighbouring outputs that one matrix makes, where the rate is divided by a whole number: half the time of one
window for each."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Filter:
    """The constant part of one pair of rates, shared by all streams."""

    up: int
    down: int
    """Output k looks at input k * down / up."""
    half: int
    """Samples of input the filter sees on each side."""
    phases: Floats
    """[up, 2 * half]: the taps for each place between two samples of input; each row adds up to `ONE`."""
    block: Floats
    """[2 * half + down * (IN_A_BLOCK - 1), IN_A_BLOCK]: the same taps, for each output of a block.
    Empty unless `up` is 1."""


@lru_cache(maxsize=64)  # all pairs of the eight usual rates
def _filter(from_hz: int, to_hz: int) -> _Filter:
    if from_hz <= 0 or to_hz <= 0:
        raise ValueError(f"A sample rate is a positive number of Hz, got {from_hz} to {to_hz}")
    divisor = math.gcd(from_hz, to_hz)
    up, down = to_hz // divisor, from_hz // divisor
    stretch = max(1.0, from_hz / to_hz)
    half = math.ceil(TAPS_PER_PHASE / 2 * stretch)
    # Distance from the output's place to each tap, in samples of input.
    place = np.arange(up)[:, None] / up
    distance = np.arange(1 - half, half + 1)[None, :] - place
    width = TAPS_PER_PHASE / 2 * stretch
    window = np.kaiser(4096 + 1, KAISER_BETA)
    shape = np.interp(np.abs(distance) / width, np.linspace(-1, 1, window.size), window, right=0.0)
    taps = np.sinc(distance * CUTOFF / stretch) * shape
    phases: Floats = np.rint(taps / taps.sum(axis=1, keepdims=True) * ONE)
    phases[np.arange(up), phases.argmax(axis=1)] += ONE - phases.sum(axis=1)
    phases.setflags(write=False)
    return _Filter(up, down, half, phases, _block(phases[0], down) if up == 1 else np.empty((0, 0)))


def _block(taps: Floats, down: int) -> Floats:
    block: Floats = np.zeros((taps.size + down * (IN_A_BLOCK - 1), IN_A_BLOCK))
    for nth in range(IN_A_BLOCK):
        block[down * nth : down * nth + taps.size, nth] = taps
    return block


class Resampler:
    """One stream from `from_hz` to `to_hz`. Feed it with `push`, end it with `flush`."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._filter = _filter(from_hz, to_hz)
        self.delay_ms = 0.0 if from_hz == to_hz else self._filter.half * 1000 / from_hz
        """How much of the newest sound is held back."""
        self._begin()

    def _begin(self) -> None:
        # Before the first sample there was silence.
        self._heard: Floats = np.zeros(self._filter.half - 1)
        self._place = 0
        """Of the next output, in 1/up samples of input from the start of `_heard` plus half - 1."""
        self._odd_byte = b""

    def push(self, pcm16: bytes) -> bytes:
        """All output that `pcm16` makes certain. Half a sample at the end waits for its other half."""
        pcm16 = self._odd_byte + pcm16
        whole = len(pcm16) & ~1
        self._odd_byte = pcm16[whole:]
        if self._filter.up == self._filter.down:
            return pcm16[:whole]
        return self._make(np.frombuffer(pcm16[:whole], dtype="<i2").astype(np.float64))

    def flush(self) -> bytes:
        """What was held back, as if silence followed. The stream is then as new."""
        if self._filter.up == self._filter.down:
            made = b""
        else:
            made = self._make(np.zeros(self._filter.half))
        self._begin()
        return made

    def _make(self, samples: Floats) -> bytes:
        up, down, taps = self._filter.up, self._filter.down, 2 * self._filter.half
        heard = np.concatenate((self._heard, samples))
        # Output at `place` needs the inputs [place // up, place // up + taps).
        ends_at = (heard.size - taps + 1) * up
        count = max(0, -(-(ends_at - self._place) // down))
        first = self._place
        self._place += down * count
        used = min(self._place // up, heard.size)
        self._heard = heard[used:].copy()
        self._place -= used * up
        if not count:
            return b""
        if up == 1 and not count % IN_A_BLOCK:
            sound = self._block_by_block(heard, first, count)
        elif up <= FEW_PHASES:
            sound = self._phase_by_phase(heard, first, count)
        else:
            sound = self._each(heard, first, count)
        sound *= 1 / ONE
        np.rint(sound, out=sound)
        np.maximum(sound, -32_768, out=sound)
        np.minimum(sound, 32_767, out=sound)
        return sound.astype("<i2").tobytes()

    def _block_by_block(self, heard: Floats, first: int, count: int) -> Floats:
        """As many outputs as a frame of live sound has are whole blocks."""
        down, block, step = self._filter.down, self._filter.block, heard.itemsize
        shape = (count // IN_A_BLOCK, block.shape[0])
        windows = np.ndarray(shape, np.float64, heard, first * step, (IN_A_BLOCK * down * step, step))
        sound: Floats = np.ascontiguousarray(windows) @ block
        return sound.reshape(-1)

    def _phase_by_phase(self, heard: Floats, first: int, count: int) -> Floats:
        """Every up-th output has the same phase, and lies `down` samples of input further on."""
        up, down, phases = self._filter.up, self._filter.down, self._filter.phases
        sound, step = np.empty(count), heard.itemsize
        for nth in range(min(up, count)):
            begin, phase = divmod(first + down * nth, up)
            shape = (-(-(count - nth) // up), phases.shape[1])
            # The windows overlap: a view shows them without a copy.
            windows = np.ndarray(shape, np.float64, heard, begin * step, (down * step, step))
            sound[nth::up] = windows @ phases[phase]
        return sound

    def _each(self, heard: Floats, first: int, count: int) -> Floats:
        """With many phases, hardly two outputs of a piece share one."""
        up, down, phases = self._filter.up, self._filter.down, self._filter.phases
        taps, step = phases.shape[1], heard.itemsize
        # A view again. (`sliding_window_view` does it at ten times the cost.)
        windows = np.ndarray((heard.size - taps + 1, taps), np.float64, heard, 0, (step, step))
        begins, numbers = np.divmod(first + down * np.arange(count), up)
        sound = np.empty(count)
        for at in range(0, count, AT_ONCE):
            some = slice(at, at + AT_ONCE)
            np.einsum("ij,ij->i", windows[begins[some]], phases.take(numbers[some], axis=0), out=sound[some])
        return sound
