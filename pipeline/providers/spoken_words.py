"""The words of one answer: what a voice was told to say, met with the times its service reports.

A service spells in its own way: it splits "9:30", joins "of the", says "five dollars" for "$5" and leaves words
out. What comes out of here is the text as it was told, each word once and in order; a word without a time of its
own takes that of the next that has one, so that nobody is thought to have heard it early. Pure.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from pipeline.provider import WordTime

LOOK_AHEAD_WORDS: Final = 8
"""How many words a service may have spelled beyond recognition before one that is the same is no longer looked for;
further ahead the same little word is likely another one."""


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    letters: str
    """Without case and punctuation; empty for a dash."""


class SpokenWords:
    """One answer's. All times are milliseconds from the beginning of its sound."""

    def __init__(self) -> None:
        self._waiting: deque[_Word] = deque()
        self._rest = ""
        """Letters of a word that has its time already; the service may report it in pieces."""
        self._last = WordTime("", 0)
        self._told = 0
        self._timed = 0
        self._ends: list[int] = []
        """How many words there were at the end of each clause."""
        self.can_be_heard = False
        """There was something in it to pronounce."""

    def tell(self, clause: str) -> None:
        """The voice was told to say `clause`, after all others."""
        words = [_Word(word, _letters(word)) for word in clause.split()]
        self._waiting.extend(words)
        self._told += len(words)
        self._ends.append(self._told)
        self.can_be_heard = self.can_be_heard or any(word.letters for word in words)

    def time(self, piece: str, start_ms: float) -> list[WordTime]:
        """The service says that `piece`, a word or a part of one, begins at `start_ms`. Words this makes known."""
        letters = _letters(piece)
        known: list[WordTime] = []
        while letters:
            if self._rest:
                letters = self._go_on(letters)
                continue
            count = self._words_until(letters)
            if count is None:
                break
            self._rest = self._waiting[count - 1].letters
            known.extend(self._take(count, start_ms))
        return known

    def spread(self, until_ms: float, clauses: int | None = None) -> list[WordTime]:
        """Words that got no time, of all clauses or the first so many, spread over the sound up to `until_ms`."""
        ends = self._told if clauses is None else self._ends[min(clauses, len(self._ends)) - 1]
        words = [self._waiting[at] for at in range(max(0, ends - self._timed))]
        self._rest = "" if words else self._rest
        # A clause that begins where the sound ends would never be heard.
        latest_ms = max(0.0, until_ms - 1)
        begins_ms = min(float(self._last.start_ms), latest_ms)
        before = len(self._last.text)
        whole = before + sum(len(word.text) for word in words)
        known: list[WordTime] = []
        for word in words:
            start_ms = begins_ms + (until_ms - begins_ms) * before / whole
            before += len(word.text)
            known.extend(self._take(1, min(start_ms, latest_ms)))
        return known

    def _go_on(self, letters: str) -> str:
        """What is left of `letters` after those that belong to the word already timed."""
        rest, self._rest = self._rest, ""
        if letters.startswith(rest):
            return letters[len(rest) :]
        if rest.startswith(letters):
            self._rest = rest[len(letters) :]
            return ""
        return letters  # the service spells its end in another way

    def _words_until(self, letters: str) -> int | None:
        """How many of the waiting words end with the one that `letters` begin; `None` if it is none of them."""
        ahead = [self._waiting[at] for at in range(min(LOOK_AHEAD_WORDS, len(self._waiting)))]
        pronounced = [(at, word.letters) for at, word in enumerate(ahead, 1) if word.letters]
        for number, (at, word) in enumerate(pronounced):
            is_next = number == 0 and (word.startswith(letters) or letters.startswith(word))
            if is_next or word == letters:
                return at
        return None

    def _take(self, count: int, start_ms: float) -> list[WordTime]:
        taken: list[WordTime] = []
        for _ in range(count):
            start = max(self._last.start_ms, round(start_ms))
            self._last = WordTime(self._waiting.popleft().text, start)
            taken.append(self._last)
        self._timed += count
        return taken


def _letters(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
