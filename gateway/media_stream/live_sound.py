"""Both sides of a stream as somebody hears them who listens in: stereo, live, on the stream's own clock. Pure.

The caller's frames are the clock: each carries so much of the agent's sound with it as was being played meanwhile.
A recording waits until marks have said where sound was played; who listens live cannot, so here it is taken to
begin when it was sent, and marks only tell when that was too late. What a `clear` threw away is not heard.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from gateway.media_stream.timeline import LONGEST_FILL_MS, SMALLEST_GAP_MS
from pipeline.audio import g711
from pipeline.audio.formats import AudioFormat

PIECE_MS: Final = 100
"""Sound leaves in pieces of this length: ten a second are few enough for Redis, and short enough for live."""

BEHIND_MS: Final = 200
"""Marks may say that playback is so much further before something is left out to catch up."""

QUIET_S: Final = 0.3
"""Without a frame of the caller's for so long, silence takes its place: a muted line sends none."""


class LiveSound:
    """A `Tap`. `put` gets interleaved PCM16 at the line's rate, caller left and agent right."""

    def __init__(self, line: AudioFormat, put: Callable[[bytes], None]) -> None:
        self._line = line
        self._put = put
        self._per_ms = line.bytes_in(1)
        self._piece = line.bytes_in(PIECE_MS)
        self._next_ms: float | None = None
        """Where on the stream's clock the next frame is expected."""
        self._heard_at_s: float | None = None
        self._agent = bytearray()
        """Sent, and not let out yet."""
        self._head = 0
        """The position of its first sample."""
        self._left = bytearray()
        self._right = bytearray()

    def hear(self, audio: bytes, timestamp_ms: int, now_s: float) -> None:
        """A frame of the caller's."""
        expected = self._next_ms
        if expected is not None and timestamp_ms - expected <= -SMALLEST_GAP_MS:
            return  # filled already
        self._heard_at_s = now_s
        missing_ms = 0.0 if expected is None else timestamp_ms - expected
        if expected is None or missing_ms >= SMALLEST_GAP_MS:
            self._fill(min(missing_ms, LONGEST_FILL_MS))
            expected = timestamp_ms
        self._next_ms = expected + len(audio) / self._per_ms
        self._let_out(audio)

    def sent(self, audio: bytes, position: int, now_s: float) -> None:
        """The agent's sound went to the phone."""
        self._look(now_s)
        if not self._agent:
            self._head = position - self._line.samples_in(audio)
        self._agent += audio

    def played(self, position: int, now_s: float, *, by_mark: bool) -> None:
        self._look(now_s)
        behind = position - self._head
        if behind > self._line.rate_hz * BEHIND_MS // 1000:
            self._drop(behind)

    def flushed(self, position: int, now_s: float) -> None:
        """What was behind `position` is not heard."""
        keep = max(0, position - self._head)
        del self._agent[keep * self._line.encoding.bytes_per_sample :]

    def returned(self, position: int, now_s: float) -> None:
        """Too late for who hears it live."""

    def _look(self, now_s: float) -> None:
        """The caller may be muted, and the agent speaks."""
        if self._heard_at_s is None:
            self._heard_at_s = now_s
        missing_s = now_s - self._heard_at_s
        if missing_s >= QUIET_S:
            self._heard_at_s = now_s
            if self._next_ms is not None:
                self._next_ms += missing_s * 1000
            self._fill(min(missing_s * 1000, LONGEST_FILL_MS))

    def _fill(self, ms: float) -> None:
        silence = self._line.silence
        self._let_out(silence * (self._line.bytes_in(ms) // len(silence)))

    def _let_out(self, caller: bytes) -> None:
        size = len(caller)
        agent = bytes(self._agent[:size])
        self._drop(self._line.samples_in(agent))
        silence = self._line.silence
        self._left += caller
        self._right += agent + silence * ((size - len(agent)) // len(silence))
        while len(self._left) >= self._piece:
            left, right = bytes(self._left[: self._piece]), bytes(self._right[: self._piece])
            del self._left[: self._piece], self._right[: self._piece]
            encoding = self._line.encoding
            self._put(interleaved(g711.decode(left, encoding), g711.decode(right, encoding)))

    def _drop(self, samples: int) -> None:
        del self._agent[: samples * self._line.encoding.bytes_per_sample]
        self._head += samples


def interleaved(left: bytes, right: bytes) -> bytes:
    """Two channels of little-endian PCM16, equally long, as one stereo signal."""
    both = np.empty((len(left) // 2, 2), "<i2")
    both[:, 0], both[:, 1] = np.frombuffer(left, "<i2"), np.frombuffer(right, "<i2")
    return both.tobytes()


def mixed(stereo: bytes) -> bytes:
    """Both channels in one, clipped where the loudest would not fit."""
    both = np.frombuffer(stereo, "<i2").astype(np.int32).reshape(-1, 2)
    mono: bytes = np.clip(both.sum(axis=1), -32_768, 32_767).astype("<i2").tobytes()
    return mono
