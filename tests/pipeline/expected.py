"""Words for what a session is expected to put out: short names for runs of events that always come together.

Every event id is `event`, as `tests.fakes.Ids` makes them. The runs are written down from the Realtime reference's
sequences, not computed from the session.
"""

from __future__ import annotations

from typing import Literal

from pipeline.audio.formats import PCMU
from pipeline.events import conversation as conv
from pipeline.events import input_audio as heard
from pipeline.events import output_audio as played
from pipeline.events import response as resp
from pipeline.events.config import Modality
from pipeline.events.error import ErrorDetail, ErrorEvent
from pipeline.events.event import ServerEvent
from pipeline.events.items import (
    AnyItem,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputText,
    ItemStatus,
    Message,
    OutputAudio,
)

EVENT = "event"


def said(item_id: str, transcript: str | None = None) -> Message:
    """Something the caller said."""
    return Message(id=item_id, role="user", content=(InputAudio(transcript=transcript),))


def typed(item_id: str, text: str) -> Message:
    return Message(id=item_id, role="user", content=(InputText(text=text),))


def spoken(item_id: str, text: str, status: ItemStatus = "completed") -> Message:
    """Something the agent said."""
    return Message(id=item_id, role="assistant", content=(OutputAudio(transcript=text),), status=status)


def result(item_id: str, call_id: str, output: str) -> FunctionCallOutput:
    return FunctionCallOutput(id=item_id, call_id=call_id, output=output)


def started(item_id: str, at_ms: int) -> ServerEvent:
    return heard.SpeechStarted(event_id=EVENT, audio_start_ms=at_ms, item_id=item_id)


def stopped(item_id: str, at_ms: int) -> ServerEvent:
    return heard.SpeechStopped(event_id=EVENT, audio_end_ms=at_ms, item_id=item_id)


def joined(item: AnyItem, previous: str | None) -> list[ServerEvent]:
    """A whole item enters the conversation."""
    return [
        conv.ConversationItemAdded(event_id=EVENT, previous_item_id=previous, item=item),
        conv.ConversationItemDone(event_id=EVENT, previous_item_id=previous, item=item),
    ]


def committed(item_id: str, previous: str | None) -> list[ServerEvent]:
    """The caller's sound becomes an item."""
    event = heard.InputAudioBufferCommitted(event_id=EVENT, previous_item_id=previous, item_id=item_id)
    return [event, *joined(said(item_id), previous)]


def understood(item_id: str, text: str, seconds: float, told: str = "") -> list[ServerEvent]:
    """The words are known; `told` of them were told before."""
    rest = text.removeprefix(told)
    delta: list[ServerEvent] = (
        [conv.TranscriptionDelta(event_id=EVENT, item_id=item_id, delta=rest)] if rest else []
    )
    return [
        *delta,
        conv.TranscriptionCompleted(event_id=EVENT, item_id=item_id, transcript=text, seconds=seconds),
    ]


def misunderstood(item_id: str, message: str) -> ServerEvent:
    return conv.TranscriptionFailedEvent(event_id=EVENT, item_id=item_id, message=message)


def created(
    response_id: str,
    metadata: dict[str, str] | None = None,
    *,
    modality: Modality = "audio",
    conversation_id: str | None = "conv_1",
) -> ServerEvent:
    snapshot = resp.ResponseSnapshot(
        id=response_id,
        status="in_progress",
        conversation_id=conversation_id,
        metadata=metadata,
        output_modality=modality,
        output_format=PCMU,
    )
    return resp.ResponseCreated(event_id=EVENT, response=snapshot)


def plays(response_id: str) -> ServerEvent:
    """Its sound begins to be heard."""
    return played.OutputAudioBufferStarted(event_id=EVENT, response_id=response_id)


def has_played(response_id: str) -> ServerEvent:
    """Its sound was heard to the end."""
    return played.OutputAudioBufferStopped(event_id=EVENT, response_id=response_id)


def is_cleared(response_id: str) -> ServerEvent:
    """The rest of its sound is not heard."""
    return played.OutputAudioBufferCleared(event_id=EVENT, response_id=response_id)


def opened(response_id: str, item_id: str, previous: str | None, index: int = 0) -> list[ServerEvent]:
    """A spoken message begins."""
    item = Message(id=item_id, role="assistant", content=(), status="in_progress")
    return [
        resp.OutputItemAdded(event_id=EVENT, response_id=response_id, output_index=index, item=item),
        conv.ConversationItemAdded(event_id=EVENT, previous_item_id=previous, item=item),
        resp.ContentPartAdded(
            event_id=EVENT,
            response_id=response_id,
            item_id=item_id,
            output_index=index,
            part=resp.AudioPart(transcript=""),
        ),
    ]


def words(response_id: str, item_id: str, text: str, index: int = 0) -> ServerEvent:
    return resp.TranscriptDelta(
        event_id=EVENT, response_id=response_id, item_id=item_id, output_index=index, delta=text
    )


def sound(response_id: str, item_id: str, audio: bytes, index: int = 0) -> ServerEvent:
    return resp.OutputAudioDelta(
        event_id=EVENT, response_id=response_id, item_id=item_id, output_index=index, delta=audio
    )


def closed(
    response_id: str,
    item_id: str,
    text: str,
    previous: str | None,
    status: ItemStatus = "completed",
    index: int = 0,
) -> list[ServerEvent]:
    """A spoken message ends."""
    item = spoken(item_id, text, status)
    return [
        resp.OutputAudioDone(event_id=EVENT, response_id=response_id, item_id=item_id, output_index=index),
        resp.TranscriptDone(
            event_id=EVENT, response_id=response_id, item_id=item_id, output_index=index, transcript=text
        ),
        resp.ContentPartDone(
            event_id=EVENT,
            response_id=response_id,
            item_id=item_id,
            output_index=index,
            part=resp.AudioPart(transcript=text),
        ),
        conv.ConversationItemDone(event_id=EVENT, previous_item_id=previous, item=item),
        resp.OutputItemDone(event_id=EVENT, response_id=response_id, output_index=index, item=item),
    ]


def called(
    response_id: str, item_id: str, call_id: str, name: str, arguments: str, previous: str | None, index: int = 0
) -> list[ServerEvent]:
    """The model asks for a function."""
    opening = FunctionCall(id=item_id, call_id=call_id, name=name, arguments="", status="in_progress")
    item = FunctionCall(id=item_id, call_id=call_id, name=name, arguments=arguments)
    return [
        resp.OutputItemAdded(event_id=EVENT, response_id=response_id, output_index=index, item=opening),
        conv.ConversationItemAdded(event_id=EVENT, previous_item_id=previous, item=opening),
        resp.FunctionCallArgumentsDelta(
            event_id=EVENT,
            response_id=response_id,
            item_id=item_id,
            output_index=index,
            call_id=call_id,
            delta=arguments,
        ),
        resp.FunctionCallArgumentsDone(
            event_id=EVENT,
            response_id=response_id,
            item_id=item_id,
            output_index=index,
            call_id=call_id,
            name=name,
            arguments=arguments,
        ),
        conv.ConversationItemDone(event_id=EVENT, previous_item_id=previous, item=item),
        resp.OutputItemDone(event_id=EVENT, response_id=response_id, output_index=index, item=item),
    ]


def ended(
    response_id: str,
    *output: AnyItem,
    tokens: tuple[int, int] = (0, 0),
    metadata: dict[str, str] | None = None,
    modality: Modality = "audio",
    conversation_id: str | None = "conv_1",
) -> ServerEvent:
    """All has been said."""
    return _done(response_id, "completed", output, None, tokens, metadata, modality, conversation_id)


def cancelled(
    response_id: str,
    *output: AnyItem,
    reason: str = "turn_detected",
    modality: Modality = "audio",
    conversation_id: str | None = "conv_1",
) -> ServerEvent:
    details = resp.StatusDetails(type="cancelled", reason=reason)
    return _done(response_id, "cancelled", output, details, modality=modality, conversation_id=conversation_id)


def cut_off(response_id: str, *output: AnyItem, reason: str = "max_output_tokens") -> ServerEvent:
    """The model stopped before it was done."""
    details = resp.StatusDetails(type="incomplete", reason=reason)
    return _done(response_id, "incomplete", output, details)


def failed(
    response_id: str, *output: AnyItem, code: str, message: str, conversation_id: str | None = "conv_1"
) -> ServerEvent:
    details = resp.StatusDetails(type="failed", code=code, message=message)
    return _done(response_id, "failed", output, details, conversation_id=conversation_id)


def truncated(item_id: str, at_ms: int) -> ServerEvent:
    return conv.ConversationItemTruncated(event_id=EVENT, item_id=item_id, content_index=0, audio_end_ms=at_ms)


def busy(response_id: str, event_id: str | None = None) -> ServerEvent:
    """Another response is refused while this one runs."""
    message = (
        f"Conversation already has an active response in progress: {response_id}. "
        "Wait until the response is finished before creating a new one."
    )
    return refused("conversation_already_has_active_response", message, event_id=event_id)


def refused(code: str, message: str, param: str | None = None, event_id: str | None = None) -> ServerEvent:
    detail = ErrorDetail(type="invalid_request_error", code=code, message=message, param=param, event_id=event_id)
    return ErrorEvent(event_id=EVENT, error=detail)


def _done(
    response_id: str,
    status: Literal["completed", "cancelled", "failed", "incomplete"],
    output: tuple[AnyItem, ...],
    details: resp.StatusDetails | None,
    tokens: tuple[int, int] = (0, 0),
    metadata: dict[str, str] | None = None,
    modality: Modality = "audio",
    conversation_id: str | None = "conv_1",
) -> ServerEvent:
    snapshot = resp.ResponseSnapshot(
        id=response_id,
        status=status,
        conversation_id=conversation_id,
        output=output,
        status_details=details,
        metadata=metadata,
        output_modality=modality,
        usage=resp.Usage(input_tokens=tokens[0], output_tokens=tokens[1]),
        output_format=PCMU,
    )
    return resp.ResponseDone(event_id=EVENT, response=snapshot)
