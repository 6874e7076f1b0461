"""A client of the WebRTC load that marks its sound and listens for the marks in what a server echoes. Pure.

A few of these among many others tell how long sound takes, mouth to ear, while the server carries all of them.
They decode what comes, so they cost the load something; the others do not.
"""

from __future__ import annotations

import random
from typing import Final, Literal

from simulator.webrtc_mark import MarkEar
from simulator.webrtc_talk import PROBE, Probe, TalkScript, TalkTally, Voice

MARK_EVERY_S: Final = 1.0
"""At least; longer than any echo takes, so that each mark that comes back is the last one sent."""

MARK_JITTER_S: Final = 0.2
"""At most so much longer: marks must not all fall into the same moment of a server's clock."""


class MarkSession:
    """See `webrtc_talk.EchoSession`, whose place it takes."""

    wants: Literal["sizes", "payloads"] = "payloads"

    def __init__(self, script: TalkScript, tally: TalkTally, rng: random.Random) -> None:
        self._script = script
        self._tally = tally
        self._rng = rng
        self._voice = Voice(script.noise, rng)
        self._probe = Probe(rng)
        self._ear = MarkEar()
        self._next_at: float | None = None
        self._marked_at: float | None = None
        """When the mark began that has not come back; None while none is on its way."""
        self.is_joined = True
        self.is_measured = False

    def receive(self, text: str, now: float) -> None:
        took = self._probe.answered(now)
        if self.is_measured:
            self._tally.round_trip += took

    def hear(self, size_bytes: int, payload: bytes, now: float) -> None:
        if self.is_measured:
            self._tally.received += 1
        came_at = self._ear.hear(payload, now)
        if came_at is None or self._marked_at is None:
            return
        if self.is_measured:
            self._tally.mouth_to_ear.append((came_at - self._marked_at) * 1000)
        self._marked_at = None

    def tick(self, now: float) -> tuple[bytes, list[str]]:
        if self._next_at is None or now >= self._next_at:
            if self._marked_at is not None and self.is_measured:
                self._tally.unanswered += 1
            self._marked_at = None
            if self._next_at is not None:
                self._voice.say(self._script.mark.packets)
                self._marked_at = now + self._script.mark.onset_s
            self._next_at = now + MARK_EVERY_S + self._rng.uniform(0, MARK_JITTER_S)
        if self.is_measured:
            self._tally.sent += 1
            self._tally.sent_loud += self._voice.is_speaking
        return self._voice.next(), [PROBE] if self._probe.is_due(now) else []

    def outstanding(self, now: float) -> list[float]:
        return self._probe.outstanding(now)
