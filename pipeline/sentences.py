"""Text as it is thought, cut into clauses as they can be spoken.

The first clause is short, so that the voice begins early; the later ones are whole sentences, because a voice that
sees the whole sentence speaks it better. How the text arrives (letter by letter or at once) changes nothing.
Nothing here knows of voices or models.
"""

from __future__ import annotations

import re
from typing import Final

FIRST_CLAUSE_CHARS: Final = 12
"""The first clause may end at any punctuation from here on; less is too little to sound like speech."""

FIRST_CLAUSE_LIMIT_CHARS: Final = 60
"""Four seconds of speech: without punctuation until here, the first clause ends at a space."""

LONG_CLAUSE_CHARS: Final = 120
"""A sentence longer than this may be cut at a comma."""

CLAUSE_LIMIT_CHARS: Final = 300
"""And from here on at a space: text without any punctuation must not wait for its end."""

_CLOSERS: Final = "\"'”’»)\\]」』）"
_FINAL_WIDE: Final = "。！？｡"

# One candidate is a place where the text may be cut; each looks one character ahead, so that it is certain.
_CANDIDATE: Final = re.compile(
    rf"""
      (?P<sentence> [.!?…]+ [{_CLOSERS}]* (?=\s)
                  | [{_FINAL_WIDE}]+ [{_CLOSERS}]* (?=[^{_CLOSERS}{_FINAL_WIDE}]) )
    | (?P<comma>    [,;:] [{_CLOSERS}]* (?=\s) | [，、；：]+ (?=[^，、；：]) | —+ (?=[^—]) | (?<=\s) [–-]+ (?=\s) )
    | (?P<space>    (?<=\S) (?=\s) )
    """,
    re.VERBOSE,
)

_ABBREVIATIONS: Final = frozenset(
    "dr. mr. mrs. ms. prof. st. sr. jr. vs. etc. approx. dept. ext. fig. inc. ltd. co. corp. "
    "jan. feb. mar. apr. jun. jul. aug. sep. sept. oct. nov. dec. mon. tue. wed. thu. fri. sat. sun.".split()
)
_INITIALS: Final = re.compile(r"(?!i\.$)([^\W\d_]\.)+")  # e.g. U.S. p.m. J. — but "so do I." is an end
_LIST_NUMBER: Final = re.compile(r"\d+\.")


class Clauses:
    """The clauses of one answer. `push` what was thought; what it returns is ready to be spoken."""

    def __init__(self) -> None:
        self._pending = ""
        self._looked = 0
        """No end lies before here: what was judged once stays judged, however much follows."""
        self._is_first = True

    def push(self, delta: str) -> list[str]:
        """The clauses that `delta` completes, with single spaces and none at the ends."""
        # A space that opens the text says nothing; kept, it would count as length.
        self._pending = (self._pending + delta) if self._pending else delta.lstrip()
        clauses: list[str] = []
        while (end := self._first_end()) is not None:
            clauses.append(_plain(self._pending[:end]))
            self._pending = self._pending[end:].lstrip()
            self._looked = 0
            self._is_first = False
        return clauses

    def flush(self) -> list[str]:
        """What is left at the end of the text: one clause or none. The next text begins anew."""
        rest = _plain(self._pending)
        self._pending = ""
        self._looked = 0
        self._is_first = True
        return [rest] if rest else []

    def _first_end(self) -> int | None:
        for candidate in _CANDIDATE.finditer(self._pending, self._looked):
            self._looked = end = candidate.end()
            if len(_plain(self._pending[:end])) >= self._least_chars(_kind(candidate, self._pending)):
                return end
        return None

    def _least_chars(self, kind: str) -> int:
        if self._is_first:
            return FIRST_CLAUSE_LIMIT_CHARS if kind == "space" else FIRST_CLAUSE_CHARS
        return {"sentence": 1, "comma": LONG_CLAUSE_CHARS, "space": CLAUSE_LIMIT_CHARS}[kind]


def _kind(candidate: re.Match[str], text: str) -> str:
    """`sentence`, `comma` or `space`: how strong an end the candidate is."""
    kind = candidate.lastgroup or "space"
    if kind != "sentence":
        return kind
    words = text[: candidate.end()].split()
    last = words[-1].lstrip("\"'“‘«([").lower()
    if last in _ABBREVIATIONS or _INITIALS.fullmatch(last):
        return "space"
    if len(words) == 1 and _LIST_NUMBER.fullmatch(last):
        return "space"
    # "Well... let me see": a hesitation, which a listener hears as a comma.
    return "comma" if ".." in last or "…" in last else "sentence"


def _plain(text: str) -> str:
    return " ".join(text.split())
