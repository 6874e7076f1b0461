"""The dialects of the Realtime protocol: one connection speaks one of them, from its first frame to its last.

Which one is decided at the handshake (Realtime reference, section A.4). This file is the one table of names that
differ; how objects differ in shape, `session_object.py` and `wire.py` know.
"""

from __future__ import annotations

import enum


class Dialect(enum.Enum):
    """How a connection spells the protocol."""

    GA = "ga"
    """The present OpenAI Realtime shape."""
    BETA = "beta"
    """The shape of 2024 and 2025: a flat session, `response.audio.*`."""
    IW = "iw"
    """Inworld's: GA names out; GA, beta and camelCase spellings in."""
    SEED = "seed"
    """The first OpenAPI document's: `response.audio.*`, and the session echoed in camelCase beside GA."""


_OUTPUT_NAMES: dict[str, str] = {
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
}

NAMES: dict[Dialect, dict[str, str]] = {
    Dialect.GA: {},
    Dialect.IW: {},
    Dialect.SEED: _OUTPUT_NAMES,
    Dialect.BETA: {**_OUTPUT_NAMES, "conversation.item.added": "conversation.item.created"},
}
"""GA name to the dialect's, where they differ."""

_INWORLDS = frozenset(
    {
        "response.backchannel.audio.delta",
        "response.backchannel.audio.done",
        "response.backchannel.skipped",
    }
)
"""Inworld's additions (Realtime reference, section G.4); strict clients of others would stumble over them."""

UNSPOKEN: dict[Dialect, frozenset[str]] = {
    Dialect.GA: _INWORLDS,
    Dialect.IW: frozenset(),
    Dialect.SEED: _INWORLDS,
    Dialect.BETA: _INWORLDS
    | frozenset(
        {
            "conversation.item.done",
            "input_audio_buffer.timeout_triggered",
            "input_audio_buffer.dtmf_event_received",
            "mcp_list_tools.in_progress",
            "mcp_list_tools.completed",
            "mcp_list_tools.failed",
            "response.mcp_call_arguments.delta",
            "response.mcp_call_arguments.done",
            "response.mcp_call.in_progress",
            "response.mcp_call.completed",
            "response.mcp_call.failed",
        }
    ),
}
"""GA names of events that a dialect does not have; they are not sent."""
