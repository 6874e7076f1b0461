"""Server events that look otherwise on the wire than inside: what the JSON encoder is given for each.

Most events are written as they are. The rest hold an object with its own spelling (session, item, response), a
number the wire counts otherwise, or a field that one dialect does not have (Realtime reference, section B.2).
Names that differ are not this file's: they are exchanged in the finished text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_never

from pipeline.audio.formats import AudioFormat, Encoding
from pipeline.dialects import Dialect
from pipeline.events import backchannel as back
from pipeline.events import conversation as conv
from pipeline.events import input_audio, mcp, output_audio
from pipeline.events import response as resp
from pipeline.events import session as sess
from pipeline.events.error import ErrorEvent
from pipeline.events.event import ServerEvent
from pipeline.events.items import AnyItem
from pipeline.session_object import shown
from pipeline.wire_items import WireItem, is_heavy, light_item, retrieved_item, shown_item
from pipeline.wire_responses import shown_response

SHORT_NAMES = {Encoding.PCM16: "pcm16", Encoding.ULAW: "g711_ulaw", Encoding.ALAW: "g711_alaw"}
"""Of a retrieved item's sound, whatever the dialect (Realtime reference, section B.3)."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the events themselves do not carry, and their wire spelling does."""

    dialect: Dialect
    opened_at_s: float
    """Unix time of the session's first input sample."""
    expires_at_s: int | None
    input_format: AudioFormat
    output_format: AudioFormat


def shaped(event: ServerEvent, told: Told) -> object:
    """What to encode; its first field is the event's GA name, or one that no other dialect has."""
    match event:
        case sess.SessionCreated() | sess.SessionUpdated():
            return _session(event, told)
        case conv.ConversationItemAdded() | conv.ConversationItemDone():
            item = _shown_or_light(event.item, told.dialect)
            return _fields(event, previous_item_id=event.previous_item_id, item=item)
        case conv.ConversationItemRetrieved():
            return _fields(event, item=_retrieved(event.item, told))
        case resp.OutputItemAdded() | resp.OutputItemDone():
            item = shown_item(event.item, told.dialect)
            return _fields(event, response_id=event.response_id, output_index=event.output_index, item=item)
        case resp.ResponseCreated() | resp.ResponseDone():
            return _fields(event, response=shown_response(event.response, told.dialect))
        case resp.FunctionCallArgumentsDone() if told.dialect is Dialect.BETA:
            return _arguments_in_beta(event)
        case conv.ConversationCreated() | conv.TranscriptionCompleted() | conv.TranscriptionFailedEvent():
            return _fields(event, **_of_conversation(event))
        case back.BackchannelAudioDelta():
            return _fields(event, backchannel_id=event.backchannel_id, delta=event.delta)
        case input_audio.DtmfEventReceived():
            pressed_at_s = int(told.opened_at_s + event.received_at / 1000)
            return _fields(event, event=event.event, received_at=pressed_at_s)
        case (
            input_audio.InputAudioBufferCommitted()
            | input_audio.InputAudioBufferCleared()
            | input_audio.SpeechStarted()
            | input_audio.SpeechStopped()
            | input_audio.TimeoutTriggered()
            | output_audio.OutputAudioBufferStarted()
            | output_audio.OutputAudioBufferStopped()
            | output_audio.OutputAudioBufferCleared()
            | conv.ConversationItemTruncated()
            | conv.ConversationItemDeleted()
            | conv.TranscriptionDelta()
            | resp.RateLimitsUpdated()
            | resp.ContentPartAdded()
            | resp.ContentPartDone()
            | resp.OutputTextDelta()
            | resp.OutputTextDone()
            | resp.TranscriptDelta()
            | resp.TranscriptDone()
            | resp.OutputAudioDelta()
            | resp.OutputAudioDone()
            | resp.FunctionCallArgumentsDelta()
            | resp.FunctionCallArgumentsDone()
            | mcp.ListingInProgress()
            | mcp.ListingCompleted()
            | mcp.ListingFailed()
            | mcp.McpCallArgumentsDelta()
            | mcp.McpCallArgumentsDone()
            | mcp.McpCallInProgress()
            | mcp.McpCallCompleted()
            | mcp.McpCallFailed()
            | back.BackchannelAudioDone()
            | back.BackchannelSkipped()
            | ErrorEvent()
        ):
            return event
        case _:
            assert_never(event)


def _fields(event: ServerEvent, /, **fields: Any) -> dict[str, Any]:
    return {"type": event.__struct_config__.tag, "event_id": event.event_id, **fields}


def _session(event: sess.SessionCreated | sess.SessionUpdated, told: Told) -> dict[str, Any]:
    session = shown(event.session, told.dialect, session_id=event.session_id, expires_at=told.expires_at_s)
    fields = _fields(event, session=session)
    if told.dialect is Dialect.BETA and event.session.type == "transcription":
        fields["type"] = f"transcription_{fields['type']}"
    return fields


def _shown_or_light(item: AnyItem, dialect: Dialect) -> WireItem:
    return light_item(item, dialect) if is_heavy(item, with_audio=False) else shown_item(item, dialect)


def _retrieved(item: AnyItem, told: Told) -> WireItem:
    """With its sound, unless that would not fit into a frame: then without, rather than with half of it."""
    if is_heavy(item, with_audio=True):
        return _shown_or_light(item, told.dialect)
    return retrieved_item(
        item,
        told.dialect,
        input_name=SHORT_NAMES[told.input_format.encoding],
        output_name=SHORT_NAMES[told.output_format.encoding],
    )


def _arguments_in_beta(event: resp.FunctionCallArgumentsDone) -> dict[str, Any]:
    """Without the function's name, which the beta dialect tells in the item only."""
    return _fields(
        event,
        response_id=event.response_id,
        item_id=event.item_id,
        output_index=event.output_index,
        call_id=event.call_id,
        arguments=event.arguments,
    )


def _of_conversation(
    event: conv.ConversationCreated | conv.TranscriptionCompleted | conv.TranscriptionFailedEvent,
) -> dict[str, Any]:
    if isinstance(event, conv.ConversationCreated):
        return {"conversation": {"id": event.conversation_id, "object": "realtime.conversation"}}
    part = {"item_id": event.item_id, "content_index": event.content_index}
    if isinstance(event, conv.TranscriptionCompleted):
        return part | {"transcript": event.transcript, "usage": {"type": "duration", "seconds": event.seconds}}
    error = {"type": "transcription_error", "code": "audio_unintelligible", "message": event.message, "param": None}
    return part | {"error": error}
