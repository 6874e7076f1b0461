"""All that crosses the wire: its names, and what every event has."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from pipeline.events.event import ClientEvent, ServerEvent

CLIENT_NAMES = {
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "output_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.retrieve",
    "conversation.item.truncate",
    "conversation.item.delete",
    "response.create",
    "response.cancel",
}
SERVER_NAMES = {
    "error",
    "session.created",
    "session.updated",
    "conversation.created",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.retrieved",
    "conversation.item.truncated",
    "conversation.item.deleted",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.input_audio_transcription.failed",
    "input_audio_buffer.committed",
    "input_audio_buffer.cleared",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.timeout_triggered",
    "input_audio_buffer.dtmf_event_received",
    "output_audio_buffer.started",
    "output_audio_buffer.stopped",
    "output_audio_buffer.cleared",
    "rate_limits.updated",
    "response.created",
    "response.done",
    "response.output_item.added",
    "response.output_item.done",
    "response.content_part.added",
    "response.content_part.done",
    "response.output_text.delta",
    "response.output_text.done",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "mcp_list_tools.in_progress",
    "mcp_list_tools.completed",
    "mcp_list_tools.failed",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.mcp_call.in_progress",
    "response.mcp_call.completed",
    "response.mcp_call.failed",
    "response.backchannel.audio.delta",
    "response.backchannel.audio.done",
    "response.backchannel.skipped",
}
"""Realtime reference, client and server events, GA spelling; the last three are Inworld's (section G.4)."""


def name_of(event: type[msgspec.Struct]) -> object:
    return event.__struct_config__.tag


def test_every_event_has_the_protocols_name_and_none_has_two() -> None:
    for union, names in ((ClientEvent, CLIENT_NAMES), (ServerEvent, SERVER_NAMES)):
        tags = [name_of(event) for event in get_args(union)]
        assert len(tags) == len(set(tags))
        assert set(tags) == names


@pytest.mark.parametrize("event", get_args(ServerEvent), ids=name_of)
def test_a_server_event_cannot_be_without_its_id(event: type[msgspec.Struct]) -> None:
    with pytest.raises(TypeError, match="event_id"):
        event()


@pytest.mark.parametrize("event", get_args(ClientEvent), ids=name_of)
def test_a_client_event_may_be_without_its_id(event: type[msgspec.Struct]) -> None:
    (field,) = (field for field in msgspec.structs.fields(event) if field.name == "event_id")
    assert field.default is None


@pytest.mark.parametrize("event", [*get_args(ClientEvent), *get_args(ServerEvent)], ids=name_of)
def test_an_event_that_is_on_its_way_cannot_change(event: type[msgspec.Struct]) -> None:
    assert event.__struct_config__.frozen
    assert event.__struct_config__.tag_field == "type"
