"""Numbers as they are said on a telephone: "four eight one five", "forty-eight fifteen", "double oh seven".

Digit by digit or in pairs, never as a quantity: "four thousand" stays two words.
"""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {
    word: str(value) for value, word in enumerate("zero one two three four five six seven eight nine".split())
}
_TEENS: Final = {
    word: str(value)
    for value, word in enumerate(
        "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(), start=10
    )
}
_TENS: Final = {
    word: str(value)
    for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)
}
_REPEATS: Final = {"double": 2, "triple": 3}
_OH: Final = "oh"

_WORD: Final = re.compile(r"\d+|[^\W\d_]+(?:['’][^\W\d_]+)*")


def normalise(text: str) -> str:
    """Lower-case words with single spaces, without punctuation, each run of spoken or written digits as one."""
    words = _WORD.findall(text.lower().replace("’", "'"))
    out: list[str] = []
    at = 0
    while at < len(words):
        digits, used = _run(words, at)
        out.append(digits or words[at])
        at += used or 1
    return " ".join(out)


def spell(digits: str) -> str:
    """The characters one by one, so that a voice does not make thousands of them."""
    return " ".join(digits)


def _run(words: list[str], start: int) -> tuple[str, int]:
    """The digits that begin at `start` and how many words they take; ("", 0) if none do."""
    digits, at = "", start
    while at < len(words):
        some, used = _digits(words, at, is_inside=bool(digits))
        if not used:
            break
        digits, at = digits + some, at + used
    return digits, at - start


def _digits(words: list[str], at: int, *, is_inside: bool) -> tuple[str, int]:
    word = words[at]
    after = words[at + 1] if at + 1 < len(words) else ""
    # "oh" is a zero beside other digits only; alone it is a sigh.
    is_zero = word == _OH and (is_inside or after in _UNITS or after == _OH)
    if word.isdigit():
        return word, 1
    if is_zero:
        return "0", 1
    if word in _UNITS:
        return _UNITS[word], 1
    if word in _TEENS:
        return _TEENS[word], 1
    if word in _TENS:
        unit = _UNITS.get(after, "0")
        return (_TENS[word] + unit, 2) if unit != "0" else (_TENS[word] + "0", 1)
    if word in _REPEATS and (repeated := "0" if after == _OH else _UNITS.get(after)):
        return repeated * _REPEATS[word], 2
    return "", 0
