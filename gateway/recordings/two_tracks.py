"""A stream's two channels on the stream's own clock: what the caller said, and what the caller heard. Pure.

The caller's sound stands where its timestamps say, the agent's where it was played, so the two cannot drift
against each other however long the call lasts. Sound leaves in stretches, in order, once nothing can come any more
that belongs before. While the recording pauses both are silent, and time goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.recordings.agent_track import AgentTrack
from gateway.recordings.stream_clock import StreamClock
from gateway.recordings.track import Track
from pipeline.audio.formats import AudioFormat

WANDER_MS = 40
"""Two frames: timestamps wander by less, and sound that follows sound has no hole."""

BURST_MS = 2_000
"""Sound may come so much faster than real time; a timestamp further ahead is no timestamp."""

LATEST_MS = 10_000
"""The caller's frames are waited for so long; what comes later still has been written as silence."""

OWN_CLOCK_MS = 60_000
"""A first timestamp beyond this belongs to a clock that did not begin with the stream."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sound to write: equally long in both channels, one byte a sample."""

    first: int
    """Its first sample, counted from the beginning of the stream."""
    caller: bytes
    agent: bytes


@dataclass(slots=True)
class Pause:
    """Samples that are silent because somebody wanted them so; `last` is None while it lasts.

    Whole milliseconds, as the sidecar tells them: it never calls silent what is not.
    """

    first: int
    last: int | None = None


class TwoTracks:
    """Both channels of one stream. Times are seconds of our clock; `began_s` is when the stream began."""

    def __init__(self, line: AudioFormat, began_s: float) -> None:
        self._per_ms = line.rate_hz // 1000
        self._clock = StreamClock(line.rate_hz, began_s)
        self._caller = Track(line.silence)
        self._heard = Track(line.silence)
        self._agent = AgentTrack(line.rate_hz, self._clock, self._heard)
        self._wander = WANDER_MS * self._per_ms
        self._zero_ms: int | None = None
        """The timestamp that the recording begins at."""
        self._real_ms = 0.0
        """Our clock less the stream's at the first frame."""
        self.pauses: list[Pause] = []

    @property
    def taken(self) -> int:
        """Samples that have left."""
        return self._caller.first

    def hear(self, audio: bytes, timestamp_ms: int, now_s: float) -> None:
        """A frame of the caller's came. The hot path, where a call is recorded."""
        zero_ms = self._zero_ms
        if zero_ms is None:
            zero_ms = self._zero_ms = timestamp_ms if timestamp_ms > OWN_CLOCK_MS else 0
            self._real_ms = now_s * 1000 - timestamp_ms
        if timestamp_ms > now_s * 1000 - self._real_ms + BURST_MS:
            return
        at = (timestamp_ms - zero_ms) * self._per_ms
        expected = self._caller.end
        if -self._wander < at - expected < self._wander:
            at = expected
        elif at < 0:
            return
        self._caller.put(at, audio)
        self._clock.see(at + len(audio), now_s)

    def sent(self, audio: bytes, position: int, now_s: float) -> None:
        """The agent's sound went to the phone; `position` is behind it, in samples that were sent to be played."""
        self._agent.sent(audio, position, now_s)

    def played(self, position: int, now_s: float, *, by_mark: bool) -> None:
        self._agent.played(position, now_s, by_mark=by_mark)

    def flushed(self, position: int, now_s: float) -> None:
        self._agent.flushed(position, now_s)

    def returned(self, position: int, now_s: float) -> None:
        self._agent.returned(position, now_s)

    def pause(self, now_s: float) -> None:
        """From now on both channels are silent; a second pause changes nothing."""
        if not self.pauses or self.pauses[-1].last is not None:
            # Before the first frame nobody knows where the stream stands, and none of it may be kept.
            first = 0 if self._zero_ms is None else self._clock.at(now_s) // self._per_ms * self._per_ms
            self.pauses.append(Pause(first))

    def resume(self, now_s: float) -> None:
        if self.pauses and self.pauses[-1].last is None:
            ends = -(-self._clock.at(now_s) // self._per_ms) * self._per_ms
            self.pauses[-1].last = max(self.pauses[-1].first, ends)

    def take(self, now_s: float) -> Stretch | None:
        """What is ripe to be written; None if nothing is."""
        self._agent.settle(now_s)
        until = max(self._caller.end, self._clock.at(now_s) - LATEST_MS * self._per_ms)
        waits_since = self._agent.waits_since
        return self._take(until if waits_since is None else min(until, waits_since))

    def finish(self, now_s: float) -> Stretch | None:
        """The stream is over: all that is left."""
        self._agent.finish(now_s)
        end = max(self._caller.end, self._heard.end)
        if self.pauses and self.pauses[-1].last is None:
            self.pauses[-1].last = max(self.pauses[-1].first, end)  # to the very last sample
        return self._take(end)

    def _take(self, until: int) -> Stretch | None:
        first = self.taken
        if until <= first:
            return None
        for pause in reversed(self.pauses):
            last = until if pause.last is None else pause.last
            if last <= first:
                break
            self._caller.hush(pause.first, last)
            self._heard.hush(pause.first, last)
        return Stretch(first, self._caller.take(until), self._heard.take(until))
