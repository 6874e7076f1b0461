"""How far a text was heard: where it is to be cut, and with which word it goes on. Pure.

What was heard is told by a voice, clause by clause or word by word; the text is a model's. Both have the same
letters and digits, and differ in white space and punctuation, so letters are what is counted.
"""

from __future__ import annotations

import unicodedata


def has_words(text: str) -> bool:
    """Whether there is anything in it to be said."""
    return any(char.isalnum() for char in text)


def parted(text: str, heard: str) -> tuple[str, str]:
    """What of `text` was heard, and the rest, which begins with the first word not heard to its end.

    Both together are the text, without the white space at its ends and between them. Of a text that was heard to
    its last letter nothing is left.
    """
    left = sum(char.isalnum() for char in heard)
    end = len(text)
    for at, char in enumerate(text):
        if not left and char.isalnum():
            end = _word_begin(text, at)
            break
        left -= char.isalnum()
    return text[:end].strip(), text[end:].strip()


def _word_begin(text: str, first: int) -> int:
    """Where the word begins whose letter at `first` was not heard, its opening marks with it."""
    at = first
    while at and not text[at - 1].isspace():
        if _stands_alone(text[at - 1]) or (_stands_alone(text[first]) and text[at - 1].isalnum()):
            return _behind_closers(text, at, first)
        at -= 1
    return at


def _stands_alone(char: str) -> bool:
    """Of a script that puts no spaces between its words: there each letter may be the end of one."""
    return char.isalnum() and unicodedata.east_asian_width(char) in "WF"


def _behind_closers(text: str, at: int, first: int) -> int:
    """Punctuation between two letters belongs to the one before, unless it opens something."""
    while at < first and unicodedata.category(text[at]) not in ("Ps", "Pi"):
        at += 1
    return at
