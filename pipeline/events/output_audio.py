"""Events of the output audio buffer: where our side plays the sound, when it begins, ends or is thrown away.

A client that plays for itself gets none of these (Realtime reference, section E.1: playout events).
"""

from __future__ import annotations

import msgspec


class OutputAudioBufferClear(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="output_audio_buffer.clear"
):
    event_id: str | None = None


class OutputAudioBufferStarted(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="output_audio_buffer.started"
):
    event_id: str
    response_id: str


class OutputAudioBufferStopped(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="output_audio_buffer.stopped"
):
    """All of the response's sound has been played."""

    event_id: str
    response_id: str


class OutputAudioBufferCleared(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="output_audio_buffer.cleared"
):
    """The rest of the response's sound will not be played."""

    event_id: str
    response_id: str
