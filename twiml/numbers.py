"""Phone numbers as people may see them: masked, so that logs and lists name nobody.

No numbering plan is consulted: a mask must never fail, and showing too little is the safe mistake.
"""

from __future__ import annotations

import re

HIDDEN = "•••"

WITHHELD = frozenset({"anonymous", "restricted", "unavailable", "unknown", "private"})
"""Words that stand where a number would, when the caller withholds it."""

_NORTH_AMERICAN = re.compile(r"\+1([0-9]{3})[0-9]{3}([0-9]{4})")
_INTERNATIONAL = re.compile(r"\+([0-9]{2})[0-9]{3,}([0-9]{4})")
_SCHEME = re.compile(r"(client|sips?):.*", re.DOTALL)
_WITHIN_TEXT = re.compile(r"(?:\+|%2[Bb])([0-9]{7,})")


def mask(number: str) -> str:
    """`+1 415 ••• 0134` for `+14155550134`; `+49 ••• 5678`; `client:•••`; `•••` for anything else.

    Shows at most a country's or area's prefix and the last four digits, and hides at least three digits.
    """
    if matched := _NORTH_AMERICAN.fullmatch(number):
        return f"+1 {matched[1]} {HIDDEN} {matched[2]}"
    if matched := _INTERNATIONAL.fullmatch(number):
        return f"+{matched[1]} {HIDDEN} {matched[2]}"
    if matched := _SCHEME.fullmatch(number):
        return f"{matched[1]}:{HIDDEN}"
    return number if number in WITHHELD else HIDDEN


def mask_within(text: str) -> str:
    """The text with every number in international form masked; `%2B`, the plus of a URL, counts as a plus."""
    return _WITHIN_TEXT.sub(lambda found: mask("+" + found[1]), text)
