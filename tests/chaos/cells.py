"""The cells of the fault matrix: which part of a call fails, whose it is, how it fails, and who stands behind it.

Pure. The stand-ins act the faults out; here is only which of them can do harm to whom.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from simulator.standins.fault import Fault
from tests.chaos.dialogue import Moment


class Part(enum.StrEnum):
    """What of a call fails."""

    STT = "stt"
    LLM = "llm"
    TTS = "tts"
    TOOL = "tool"
    REALTIME = "realtime"


REFUSALS: Final = (Fault.REFUSE, Fault.TOO_MANY, Fault.BROKEN)

_HEARING: Final = tuple(fault for fault in Fault if fault not in (Fault.NONE, Fault.ODD_PCM))
"""A transcriber and a model send no sound, so none of theirs can be odd."""
_SPEAKING: Final = tuple(fault for fault in Fault if fault is not Fault.NONE)
_WEBHOOK: Final = tuple(fault for fault in _HEARING if fault is not Fault.ZERO_AUDIO)

ROWS: Final = (
    (Part.STT, "openai", _HEARING),
    (Part.STT, "deepgram/nova-3", _HEARING),
    (Part.STT, "deepgram/flux", _HEARING),
    (Part.STT, "inworld", _HEARING),
    (Part.LLM, "openai", _HEARING),
    (Part.LLM, "inworld", _HEARING),
    (Part.TTS, "openai", _SPEAKING),
    (Part.TTS, "cartesia", _SPEAKING),
    (Part.TTS, "elevenlabs", _SPEAKING),
    (Part.TTS, "inworld", _SPEAKING),
    (Part.TOOL, "webhook", _WEBHOOK),
    (Part.TOOL, "mcp", _HEARING),
    (Part.REALTIME, "openai", _SPEAKING),
)

_AT_HANDSHAKE: Final = ("deepgram", "cartesia", "elevenlabs")
"""They refuse connections, and no request on one that is open."""

STRUCK: Final = (Moment.FIRST, Moment.SECOND, Moment.TOOL)


@dataclass(frozen=True, slots=True)
class Cell:
    """One call. `moments`: the turns in which every request has the fault, in order."""

    part: Part
    provider: str
    fault: Fault
    is_spared: bool
    """Another provider stands behind it; a remote service: only its first answer in a turn fails."""
    moments: tuple[Moment, ...]

    @property
    def is_refused_from_the_start(self) -> bool:
        """The fault is there before the gateway is, and until the last of the moments is over."""
        name = self.provider.partition("/")[0]
        is_remote = self.part is Part.REALTIME
        return self.fault in REFUSALS and (is_remote or name in _AT_HANDSHAKE)

    @property
    def turns(self) -> tuple[Moment, ...]:
        """All turns of the call: those before the last one that is struck if they lead to it, and one after."""
        needs_first = Moment.SECOND in self.moments or self.part is Part.TOOL
        wanted = {*self.moments, Moment.AFTER} | ({Moment.FIRST} if needs_first else set())
        return tuple(moment for moment in Moment if moment in wanted)

    def __str__(self) -> str:
        behind = "spared" if self.is_spared else "alone"
        return f"{self.part} {self.provider} {self.fault} {behind} [{', '.join(self.moments)}]"


def all_cells() -> tuple[Cell, ...]:
    """Every cell, each with every moment at which it can be struck."""
    return tuple(_cells())


def _cells() -> Iterable[Cell]:
    for part, provider, faults in ROWS:
        for fault in faults:
            if part is Part.TOOL:
                yield Cell(part, provider, fault, False, (Moment.TOOL,))
                continue
            for is_spared in (True, False):
                if part is Part.STT and fault is Fault.ZERO_AUDIO and not is_spared:
                    continue  # no words of the only one who hears: nobody can tell that from noise
                cell = Cell(part, provider, fault, is_spared, STRUCK)
                if cell.is_refused_from_the_start:
                    if part is Part.REALTIME and is_spared:
                        continue  # there is no second way to where every connection is refused
                    # Alone, a third turn in a row without an answer would end the call, as it should.
                    cell = replace(cell, moments=STRUCK[:2])
                yield cell


def drawn(faults: int) -> tuple[Cell, ...]:
    """Cells with so many faults, at least, evenly from the whole matrix: every `n`th moment of every cell.

    Asked for more than there are, the whole matrix is drawn again and again.
    """
    strikes = [(cell, moment) for cell in all_cells() for moment in cell.moments]
    rounds, rest = divmod(faults, len(strikes))
    chosen = {strikes[at * len(strikes) // rest] for at in range(rest)}
    part = tuple(
        _with(cell, chosen) for cell in all_cells() if any((cell, each) in chosen for each in cell.moments)
    )
    return all_cells() * rounds + part


def _with(cell: Cell, chosen: set[tuple[Cell, Moment]]) -> Cell:
    return replace(cell, moments=tuple(moment for moment in cell.moments if (cell, moment) in chosen))


def sample(count: int) -> tuple[Cell, ...]:
    """So many cells evenly from the whole matrix, each with all its moments. Those of ten megabytes, which take
    time from all other calls of the loop, are left to the whole run."""
    cells = [cell for cell in all_cells() if cell.fault is not Fault.BIG_CHUNK]
    return tuple(cells[at * len(cells) // count] for at in range(count))
