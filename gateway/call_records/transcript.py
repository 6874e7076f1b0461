"""What was said in a call, as far as it was heard. Pure.

The journal has what the agent's voice made, and how much of it was heard where the caller cut in. Where the call
itself broke off, what is known of the conversation says how far it was heard; what was never heard is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.call_records.journal_event import at_ms, text
from gateway.calls.call import Call
from gateway.calls.journal import JournalEvent
from pipeline.events.config import SessionConfig
from pipeline.events.items import Message
from pipeline.snapshot import Snapshot, Unreadable, decoded


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was said."""

    at_ms: int
    """When its words were known, which for the agent is shortly before they are heard."""
    speaker: Literal["caller", "agent"]
    kind: Literal["speech", "filler", "backchannel"] = "speech"
    """filler: said while an answer was slow. backchannel: a short acknowledgement while the caller spoke."""
    text: str
    item_id: str
    """Empty of what is not part of the conversation."""
    is_cut_short: bool = False
    """The agent had more to say; `text` ends with the last word that was heard."""


def transcript_of(events: Sequence[JournalEvent], began_s: float, call: Call) -> tuple[Line, ...]:
    """`events` in the order of their times, and the conversation that the call has kept."""
    lines: dict[str, Line] = {}
    heard: dict[str, str] = {}
    for count, event in enumerate(events):
        name, item_id = event["event"], text(event, "item_id")
        if name == "transcript.truncated":
            heard[item_id] = text(event, "heard")
        elif (line := _line(event, began_s)) is not None:
            # Of what is told twice the place is the first, and the words are the last.
            place = item_id or f" {count}"
            first = lines.get(place, line)
            lines[place] = msgspec.structs.replace(line, at_ms=first.at_ms)
    last = _last(call)
    if last is not None:
        heard = {**_heard(last, lines), **heard}
        for item_id in _unheard(last, lines):
            heard.setdefault(item_id, "")
    told = (_as_heard(line, heard) for line in lines.values())
    return tuple(line for line in told if line.text.strip())


def _line(event: JournalEvent, began_s: float) -> Line | None:
    words, at = text(event, "text"), at_ms(event, began_s)
    match event["event"]:
        case "transcript.done":
            is_caller = event.get("speaker") == "caller"
            speaker: Literal["caller", "agent"] = "caller" if is_caller else "agent"
            return Line(at_ms=at, speaker=speaker, text=words, item_id=text(event, "item_id"))
        case "filler":
            return Line(at_ms=at, speaker="agent", kind="filler", text=words, item_id="")
        case "backchannel":
            return Line(at_ms=at, speaker="agent", kind="backchannel", text=words, item_id="")
        case _:
            return None


def _as_heard(line: Line, heard: dict[str, str]) -> Line:
    words = heard.get(line.item_id)
    if line.speaker == "caller" or words is None or len(words.strip()) >= len(line.text.strip()):
        return line
    return msgspec.structs.replace(line, text=words, is_cut_short=True)


def _last(call: Call) -> Snapshot | None:
    """What the conversation was when it was last kept."""
    if call.snapshot is not None or call.talk is None:
        return call.snapshot
    try:
        # Of the configuration nothing is wanted.
        return decoded(call.talk.rest, call.talk.items, SessionConfig())
    except Unreadable:
        return None


def _heard(last: Snapshot, lines: dict[str, Line]) -> dict[str, str]:
    """By item, of the agent's."""
    spoken = {each.item_id: each.heard for each in last.spoken}
    return {
        item.id: spoken.get(item.id, item.text)
        for item in last.items
        if isinstance(item, Message) and item.role == "assistant" and item.id in lines
    }


def _unheard(last: Snapshot, lines: dict[str, Line]) -> list[str]:
    """Items the conversation no longer has, between others that it has: it went on without them, because the stream
    broke before a word was heard. Older ones may only have been forgotten, and newer ones not been kept yet."""
    kept = {item.id for item in last.items}
    ids = [item_id for item_id, line in lines.items() if line.item_id]
    places = [place for place, item_id in enumerate(ids) if item_id in kept]
    if not places:
        return []
    return [item_id for item_id in ids[places[0] : places[-1]] if item_id not in kept]
