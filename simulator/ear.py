"""The caller's ear: is somebody speaking, judged by loudness alone, as a human would without knowing the words.

Pure. It hears windows of decoded sound as they truly came out of the loudspeaker. Times are whole milliseconds on
the clock of the call; the onset is found to 5 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from simulator.sound import SAMPLES_PER_MS, rms

AUDIBLE_RMS = 150
"""About -47 dBFS: far below speech (-20 dBFS), well above comfort noise (-60 dBFS) and coding noise."""
UTTERANCE_GAP_MS = 400
"""Quiet of this length ends an utterance. Pauses inside a sentence stay below 300 ms."""
ONSET_PIECE_MS = 5


@dataclass(frozen=True, slots=True)
class AgentHeard:
    """The first audible sound after quiet."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class AgentSilent:
    """An utterance is over; told `UTTERANCE_GAP_MS` after its end."""

    start_ms: int
    end_ms: int


Impression: TypeAlias = AgentHeard | AgentSilent


class Ear:
    """Feed it every window in order."""

    def __init__(self, audible_rms: int = AUDIBLE_RMS, gap_ms: int = UTTERANCE_GAP_MS) -> None:
        self._audible_rms = audible_rms
        self._gap_ms = gap_ms
        self._onset_ms: int | None = None
        self._loud_until_ms = 0
        self._earlier_ms = 0
        self._onsets = 0

    @property
    def is_hearing(self) -> bool:
        """Somebody is speaking, or paused for less than the gap."""
        return self._onset_ms is not None

    @property
    def onsets(self) -> int:
        """How often somebody began to speak."""
        return self._onsets

    @property
    def utterance_ms(self) -> int:
        """Length of the utterance being heard, up to its last audible window; 0 in quiet."""
        return 0 if self._onset_ms is None else self._loud_until_ms - self._onset_ms

    @property
    def heard_ms(self) -> int:
        """Length of all utterances so far, the current one included."""
        return self._earlier_ms + self.utterance_ms

    def quiet_ms(self, now_ms: int) -> int:
        """Since the last audible window; since the clock's zero if there was none."""
        return now_ms - self._loud_until_ms

    def hear(self, pcm: bytes | None, at_ms: int, duration_ms: int) -> list[Impression]:
        """One window of PCM16 at 8 kHz that began at `at_ms`; None when nothing was playing."""
        if pcm is not None and rms(pcm) >= self._audible_rms:
            self._loud_until_ms = at_ms + duration_ms
            if self._onset_ms is None:
                self._onsets += 1
                self._onset_ms = at_ms + self._onset_within(pcm)
                return [AgentHeard(self._onset_ms)]
            return []
        if self._onset_ms is not None and at_ms + duration_ms - self._loud_until_ms >= self._gap_ms:
            return self.close()
        return []

    def close(self) -> list[Impression]:
        """Nothing more can come on this line: what is being heard is over."""
        if self._onset_ms is None:
            return []
        over = AgentSilent(self._onset_ms, self._loud_until_ms)
        self._earlier_ms = self.heard_ms
        self._onset_ms = None
        return [over]

    def _onset_within(self, pcm: bytes) -> int:
        """Some piece is as loud as the whole, so there always is a first one."""
        step = ONSET_PIECE_MS * SAMPLES_PER_MS * 2
        pieces = range(0, len(pcm), step)
        return next(at for at in pieces if rms(pcm[at : at + step]) >= self._audible_rms) // (SAMPLES_PER_MS * 2)
