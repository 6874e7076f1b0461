"""What a benchmark of turns is asked to do, for all the processes that take part in it."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.sound import Sound
from simulator.standins.turn_services import Pace
from simulator.turn_plan import SHORTEST_WORDS, Turns
from simulator.voices import Voices


@dataclass(frozen=True, slots=True)
class Options:
    calls: int
    turns: int
    pauses: float
    """Share of turns with a pause in the middle."""
    stt: int
    llm: int
    tts: int
    """Medians of the stand-ins, ms."""
    slow: float
    """Share of slow requests to the model."""
    silence: int
    """That ends a turn, ms."""
    noise: float
    seed: int

    @property
    def said(self) -> Turns:
        return Turns(self.calls, self.turns, self.pauses, self.seed)

    @property
    def pace(self) -> Pace:
        return Pace(
            stt_s=self.stt / 1000,
            first_token_s=self.llm / 1000,
            first_byte_s=self.tts / 1000,
            slow_share=self.slow,
        )


def clips() -> list[Sound]:
    """Those that are long enough to have a middle."""
    voices = Voices()
    return [voices.clip(clip.name) for clip in voices.clips if len(clip.text.split()) >= SHORTEST_WORDS]
