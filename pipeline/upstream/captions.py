"""Captions: which words of an answer are spoken where in its sound, for a voice that does not say. Pure.

A remote service sends the words ahead of their sound or with it (Realtime reference, section D.3), both faster than
they are heard. So a word is never spoken before the place the sound had reached when the word came; and once all
words and all sound are here, those not placed yet share the rest of the sound in proportion to their length.
Times are milliseconds of the answer's sound.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Final

from pipeline.provider import WordTime

CHARS_PER_S: Final = 15.0
"""Ordinary speech: what is assumed while more is to come. As the playback ledger does."""

LATE_MS: Final = 250.0
"""Words placed so far before the sound they come with are given times of their own."""

_WORD: Final = re.compile(r"\s*(\S+?(?:[。！？，、；：]+|(?=\s)))")
"""A word is complete once something that is no part of it follows; such scripts as have no spaces end at marks."""


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    least_ms: float
    """The sound had come so far when it came."""


@dataclass(frozen=True, slots=True)
class Caption:
    """Words that begin with a piece of sound, and their times where they began before it."""

    text: str = ""
    words: tuple[WordTime, ...] = ()


class Captions:
    """Of one answer. `push` and `sound` as they come; `next_ms` and `take` as the sound is passed on."""

    def __init__(self) -> None:
        self._pending = ""
        self._words: deque[_Word] = deque()
        self._chars = 0
        """Of `_words`, each with the space after it."""
        self._placed_ms = 0.0
        """Where the next word may begin at the earliest: the end of the last one placed."""
        self._is_whole = False
        self.made_ms = 0.0
        """Of sound, so far."""

    def push(self, text: str) -> None:
        """More words of it."""
        self._pending += text
        at = 0
        while match := _WORD.match(self._pending, at):
            self._add(match[1])
            at = match.end()
        self._pending = self._pending[at:]

    def sound(self, ms: float) -> None:
        """More sound of it."""
        self.made_ms += ms

    def finish(self) -> None:
        """Neither words nor sound will come any more."""
        if rest := self._pending.strip():
            self._add(rest)
        self._pending = ""
        self._is_whole = True

    @property
    def next_ms(self) -> float | None:
        """Where the next word begins, as far as is known now; None while there is none."""
        if not self._words:
            return None
        return self._placed_ms if self._is_whole else max(self._placed_ms, self._words[0].least_ms)

    def take(self, at_ms: float) -> Caption:
        """The words that begin by `at_ms`, once."""
        taken: list[tuple[str, float]] = []
        while (begins_ms := self.next_ms) is not None and begins_ms <= at_ms:
            pace = self._chars_per_ms(begins_ms)
            word = self._words.popleft()
            self._chars -= len(word.text) + 1
            self._placed_ms = begins_ms + (len(word.text) + 1) / pace
            taken.append((word.text, begins_ms))
        if not taken:
            return Caption()
        text = " ".join(word for word, _ in taken)
        if at_ms - taken[0][1] < LATE_MS:
            return Caption(text)
        return Caption(text, tuple(WordTime(word, round(begins_ms - at_ms)) for word, begins_ms in taken))

    def rest(self, at_ms: float) -> Caption:
        """All words that are left, with the last of the sound."""
        self.finish()
        caption = self.take(at_ms)
        left = [word.text for word in self._words]
        self._words.clear()
        self._chars = 0
        if not left:
            return caption
        text = " ".join([caption.text, *left] if caption.text else left)
        if not caption.words:
            return Caption(text)
        return Caption(text, (*caption.words, *(WordTime(word, 0) for word in left)))

    def _add(self, text: str) -> None:
        self._words.append(_Word(text, self.made_ms))
        self._chars += len(text) + 1

    def _chars_per_ms(self, begins_ms: float) -> float:
        left_ms = self.made_ms - begins_ms
        if self._is_whole and left_ms > 0:
            return self._chars / left_ms
        return CHARS_PER_S / 1000
