"""Whether what was said so far sounds finished. Pure text rules: a partial transcript in, an `Ending` out.

The rules are tables of English words that a sentence does not end with. A word nobody knows here finishes a
sentence like any other, so that another language is answered as fast as English. Words that English shares with
other languages ("an" ends many a German sentence) do not count where the rest is not English.
How long to wait for which ending, `semantic_vad.py` says.
"""

from __future__ import annotations

import enum
import re
from typing import Final

from pipeline.turn.dictation import Dictation, dictation_at_end


class Ending(enum.Enum):
    """How a transcript ends, from what is answered soonest to what is waited for longest."""

    FINISHED = "finished"
    UNKNOWN = "unknown"
    """No words: the transcriber gives none before the end, or is late."""
    OPEN = "open"
    """May be all, or may go on: a lone digit, a clause with a comma behind it."""
    DICTATING = "dictating"
    """In the middle of digits, letters or an address. Pauses belong to it; when it is over, nobody can tell."""
    UNFINISHED = "unfinished"
    """No sentence ends so."""


ENDING_OF_DICTATION: Final = {
    Dictation.LONE: Ending.OPEN,
    Dictation.GOING_ON: Ending.DICTATING,
    Dictation.COMPLETE: Ending.FINISHED,
}

LONGEST_PHRASE: Final = 4
"""Words in the longest entry of the tables of phrases below."""

MOST_WORDS: Final = 40
"""Only the end of a long speech is looked at."""

ENDS_NOTHING: Final = frozenset(
    # Articles and what else stands before a noun
    "a an the my your our their every very "
    # Conjunctions
    "and or but because if although unless whereas whether than "
    # Contractions: their verb wants its other half
    "i'm you're we're they're he's she's it's that's there's here's what's who's where's how's "
    "i'd you'd we'd they'd he'd she'd i'll you'll we'll they'll he'll she'll it'll i've you've we've they've "
    # Fillers
    "um umm uh uhm erm er ehm eh hm hmm mm".split()
)
"""Not even a question ends with these."""

SELDOM_ENDS: Final = frozenset(
    # Prepositions
    "of to in on at for with from about into onto between during without toward towards via per by as under "
    # Verbs that lead on
    "is are was were am be will would could should can might must do does did have has had want need like prefer "
    "said says "
    # Conjunctions that may stand alone
    "so while since when "
    # Subjects
    "i he she we they "
    # Read aloud inside an address or a number
    "dot dash hyphen underscore slash".split()
)
"""A question may end with these ("what is it for"), a short answer as well ("yes it is")."""

STRANDED: Final = frozenset(
    "of to in on at for with from about into by like want need is are was were be have said says".split()
)
"""Left behind at the end of a question, asked or told: "who am I speaking to", "I don't know what it is for"."""
SUBJECTS: Final = frozenset("i he she we they".split())
"""End a sentence behind a verb only: "so do I"."""
QUESTION_WORDS: Final = frozenset("what what's who who's whom whose where where's which how when why".split())

VERBS: Final = frozenset(
    "is are was were am will would could should can might must do does did have has had".split()
)
"""Finish a sentence after a pronoun: "yes I do"."""
PRONOUNS: Final = frozenset("i you he she it we they that this there here".split())
SHORT_ANSWERS: Final = frozenset("yes yeah yep no nope sure".split())

FINISHED_PHRASES: Final = frozenset(
    {"think so", "hope so", "guess so", "believe so", "suppose so", "say so", "a while", "and so on", "ever since"}
    | {"log in", "sign in", "check in", "come in", "move in", "call in", "go on", "going on", "come on", "carry on"}
    | {"turn on", "get in", "get on", "log on", "put on", "keep on", "later on", "from now on", "work on"}
    | {"oh my", "mm hmm", "if i may", "if you like", "if you want", "since when", "let you know", "what i mean"}
)
"""End with a word that otherwise seldom does."""

UNFINISHED_PHRASES: Final = frozenset(
    {"i was wondering", "i'm looking", "i'm calling", "i would like", "you know", "you please", "i mean", "as in"}
    # The caller asks for time
    | {"let me see", "let me think", "let me check", "hold on", "hang on", "one moment", "one second"}
    | {"just a second", "just a moment", "just a minute", "give me a second", "wait a second", "wait a minute"}
)
"""End with a word that otherwise often does."""

UNFINISHED_ALONE: Final = frozenset(
    {"my name", "my number", "my phone number", "my email", "my address", "my account", "my question"}
    | {"can you", "could you", "would you", "do you", "can i", "could i", "i", "i have", "i was"}
    | {"the number", "don't", "wait", "well", "so", "actually", "also", "i think", "i guess", "i believe", "i hope"}
)
"""Nothing but this, or this after an opening word, is a beginning."""
OPENERS: Final = frozenset("yes yeah yep no okay ok so and um uh er well hi hello sure".split())

SHARED: Final = frozenset(
    "a an in on so as am was do does is or to of per i he we for by will had eh er um "
    "must be want when like".split()
)
"""Words of other languages too, where they often stand last: there they count for nothing."""

FOREIGN: Final = frozenset(
    "ich du sie wir ihr der das den dem ein eine einen nicht ist sind und oder mit bitte mich mir da ja nein noch "
    "je tu il elle nous vous le la les une des et est pas ne que qui pour avec oui "
    "el los las y es por para con mi muy lo gli che non sono si os uma em "
    "ik jij het een de niet en wat dat voor va".split()
)
"""The commonest words of German, French, Spanish, Italian, Portuguese and Dutch that English lacks."""
ENGLISH: Final = frozenset(
    "the and you your my this that what have need would could should with please from they it i'd i'm it's".split()
)
"""One of these makes a text English, though a foreign name be in it ("Los Angeles")."""

DETERMINERS: Final = frozenset("the a an my your our their his her this that".split())
CONDITIONS: Final = frozenset("if unless although".split())
LONGEST_CONDITION: Final = 4
"""Words in a condition that stands alone so far, "if it rains". A longer one may have its main clause behind it."""

LEADS_ON: Final = (",", ";", ":", "،", "、", "，")
"""A transcriber that writes one of these heard that more is coming, or thinks so."""
BREAKS_OFF: Final = ("...", "…", "-", "–", "—")
ASKS: Final = ("?", "？", "؟")

_WORD: Final = re.compile(r"\w+(?:['@.&_]+\w+)*")
_SENTENCE: Final = re.compile(r"[.?!]\s+")


def ending_of(text: str) -> Ending:
    """How `text` ends, the transcript of one utterance so far.

    A full stop says little: many transcribers write one at every pause. A question mark says more.
    """
    text = text.strip(" \t\r\n\"'”»").casefold().replace("’", "'")
    words = words_of(text)
    if not words:
        return Ending.UNKNOWN
    dictation = dictation_at_end(words)
    if dictation is not None:
        return ENDING_OF_DICTATION[dictation]
    last_sentence = words_of(_SENTENCE.split(text)[-1]) or words
    ending = _ending_of_words(last_sentence, is_foreign=_is_foreign(words), is_question=text.endswith(ASKS))
    if ending is not Ending.FINISHED:
        return ending
    if text.endswith(BREAKS_OFF):
        return Ending.UNFINISHED
    return Ending.OPEN if text.endswith(LEADS_ON) else Ending.FINISHED


def words_of(text: str) -> list[str]:
    """The last words of `text`, which is in lower case. What a hyphen joins is several words."""
    return _WORD.findall(text.replace("e-mail", "email"))[-MOST_WORDS:]


def _is_foreign(words: list[str]) -> bool:
    if not ENGLISH.isdisjoint(words):
        return False
    return not FOREIGN.isdisjoint(words) or not " ".join(words).isascii()


def _ending_of_words(words: list[str], *, is_foreign: bool, is_question: bool) -> Ending:
    last = words[-1]
    if _ends_with(words, FINISHED_PHRASES):
        return Ending.FINISHED
    if _ends_with(words, UNFINISHED_PHRASES) or _is_beginning(words):
        return Ending.UNFINISHED
    if is_foreign and last in SHARED:
        return Ending.FINISHED
    if last in ENDS_NOTHING:
        return Ending.UNFINISHED
    if is_question:
        return Ending.FINISHED
    if len(words) == 3 and words[0] in VERBS and words[1] in DETERMINERS:
        return Ending.UNFINISHED  # "is the doctor": a question without what it asks
    if words[0] in CONDITIONS and len(words) <= LONGEST_CONDITION:
        return Ending.OPEN
    if last not in SELDOM_ENDS or words == ["when"]:
        return Ending.FINISHED
    if last in SUBJECTS and len(words) > 1 and words[-2] in VERBS:
        return Ending.OPEN
    if last in VERBS and len(words) > 1 and words[-2] in PRONOUNS:
        return Ending.FINISHED if words[0] in SHORT_ANSWERS else Ending.OPEN
    if last in STRANDED and not QUESTION_WORDS.isdisjoint(words):
        return Ending.OPEN
    return Ending.UNFINISHED


def _is_beginning(words: list[str]) -> bool:
    opened = next((at for at, word in enumerate(words) if word not in OPENERS), len(words) - 1)
    return " ".join(words[opened:]) in UNFINISHED_ALONE


def _ends_with(words: list[str], phrases: frozenset[str]) -> bool:
    return any(" ".join(words[-length:]) in phrases for length in range(2, LONGEST_PHRASE + 1))
