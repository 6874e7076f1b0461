"""Whether a voice owes us sound: it was given a clause and has made none since, or is not through with it."""

from __future__ import annotations

from pipeline.stall import Stall


class SoundOwed:
    """Of one attempt to speak. It owes nothing until a clause waits for it or it is given one."""

    def __init__(self, stall: Stall, limit_s: float) -> None:
        self.limit_s = limit_s
        self.has_all = False
        """It was told that there are no more clauses."""
        self.is_owing = False
        """It has made no sound since it was given something to say."""
        self._stall = stall
        self._is_through = True
        """It asks for its next clause, and the sound of the last is made: silence is its right."""
        self.asks_ahead = False
        """It asks for its next clause, but the sound of the last is not made."""
        self._is_held = False
        """We make it wait."""

    def given(self, *, is_last: bool = False) -> None:
        """A clause waits for it or was given to it; `is_last`: it was told that there are no more. What it owes
        already it owes since then: a row of clauses without sound is one silence."""
        owed_already = self.is_owing
        self._is_through = self.asks_ahead = False
        self.is_owing = owed_already or not is_last
        self.has_all = is_last
        if not owed_already:
            self._judge()

    def asked(self, *, is_through: bool) -> None:
        """It asks for its next clause; `is_through` if it has made the sound of the last, not asking ahead."""
        self._is_through, self.asks_ahead = is_through, not is_through
        if not self.is_owing:
            self._judge()

    def sounded(self, *, is_enough: bool) -> None:
        """It made sound; `is_enough`: with this it may have made all there is to what it was given."""
        self.is_owing = False
        if is_enough and self.asks_ahead:
            self._is_through = True
        self._judge()

    def hold(self) -> None:
        """What it made is being dealt with; meanwhile it owes nothing."""
        self._is_held = True
        self._judge()

    def release(self) -> None:
        if self._is_held:
            self._is_held = False
            self._judge()

    def renew(self) -> None:
        """It gave a sign of life at the moment its time was up."""
        self._judge()

    def extend(self, limit_s: float) -> None:
        """It is given more time, from now on."""
        self._stall.owes(limit_s - self.limit_s)
        self.limit_s = limit_s

    def _judge(self) -> None:
        if not self._is_held and (self.is_owing or not self._is_through):
            self._stall.owes(self.limit_s)
        else:
            self._stall.rests()
