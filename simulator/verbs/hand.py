"""The caller while no stream is open: reads the script's next steps where a verb leaves room for them.

Pure. What a caller does in a menu, in a queue or after a tone is the front of the same script that goes on in a
later stream: keys (`Dtmf`), a pause (`Wait`), a sound (`Say`), and putting the phone down (`HangUp`). `Listen`
and `BargeIn` are for an agent: before them the caller only waits. Times are seconds of the verbs' time.
"""

from __future__ import annotations

from simulator.caller import Caller, Dtmf, HangUp, Press, Say, Wait
from simulator.sound import Sound


class CallerHungUp(Exception):
    """The caller put the phone down."""


class Hand:
    """One caller's."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._keys: list[str] = []
        self._waited_s = 0.0

    def due_in_s(self, *, takes_keys: bool) -> float | None:
        """When the caller does something; None if not before somebody speaks."""
        match self._caller.next_step:
            case _ if self._keys:
                return 0.0 if takes_keys else None
            case Wait(ms=ms):
                return max(0.0, ms / 1000 - self._waited_s)
            case Dtmf() | Press():
                return 0.0 if takes_keys else None
            case HangUp():
                return 0.0
            case _:
                return None

    def wait(self, duration_s: float) -> None:
        """Time passes."""
        if isinstance(self._caller.next_step, Wait):
            self._waited_s += duration_s

    def act(self) -> str | None:
        """Does what is due: the key, if one is pressed. Raises `CallerHungUp`."""
        if not self._keys:
            match self._caller.take_step():
                case Dtmf(digits=digits):
                    self._keys = [digit for digit in digits if digit != "w"]
                case Press(digit=digit):
                    self._keys = [digit]
                case HangUp():
                    raise CallerHungUp
                case _:
                    self._waited_s = 0.0
        return self._keys.pop(0) if self._keys else None

    @property
    def speaks_next(self) -> bool:
        return not self._keys and isinstance(self._caller.next_step, Say)

    def speech(self) -> Sound | None:
        """What the caller says now, if the script has it here."""
        step = None if self._keys else self._caller.next_step
        if not isinstance(step, Say):
            return None
        self._caller.take_step()
        return step.sound
