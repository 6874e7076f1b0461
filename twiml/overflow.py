"""The overflow ladder: what a caller is offered, one thing after another, for whom there is no room.

    queue, callback, +493012345, voicemail, apology

Pure: text in, rungs out. A ladder is read once, from the settings; where a caller stands on it is a number in the
URL that Twilio asks next, so that any worker can answer. What a rung says and does, `gateway/overflow.py` knows.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

RUNGS_LIMIT = 10
"""Nobody listens to more."""


class RungKind(enum.StrEnum):
    """What can be offered; few enough to be a metric's label."""

    QUEUE = "queue"
    CALLBACK = "callback"
    NUMBER = "number"
    VOICEMAIL = "voicemail"
    APOLOGY = "apology"


@dataclass(frozen=True, slots=True)
class Rung:
    kind: RungKind
    number: str = ""
    """Whom a `NUMBER` calls."""

    def __str__(self) -> str:
        return self.number or self.kind.value


APOLOGY = Rung(RungKind.APOLOGY)


@dataclass(frozen=True, slots=True)
class Ladder:
    """Rungs in order; behind the last one is always the apology."""

    rungs: tuple[Rung, ...]

    def at(self, place: int) -> Rung:
        """The rung at a place, from 0 on. Beyond the end, as after a change of settings, the apology."""
        return self.rungs[place] if 0 <= place < len(self.rungs) else APOLOGY

    def place_of_queue(self) -> int | None:
        """Where the queue is, if there is one."""
        return next((place for place, rung in enumerate(self.rungs) if rung.kind is RungKind.QUEUE), None)

    def __str__(self) -> str:
        return ",".join(map(str, self.rungs))


def read_ladder(text: str) -> Ladder:
    """`queue, callback, +493012345, voicemail`. Raises `ValueError` saying which word is wrong and why."""
    rungs = [_rung(word.strip()) for word in text.split(",")]
    for place, rung in enumerate(rungs):
        if rung in rungs[:place]:
            raise ValueError(f"{str(rung)!r} stands twice; a caller is offered each once")
    if APOLOGY in rungs[:-1]:
        raise ValueError(f"{str(rungs[rungs.index(APOLOGY) + 1])!r} stands behind apology, which ends the call")
    if rungs[-1] != APOLOGY:
        rungs.append(APOLOGY)
    if len(rungs) > RUNGS_LIMIT:
        raise ValueError(f"has {len(rungs)} steps with the apology; {RUNGS_LIMIT} are the most")
    return Ladder(tuple(rungs))


_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_WORDS = {kind.value: Rung(kind) for kind in RungKind if kind is not RungKind.NUMBER}


def _rung(word: str) -> Rung:
    if word in _WORDS:
        return _WORDS[word]
    if _NUMBER.fullmatch(word):
        return Rung(RungKind.NUMBER, word)
    raise ValueError(f"{word!r} is not one of {', '.join(_WORDS)} and no number like +493012345")
