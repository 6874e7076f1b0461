"""Events of one response: created, its items and parts as they grow, done."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from pipeline.audio.formats import PCM_24K, AudioFormat
from pipeline.costs import Used
from pipeline.events.config import Modality, SessionConfig
from pipeline.events.items import AnyItem, ItemReference

ResponseStatus: TypeAlias = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]
CancelReason: TypeAlias = Literal["turn_detected", "client_cancelled"]


class ResponseCreate(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="response.create"):
    """The peer asks for an answer."""

    config: SessionConfig | None = None
    """The session's, with what the peer wants otherwise for this answer; None: as the session is."""
    is_out_of_band: bool = False
    """`conversation: "none"`: it is told to the peer and joins no conversation."""
    input: tuple[AnyItem | ItemReference, ...] | None = None
    """What the model is told instead of the conversation; None: the conversation."""
    metadata: dict[str, str] | None = None
    event_id: str | None = None


class ResponseCancel(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="response.cancel"):
    response_id: str | None = None
    event_id: str | None = None


class TextPart(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="text"):
    text: str


class AudioPart(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="audio"):
    transcript: str


Part: TypeAlias = TextPart | AudioPart


class StatusDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a response did not complete."""

    type: Literal["cancelled", "failed", "incomplete"]
    reason: str | None = None
    code: str | None = None
    message: str | None = None


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of the model; that of a cascade neither hears nor speaks, so they are all of text."""

    input_tokens: int = 0
    cached_tokens: int = 0
    """Of `input_tokens`, those the provider had in its cache."""
    output_tokens: int = 0
    input_audio_tokens: int = 0
    """Of `input_tokens`."""
    cached_audio_tokens: int = 0
    """Of `cached_tokens`."""
    output_audio_tokens: int = 0
    """Of `output_tokens`."""
    used: tuple[Used, ...] = ()
    """By each provider, for the whole turn."""


class ResponseSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A response as its `created` and `done` events show it."""

    id: str
    status: ResponseStatus
    conversation_id: str | None
    output: tuple[AnyItem, ...] = ()
    status_details: StatusDetails | None = None
    metadata: dict[str, str] | None = None
    usage: Usage | None = None
    output_modality: Modality = "audio"
    max_output_tokens: int | None = None
    voice: str | None = None
    output_format: AudioFormat = PCM_24K
    temperature: float | None = None


class ResponseCreated(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="response.created"):
    event_id: str
    response: ResponseSnapshot


class ResponseDone(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="response.done"):
    event_id: str
    response: ResponseSnapshot


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    name: Literal["requests", "tokens"]
    limit: int
    remaining: int
    reset_seconds: float


class RateLimitsUpdated(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="rate_limits.updated"):
    event_id: str
    rate_limits: tuple[RateLimit, ...]


class OfItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every event about one item of a response carries."""

    event_id: str
    response_id: str
    item_id: str
    output_index: int


class OfPart(OfItem, frozen=True, kw_only=True):
    """The same about one of its content parts. Ours have one part each."""

    content_index: int = 0


class OutputItemAdded(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="response.output_item.added"
):
    event_id: str
    response_id: str
    output_index: int
    item: AnyItem


class OutputItemDone(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="response.output_item.done"):
    event_id: str
    response_id: str
    output_index: int
    item: AnyItem


class ContentPartAdded(OfPart, frozen=True, kw_only=True, tag="response.content_part.added"):
    part: Part


class ContentPartDone(OfPart, frozen=True, kw_only=True, tag="response.content_part.done"):
    part: Part


class OutputTextDelta(OfPart, frozen=True, kw_only=True, tag="response.output_text.delta"):
    delta: str


class OutputTextDone(OfPart, frozen=True, kw_only=True, tag="response.output_text.done"):
    text: str


class TranscriptDelta(OfPart, frozen=True, kw_only=True, tag="response.output_audio_transcript.delta"):
    delta: str


class TranscriptDone(OfPart, frozen=True, kw_only=True, tag="response.output_audio_transcript.done"):
    transcript: str


class OutputAudioDelta(OfPart, frozen=True, kw_only=True, tag="response.output_audio.delta"):
    delta: bytes
    """In the session's output format; base64 exists only on the wire."""


class OutputAudioDone(OfPart, frozen=True, kw_only=True, tag="response.output_audio.done"):
    pass


class FunctionCallArgumentsDelta(OfItem, frozen=True, kw_only=True, tag="response.function_call_arguments.delta"):
    call_id: str
    delta: str


class FunctionCallArgumentsDone(OfItem, frozen=True, kw_only=True, tag="response.function_call_arguments.done"):
    call_id: str
    name: str
    arguments: str
