"""Events of the input audio buffer: what the caller's microphone brings, and where turns begin and end in it.

All positions are milliseconds of the session's input since its first sample.
"""

from __future__ import annotations

import msgspec


class InputAudioBufferAppend(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_audio_buffer.append"
):
    audio: bytes
    """In the session's input format; base64 exists only on the wire."""
    event_id: str | None = None


class InputAudioBufferCommit(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_audio_buffer.commit"
):
    event_id: str | None = None


class InputAudioBufferClear(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_audio_buffer.clear"
):
    event_id: str | None = None


class InputAudioBufferCommitted(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_audio_buffer.committed"
):
    event_id: str
    previous_item_id: str | None
    item_id: str


class InputAudioBufferCleared(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_audio_buffer.cleared"
):
    event_id: str


class SpeechStarted(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_audio_buffer.speech_started"
):
    event_id: str
    audio_start_ms: int
    """Includes the prefix padding, never below 0."""
    item_id: str


class SpeechStopped(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_audio_buffer.speech_stopped"
):
    event_id: str
    audio_end_ms: int
    """Includes the silence that ended the turn."""
    item_id: str


class TimeoutTriggered(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_audio_buffer.timeout_triggered"
):
    """Nobody spoke for `idle_timeout_ms`; the silence becomes an item."""

    event_id: str
    audio_start_ms: int
    """Where the last answer was over."""
    audio_end_ms: int
    item_id: str


class DtmfEventReceived(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_audio_buffer.dtmf_event_received"
):
    event_id: str
    event: str
    """One of 0-9, *, #, A-D."""
    received_at: int
    """Milliseconds of the session's input at which the key was pressed."""
