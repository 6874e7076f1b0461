"""Events about the items of the conversation."""

from __future__ import annotations

import msgspec

from pipeline.events.items import AnyItem


class ConversationItemCreate(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="conversation.item.create"
):
    item: AnyItem
    """With an empty `id` the session makes one."""
    previous_item_id: str | None = None
    """None: at the end; "root": at the beginning; else after that item."""
    event_id: str | None = None


class ConversationItemRetrieve(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="conversation.item.retrieve"
):
    item_id: str
    event_id: str | None = None


class ConversationItemTruncate(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="conversation.item.truncate"
):
    item_id: str
    audio_end_ms: int
    content_index: int = 0
    clamps: bool = False
    """A position past the end means the end, instead of being refused (Inworld's clients count on it)."""
    event_id: str | None = None


class ConversationItemDelete(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="conversation.item.delete"
):
    item_id: str
    event_id: str | None = None


class ConversationCreated(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="conversation.created"):
    event_id: str
    conversation_id: str


class ConversationItemAdded(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="conversation.item.added"
):
    event_id: str
    previous_item_id: str | None
    item: AnyItem


class ConversationItemDone(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="conversation.item.done"
):
    event_id: str
    previous_item_id: str | None
    item: AnyItem


class ConversationItemRetrieved(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="conversation.item.retrieved"
):
    event_id: str
    item: AnyItem


class ConversationItemTruncated(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="conversation.item.truncated"
):
    event_id: str
    item_id: str
    content_index: int
    audio_end_ms: int
    """What was heard of it."""


class ConversationItemDeleted(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="conversation.item.deleted"
):
    event_id: str
    item_id: str


class TranscriptionDelta(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    tag="conversation.item.input_audio_transcription.delta",
):
    event_id: str
    item_id: str
    delta: str
    """Joins what came before; nothing that was told is taken back."""
    content_index: int = 0


class TranscriptionCompleted(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    tag="conversation.item.input_audio_transcription.completed",
):
    event_id: str
    item_id: str
    transcript: str
    seconds: float
    """Length of the utterance; `usage` on the wire."""
    content_index: int = 0


class TranscriptionFailedEvent(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    tag="conversation.item.input_audio_transcription.failed",
):
    event_id: str
    item_id: str
    message: str
    content_index: int = 0
