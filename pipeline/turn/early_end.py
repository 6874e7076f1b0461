"""An early guess that the caller has finished: a short silence behind words that are known. Pure.

A guess costs nothing but a model's answer that is thrown away, so it is made long before the turn is over. It is
taken back when the voice is heard again, and made anew when other words have come.
"""

from __future__ import annotations

import enum
import re

EARLY_MS = 250
"""Partial transcripts come 100 to 250 ms late: sooner than this the last word is often missing, and the guess is
for nothing. `switchboard bench-turns` measures what an earlier one saves and wastes."""

MOST_GUESSES = 3
"""For one utterance: who pauses more often is thinking, and each guess may cost a whole answer."""


class Guess(enum.Enum):
    FINISHED = "finished"
    GOES_ON = "goes on"


class EarlyEnd:
    """Of one session's utterances. Positions are samples of input at `rate_hz`."""

    def __init__(self, rate_hz: int) -> None:
        self._silence = EARLY_MS * rate_hz // 1000
        self.forget()

    def forget(self) -> None:
        """The utterance is over, or void."""
        self._pause: int | None = None
        """Where the voice ended before the pause of the guess that stands."""
        self._words: tuple[str, ...] = ()
        self._guesses = 0

    def look(self, heard: int, voice_end: int | None, text: str, *, is_hinted: bool = False) -> Guess | None:
        """What to make of the silence, `heard` samples into the input; news only.

        `voice_end`: where the voice was last heard; None while nobody speaks. `is_hinted`: the transcriber thinks
        that the caller may have finished, so no silence need be waited for.
        """
        if voice_end is None:
            return None
        if self._pause is not None and voice_end != self._pause:
            self._pause = None
            return Guess.GOES_ON
        words = tuple(re.findall(r"\w+", text.casefold()))
        is_news = self._pause is None or words != self._words
        if not words or not is_news or self._guesses >= MOST_GUESSES:
            return None
        if not is_hinted and heard - voice_end < self._silence:
            return None
        self._pause, self._words = voice_end, words
        self._guesses += 1
        return Guess.FINISHED

    def take_back(self) -> bool:
        """The transcriber says that the caller goes on. True if a guess stood."""
        stood, self._pause = self._pause is not None, None
        return stood
