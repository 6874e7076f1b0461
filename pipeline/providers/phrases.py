"""What callers are expected to say, as a grammar for a small recogniser (JSGF, W3C note of June 2000).

An agent declares phrases; each is a JSGF expansion: `(talk | speak) to [a] person`, with `<digit>` for a spoken
digit and `<digits>` for one or more. Beside them the grammar holds a loop over all single sounds of English: what
fits no phrase fits the loop better, so "none of these" is an answer too and nothing is forced onto a phrase.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_DIGITS: Final = ("zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

_PHONES: Final = (
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
).split()
"""ARPAbet, as in the CMU pronouncing dictionary."""

_SOUND_MARK: Final = "sound_"

SOUNDS: Final = {_SOUND_MARK + phone.lower(): phone for phone in _PHONES}
"""The loop's words and how each is pronounced; the recogniser's dictionary must be given them."""

_SOUND_WEIGHT: Final = 1e-3
"""Price of each sound of the loop. On 20 clips of two synthetic voices that speak the demo's phrases over µ-law,
0.1 loses three of them to the loop, 0.001 none, and from 1e-8 on other sentences are taken for phrases."""

_WORD: Final = re.compile(r"[a-z][a-z'.-]*")
_RULE_NAME: Final = re.compile(r"<([^>]*)>")
_KNOWN_RULES: Final = {"digit", "digits"}


def words_of(phrases: Sequence[str]) -> list[str]:
    """Every word of `phrases` and of the digits, once, in alphabetical order: each needs a pronunciation."""
    plain = (_RULE_NAME.sub(" ", phrase.lower()) for phrase in phrases)
    return sorted({word for phrase in plain for word in _WORD.findall(phrase)} | set(_DIGITS))


def phrase_grammar(phrases: Sequence[str]) -> str:
    """JSGF text of `phrases` and the loop. Raises `ValueError` for an unknown rule in angle brackets."""
    for phrase in phrases:
        for rule in _RULE_NAME.findall(phrase):
            if rule not in _KNOWN_RULES:
                raise ValueError(f"Phrase {phrase!r} uses <{rule}>; only <digit> and <digits> are known")
    expected = " | ".join(f"({phrase.lower()})" for phrase in phrases)
    return f"""#JSGF V1.0;
grammar phrases;
<digit> = {" | ".join(_DIGITS)};
<digits> = <digit>+;
<expected> = {expected};
<sound> = {" | ".join(SOUNDS)};
<sounds> = <sound> | /{_SOUND_WEIGHT}/ <sound> <sounds>;
public <utterance> = /1/ <expected> | /{_SOUND_WEIGHT}/ <sounds>;
"""


def is_expected(hypothesis: str) -> bool:
    """Whether the recogniser took a phrase and not the loop."""
    return bool(hypothesis) and _SOUND_MARK not in hypothesis
