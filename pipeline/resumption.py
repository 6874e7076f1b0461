"""How to go on with a conversation from a snapshot of it: with which history, and with what first. Pure.

Of what the agent said only what was heard stays in the history. What was thought to its end and not heard is said
now, beginning with the word that broke off; what was still being thought is left to the model, which is told where
it was. Whoever waits for an answer gets one, and otherwise it is the caller's turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import UNSET

from pipeline.events.items import (
    AnyItem,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputText,
    McpCall,
    McpError,
    Message,
    OutputAudio,
)
from pipeline.heard_text import has_words, parted
from pipeline.kept_conversation import ended
from pipeline.opening import Act, Opening
from pipeline.snapshot import Snapshot, Spoken

UNKNOWN: Final = (
    "The line was interrupted before the result came, so it is not known whether this was done. "
    "Do not call it again before you have checked, or asked the caller."
)
"""In place of a result that nobody can know any more."""

LOST: Final = (
    "The line was interrupted for a moment, and what the caller said last was lost. "
    "Ask them briefly to say it again."
)

BROKEN: Final = (
    "The line was interrupted for a moment while the caller was speaking, and the end of what they said was lost, "
    "or all of it. Ask them briefly to say it again, unless what you have of it is enough to answer."
)

MISSED: Final = (
    "The line was interrupted for a moment, and the caller has said nothing since. They may have spoken meanwhile "
    "and be waiting for you. Tell them briefly that you could not hear them, and that it is their turn."
)


@dataclass(frozen=True, slots=True)
class Resumption:
    """See the module's docstring."""

    history: tuple[AnyItem, ...]
    opening: Opening


@dataclass(slots=True)
class _Told:
    """What the agent was saying."""

    unheard: str = ""
    """Of messages whose words are all made."""
    going_heard: str = ""
    """Of the message whose words were still being made."""
    going_unheard: str = ""
    is_going: bool = False


def resumption(snapshot: Snapshot) -> Resumption:
    """See the module's docstring. Always the same for the same snapshot."""
    told, items, is_lost = _Told(), list[AnyItem](), False
    spoken = {each.item_id: each for each in snapshot.spoken}
    for item in snapshot.items:
        if isinstance(item, Message):
            kept = _heard(item, spoken[item.id], told) if item.id in spoken else item
            if kept is not None:
                is_lost = _is_lost(kept)
                items += [] if is_lost else [kept]
        else:
            items += _settled(item, snapshot.unreturned)
    if snapshot.keys:
        items.append(_entry(snapshot.keys, {item.id for item in items}))
    told.unheard = _joined(told.unheard, snapshot.promised)
    return Resumption(ended(tuple(items)), _opening(snapshot, told, is_lost=is_lost))


def _opening(snapshot: Snapshot, told: _Told, *, is_lost: bool) -> Opening:
    words, ending = told.unheard if has_words(told.unheard) else "", snapshot.ending
    if not (snapshot.owes_answer or told.is_going):
        if snapshot.is_speaking and not (words or ending):
            return Opening(Act.LISTEN, BROKEN)
        return Opening(Act.SAY if words else Act.WAIT, words, ending=ending)
    remark = _remark(snapshot, told, is_lost=is_lost)
    if words and not (remark or told.going_heard or ending):
        # Nothing of the answer was heard, so it may be thought anew once this is spoken.
        return Opening(Act.SAY, words, answers_then=True)
    return Opening(Act.ANSWER, _joined(_going_on(told), remark, between="\n\n"), ending=ending)


def _remark(snapshot: Snapshot, told: _Told, *, is_lost: bool) -> str:
    """What the model is to know, beside where it was."""
    before = "" if told.going_heard else snapshot.remark
    return _joined(LOST if is_lost else "", before, between="\n\n")


def _going_on(told: _Told) -> str:
    """Where the model was."""
    planned = _joined(told.unheard, told.going_unheard if told.going_heard else "")
    if not (told.going_heard or has_words(planned)):
        return ""
    remark = "The line was interrupted for a moment while you were speaking. "
    if told.going_heard:
        remark += f'The last words of yours that the caller has heard are: "{_end(told.going_heard)}" '
    if has_words(planned):
        remark += f'You were about to say: "{planned}" '
    return (
        f"{remark}Go on from there, in the middle of the sentence if need be. Do not repeat what was heard, "
        "do not greet again and do not mention the interruption."
    )


def _end(text: str) -> str:
    """The model has all of it in the conversation; a few words show it the place."""
    return " ".join(text.split()[-12:])


def _heard(item: Message, spoken: Spoken, told: _Told) -> Message | None:
    """The message with what was heard of it; None if that was nothing."""
    heard, rest = parted(item.text, spoken.heard)
    if spoken.is_whole:
        told.unheard = _joined(told.unheard, rest)
    else:
        told.is_going, told.going_heard, told.going_unheard = True, heard if has_words(heard) else "", rest
    if not has_words(heard):
        return None
    is_complete = spoken.is_whole and not has_words(rest)
    return msgspec.structs.replace(
        item,
        content=(OutputAudio(transcript=heard),),
        status="completed" if is_complete else "incomplete",
    )


def _is_lost(item: Message) -> bool:
    """Its words never came, and its sound is gone."""
    lacks_words = any(isinstance(part, InputAudio) and part.transcript is None for part in item.content)
    return lacks_words and not (item.text or item.images)


def _settled(item: AnyItem, unreturned: tuple[str, ...]) -> list[AnyItem]:
    """A call whose result nobody can know any more has one that says so."""
    match item:
        case FunctionCall(call_id=call_id) if call_id in unreturned:
            return [item, FunctionCallOutput(id=f"{item.id}_lost", call_id=call_id, output=_error(UNKNOWN))]
        case McpCall(output=None, error=error) if error is UNSET:
            return [msgspec.structs.replace(item, error=McpError(type="tool_execution_error", message=UNKNOWN))]
        case _:
            return [item]


def _error(message: str) -> str:
    return msgspec.json.encode({"error": message}).decode()


def _entry(keys: str, taken: set[str]) -> Message:
    """Keys that were pressed and not yet taken as an entry."""
    number = len(taken)
    while f"item_keys_{number}" in taken:
        number += 1
    return Message(id=f"item_keys_{number}", role="user", content=(InputText(text=f"[keypad] {keys}"),))


def _joined(*texts: str, between: str = " ") -> str:
    return between.join(text for text in texts if text)
