"""Patience: how long a caller is left in silence while an answer is owed, and what is said to break it.

The session knows whether somebody is kept waiting; this keeps the time. After a first wait, and then again and
again, the next of a few phrases is played, which are spoken beforehand: they come at once, and come even if the
voice has failed. After the last phrase the first is said again, since several limits may pass one after another;
once all were said `ROUNDS` times, every provider's limit has passed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

FIRST_WAIT_S = 1.2
"""From the moment an answer is owed; with the half second of silence that ends a turn, people wait 1.7 s."""

NEXT_WAIT_S = 2.0
"""From the end of one phrase to the next."""

ROUNDS = 3
"""Of all phrases: with three of them half a minute, and nobody listens longer to an agent who does not answer."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Something to be heard while one waits, in the session's output format."""

    text: str
    sound: bytes


class Patience:
    """Of one session; used from the event loop only. `fill` plays a phrase."""

    def __init__(
        self,
        is_keeping_waiting: Callable[[], bool],
        fill: Callable[[Phrase], None],
        *,
        first_wait_s: float = FIRST_WAIT_S,
        next_wait_s: float = NEXT_WAIT_S,
    ) -> None:
        self._is_keeping_waiting = is_keeping_waiting
        self._fill = fill
        self._first_wait_s = first_wait_s
        self._next_wait_s = next_wait_s
        self._phrases: Sequence[Phrase] = ()
        self._said = 0
        """Phrases of this wait."""
        self._timer: asyncio.TimerHandle | None = None

    def have(self, phrases: Sequence[Phrase]) -> None:
        """These are there to be said."""
        self._phrases = phrases

    def look(self) -> None:
        """Something has happened: somebody may be kept waiting now, or no longer."""
        if self._timer is None:
            if self._has_more and self._is_keeping_waiting():
                wait_s = self._next_wait_s if self._said else self._first_wait_s
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._speak)
        elif not self._is_keeping_waiting():
            self._stop()

    def answered(self) -> None:
        """The answer is heard, or the caller speaks again: the next wait is a new one."""
        self._said = 0

    def leave(self) -> None:
        """The session ends."""
        self._stop()
        self._phrases = ()

    @property
    def _has_more(self) -> bool:
        return self._said < ROUNDS * len(self._phrases)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _speak(self) -> None:
        self._timer = None
        if self._is_keeping_waiting() and self._has_more:
            phrase = self._phrases[self._said % len(self._phrases)]
            self._said += 1
            self._fill(phrase)
