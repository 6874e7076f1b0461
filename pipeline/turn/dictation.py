"""What is read out piece by piece: telephone numbers, codes, spelled names, e-mail addresses. Pure: words in, how
far it has come out.

Who dictates pauses in the middle as a matter of course, about a second between groups, and the sentence is
grammatical at every pause. So the last words are counted instead of parsed. English number words; digits written
as figures are understood in any language.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class Dictation(enum.Enum):
    """How far something dictated has come."""

    LONE = "lone"
    """One short piece and nothing else: the whole answer ("two"), or the first digit of many."""
    GOING_ON = "going on"
    COMPLETE = "complete"
    """A telephone number has all its digits, an address its last part."""


UNITS: Final = {
    **dict(zip("zero one two three four five six seven eight nine".split(), "0123456789", strict=True)),
    "oh": "0",
    "nought": "0",
}
TEENS: Final = dict(
    zip(
        "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(),
        (str(number) for number in range(10, 20)),
        strict=True,
    )
)
TENS: Final = dict(
    zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), "23456789", strict=True),
)
MAGNITUDES: Final = {"hundred": "00", "thousand": "000"}
REPEATS: Final = {"double": 2, "triple": 3}
LETTER_WORDS: Final = "ai"
"""Words of one letter."""
JOINERS: Final = frozenset("dash hyphen space then um uh er plus".split())
"""Said between two pieces of one number."""
HALVES_OF_THE_DAY: Final = (["a", "m"], ["p", "m"])
LIKENESS: Final = (("as", "in"), ("for",), ("like",))
"""B as in boy, B for boy, B like boy."""

ANSWER_OPENERS: Final = frozenset("yes yeah yep sure okay ok so um uh er it it's its is that's the my and".split())
"""Said before an answer that is otherwise nothing but a number."""

GENERAL_LEADS: Final = frozenset("number code digits spell spelled spelling spelt".split())
FULL_COUNTS: Final[dict[str, frozenset[int]]] = {
    **dict.fromkeys("phone telephone mobile cell".split(), frozenset({10, 11})),
    **dict.fromkeys("zip zipcode".split(), frozenset({5, 9})),
    "pin": frozenset({4}),
    "social": frozenset({9}),
    **dict.fromkeys("credit debit card".split(), frozenset({15, 16})),
    **dict.fromkeys(
        "account order reference tracking confirmation policy ticket member customer booking serial iban "
        "extension routing invoice".split(),
        frozenset[int](),
    ),
}
"""By what is being dictated: with how many digits it is complete. None: nobody knows."""
USUAL_COUNTS: Final = frozenset({10, 11, 16})
"""Where nothing was said of its kind: telephone numbers and cards."""
TRUNK_DIGITS: Final = "01"
"""A telephone number that begins so has eleven digits (0… in Britain, 1… in North America), any other ten."""
LEAD_WORDS: Final = 5
"""A number belongs to a word like "account" at most so many words before it ("number is, let me see")."""

MAIL_LEADS: Final = ("email", "email address", "mail address")
MAIL_VERBS: Final = ("is", "it's", "would be")
MAIL_WORDS: Final = 5
"""Nobody announced an address; but who said "dot" so many words ago at most is at one ("dot smith at example")."""
TOP_DOMAINS: Final = frozenset("com net org edu gov io info biz de uk fr es it nl eu us ca au in".split())


@dataclass(frozen=True, slots=True)
class Run:
    """The letters and digits that a text ends with."""

    characters: str
    """As they would be written: "double five" is 55."""
    pieces: int
    """In how many it was said: "twenty one" is one."""
    begins: int
    """Index of its first word."""
    is_amount: bool
    """It has a hundred or a thousand in it."""
    awaits_more: bool
    """It ends with "double" or "triple"."""


def dictation_at_end(words: list[str]) -> Dictation | None:
    """`words` in lower case, without punctuation. None: the text does not end in something dictated."""
    return _mail(words) or _number(words)


def _number(words: list[str]) -> Dictation | None:
    run = last_run(words)
    if run is None:
        return None
    before = words[: run.begins]
    lead = _lead(before)
    is_bare = all(word in ANSWER_OPENERS for word in before)
    letters = [character for character in run.characters if character.isalpha() and character not in LETTER_WORDS]
    is_long = run.pieces >= 3 or (run.pieces == 2 and (len(letters) == 2 or len(run.characters) >= 5))
    if lead is None and not is_bare and (run.is_amount or not is_long):
        return None
    if run.awaits_more:
        return Dictation.GOING_ON if run.characters or lead is not None else None
    if is_complete(run.characters, USUAL_COUNTS if lead is None else lead):
        return Dictation.COMPLETE
    # "Two" and "twenty one" may be an answer; "double two" and "B as in boy" are read from something.
    is_plain = len(words) - run.begins <= 2 and words[run.begins] not in REPEATS
    if lead is None and is_plain and run.pieces == 1 and len(run.characters) <= 2:
        return Dictation.LONE
    return Dictation.GOING_ON


def is_complete(characters: str, counts: frozenset[int]) -> bool:
    """Whether so many digits make a whole number."""
    length = len(characters)
    if length not in counts or not characters.isdecimal():
        return False
    if length in (10, 11):
        return (length == 11) == (characters[0] in TRUNK_DIGITS)
    return True


def _lead(before: list[str]) -> frozenset[int] | None:
    """With how many digits the thing announced is complete; None if nothing was announced."""
    is_general = False
    for word in reversed([word for word in before if not word.isdecimal()][-LEAD_WORDS:]):
        if word in FULL_COUNTS:
            return FULL_COUNTS[word]
        is_general |= word in GENERAL_LEADS
    return USUAL_COUNTS if is_general else None


def last_run(words: list[str]) -> Run | None:
    """The letters and digits at the end of `words`; None if there are none."""
    begins = len(words)
    while begins:
        begun = _piece_before(words, begins)
        if begun == begins:
            break
        begins = begun
    while begins < len(words) and words[begins] in JOINERS:
        begins += 1
    if begins == len(words) or words[-1] in JOINERS or words[-2:] in HALVES_OF_THE_DAY:
        return None
    characters, pieces = _written(words[begins:])
    awaits_more = words[-1] in REPEATS
    characters = characters if characters.strip(LETTER_WORDS) else ""
    if not characters and not awaits_more:
        return None
    is_amount = any(word in MAGNITUDES for word in words[begins:])
    return Run(characters, pieces, begins, is_amount, awaits_more)


def _piece_before(words: list[str], end: int) -> int:
    """Where the piece that ends at `end` begins; `end` if no piece ends there."""
    for likeness in LIKENESS:
        begin = end - len(likeness) - 2
        if begin >= 0 and tuple(words[begin + 1 : end - 1]) == likeness and _is_letter(words[begin]):
            return begin
    return end - 1 if _is_piece(words[end - 1]) else end


def _is_piece(word: str) -> bool:
    return (
        word in UNITS
        or word in TEENS
        or word in TENS
        or word in MAGNITUDES
        or word in REPEATS
        or word in JOINERS
        or _is_letter(word)
        or _is_figures(word)
    )


def _is_letter(word: str) -> bool:
    return len(word) == 1 and word.isascii() and word.isalpha()


def _is_figures(word: str) -> bool:
    return word.replace(".", "").isdecimal()


def _written(words: list[str]) -> tuple[str, int]:
    """A run as it would be written, and its pieces."""
    written, pieces, repeat, at = "", 0, 1, 0
    while at < len(words):
        word = words[at]
        at += 1
        if word in REPEATS:
            repeat = REPEATS[word]
            continue
        if word in JOINERS:
            continue
        if word in MAGNITUDES:
            written += MAGNITUDES[word]
            continue
        if word in TENS:
            unit = UNITS.get(words[at], "0") if at < len(words) else "0"
            at += unit != "0"
            piece = TENS[word] + unit
        elif _is_letter(word):
            piece = word
            at += next((len(like) + 1 for like in LIKENESS if tuple(words[at : at + len(like)]) == like), 0)
        else:
            piece = UNITS.get(word) or TEENS.get(word) or word.replace(".", "")
        written += piece * repeat
        pieces += 1
        repeat = 1
    return written, pieces


def _mail(words: list[str]) -> Dictation | None:
    """An e-mail address, spoken ("john dot smith at example dot com") or written."""
    if "@" in words[-1]:
        return Dictation.COMPLETE if "." in words[-1].partition("@")[2] else Dictation.GOING_ON
    announced = _after_mail_lead(words)
    address = words[-MAIL_WORDS:] if announced is None else announced
    since_dot = address[::-1].index("dot") if "dot" in address else None
    if since_dot and address[-since_dot] in TOP_DOMAINS:
        return Dictation.COMPLETE if since_dot == 1 else None
    if announced or since_dot is not None:
        return Dictation.GOING_ON
    return None


def _after_mail_lead(words: list[str]) -> list[str] | None:
    text = " ".join(words)
    for lead in MAIL_LEADS:
        for verb in MAIL_VERBS:
            _, found, rest = text.rpartition(f"{lead} {verb}")
            if found:
                return rest.split()
    return None
