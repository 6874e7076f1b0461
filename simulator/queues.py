"""The queues of an account, in which calls wait: who is where, and since when.

Pure; shared by the calls that are to wait in line behind each other. Times are seconds of the calls' clock.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """One caller's place, as a wait URL is told."""

    position: int
    """1 is the next."""
    waited_s: float
    average_s: float
    """Of those in the queue now."""
    size: int


class Queues:
    """By name; a queue is made when somebody enters it."""

    def __init__(self) -> None:
        self._entered_s: dict[str, dict[str, float]] = {}

    def size(self, name: str) -> int:
        return len(self._entered_s.get(name, ()))

    def enter(self, name: str, call_sid: str, now_s: float) -> None:
        self._entered_s.setdefault(name, {})[call_sid] = now_s

    def standing(self, name: str, call_sid: str, now_s: float) -> Standing:
        """Where the call stands, which must be in the queue."""
        entered_s = self._entered_s[name]
        waits_s = [now_s - at_s for at_s in entered_s.values()]
        position = list(entered_s).index(call_sid) + 1
        return Standing(position, now_s - entered_s[call_sid], sum(waits_s) / len(waits_s), len(waits_s))

    def leave(self, name: str, call_sid: str) -> None:
        del self._entered_s[name][call_sid]
