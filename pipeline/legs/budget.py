"""The budget of a session for second requests: speed is bought with money, and not without end.

Pure. What a second request is for is not its business.
"""

from __future__ import annotations

from typing import Final

AT_THE_BEGINNING: Final = 2
"""A call that begins badly is helped at once."""

ANSWERS_FOR_ONE: Final = 5
"""One more for so many answers: in the long run at most a fifth more requests, and with a hedge after the 95th
percentile one in twenty is what is needed."""


class Budget:
    """Second requests that one session may still make."""

    def __init__(self) -> None:
        self._left = AT_THE_BEGINNING
        self._answers = 0

    @property
    def has_left(self) -> bool:
        return self._left > 0

    def earn(self) -> None:
        """An answer begins."""
        self._answers += 1
        if self._answers % ANSWERS_FOR_ONE == 0:
            self._left += 1

    def spend(self) -> bool:
        """One is made, if there is one left."""
        if not self.has_left:
            return False
        self._left -= 1
        return True
