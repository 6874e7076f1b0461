"""The caller's sound on the stream's own clock: gaps filled, floods refused. Pure; times in milliseconds.

Twilio sends 20 ms every 20 ms, silence included, yet messages do go missing. Positions in a session are counted
in samples heard, so a gap must become silence of its length, or every position after it is wrong and a turn that
ends in a gap never ends.
"""

from __future__ import annotations

from pipeline.audio.formats import AudioFormat

SMALLEST_GAP_MS = 40
"""Two frames: timestamps wander by less."""

LONGEST_FILL_MS = 10_000
"""A longer gap is a line that was away; what it would have brought is not worth that much silence."""

BURST_MS = 2_000
"""Sound may arrive this much faster than real time, after a stall of the network; no phone speaks faster."""


class Timeline:
    """Where the next sound of one stream is expected."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        self._next_ms: float | None = None
        self._began_ms = 0.0

    def place(self, audio: bytes, timestamp_ms: int, now_ms: float) -> bytes | None:
        """`audio`, with silence before it if something is missing there; None if it must not be heard.

        `timestamp_ms` is the stream's clock, `now_ms` ours.
        """
        expected = self._next_ms
        if expected is None:
            self._began_ms = now_ms - timestamp_ms
            expected = timestamp_ms
        length_ms = len(audio) * 1000 / self._format.bytes_per_second
        gap_ms = timestamp_ms - expected
        if gap_ms <= -SMALLEST_GAP_MS:
            return None  # older than what was heard already, or filled
        if timestamp_ms > now_ms - self._began_ms + BURST_MS:
            return None
        self._next_ms = (
            max(expected, timestamp_ms) + length_ms if gap_ms >= SMALLEST_GAP_MS else expected + length_ms
        )
        if gap_ms < SMALLEST_GAP_MS:
            return audio
        return self._silence(min(gap_ms, LONGEST_FILL_MS)) + audio

    def fill(self, now_ms: float) -> bytes:
        """Nothing has come for a while: the silence that should have, up to now."""
        if self._next_ms is None:
            return b""
        missing_ms = min(now_ms - self._began_ms - self._next_ms, LONGEST_FILL_MS)
        if missing_ms < SMALLEST_GAP_MS:
            return b""
        self._next_ms += missing_ms
        return self._silence(missing_ms)

    def _silence(self, ms: float) -> bytes:
        size = self._format.bytes_in(ms)
        return self._format.silence * (size // len(self._format.silence))
