"""Going on where a model broke off: what the next one is told, and how its words are joined to the first one's.

The next model sees the conversation, then the words said so far as its own, unfinished message, then a note of the
system's. The note comes last because models follow what they read last, and it is no word of the caller's, to whom
the model would reply. Pure.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from pipeline.events.items import InputText, Message, OutputText
from pipeline.provider import Prompt

NOTE: Final = (
    "Your last message was cut off in transmission, and the listener has heard all of it. Continue it with exactly "
    "the word that comes next, in the same language and tone. Do not repeat any of it, do not begin anew, do not "
    "apologise and do not mention the interruption. If it was complete already, say nothing."
)

_FIRST_UNSPACED: Final = "\u0e00"
"""Below it are the scripts that write spaces between words, from Latin to Devanagari's kin; Thai is the first that
does not."""

_ENDS_CLAUSE: Final = frozenset(",.;:!?")


def continued(prompt: Prompt, said: str) -> Prompt:
    """`prompt` for the model that goes on after `said`; if nothing was said, the same prompt."""
    if not said.strip():
        return prompt
    unfinished = Message(
        id="item_unfinished", role="assistant", content=(OutputText(text=said),), status="incomplete"
    )
    note = Message(id="item_continue", role="system", content=(InputText(text=NOTE),))
    return dataclasses.replace(prompt, items=(*prompt.items, unfinished, note))


def joined(said: str, text: str) -> str:
    """`text` so that it can follow `said`: models begin a message without a space, also in mid-sentence."""
    if not said or not text:
        return text
    last, first = said[-1], text[0]
    is_word = (last.isalnum() or last in _ENDS_CLAUSE) and first.isalnum()
    is_spaced = last < _FIRST_UNSPACED and first < _FIRST_UNSPACED
    return f" {text}" if is_word and is_spaced else text
