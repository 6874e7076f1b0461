"""Responses between their JSON and the session's own types (Realtime reference, section B.4).

In: what `response.create` asks for. Out: the response object, flat in the beta dialect. How a configuration is
spelled, and so what of it a response may ask otherwise, is the session object's.
"""

from __future__ import annotations

from typing import Any

from pipeline import costs
from pipeline import wire_fields as read
from pipeline.dialects import Dialect
from pipeline.events.config import SessionConfig
from pipeline.events.items import AnyItem, ItemReference, McpItem
from pipeline.events.response import ResponseCreate, ResponseSnapshot, StatusDetails, Usage
from pipeline.limits import Limits
from pipeline.session_object import overridden
from pipeline.session_parts import audio_format
from pipeline.session_parts.echo import DEFAULT_TEMPERATURE, DEFAULT_VOICE
from pipeline.wire_fields import Fields
from pipeline.wire_items import item_or_reference_of, shown_item

CONVERSATIONS = ("auto", "none")
_OWN_FIELDS = {"conversation", "input", "metadata"}
"""Of `response.create`, those that override nothing of the session."""


def create_of(
    event: Fields, config: SessionConfig, dialect: Dialect, limits: Limits, *, serves_mcp: bool
) -> ResponseCreate:
    """Raises `BadEvent`. The event's own `event_id` is not read here."""
    wanted = read.mapping(event, "response")
    if not wanted:
        return ResponseCreate()
    conversation = read.choice(wanted, "conversation", "response", CONVERSATIONS)
    differs = {key: value for key, value in wanted.items() if key not in _OWN_FIELDS and value is not None}
    if differs:
        changed = overridden(config, differs, dialect, limits=limits, serves_mcp=serves_mcp)
    return ResponseCreate(
        config=changed if differs else None,
        is_out_of_band=conversation == "none",
        input=_input_of(wanted.get("input"), dialect, limits, serves_mcp=serves_mcp),
        metadata=_metadata_of(wanted, limits),
    )


def _input_of(
    value: object, dialect: Dialect, limits: Limits, *, serves_mcp: bool
) -> tuple[AnyItem | ItemReference, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise read.invalid(value, "response.input", "Expected a list of items")
    if len(value) > limits.items:
        raise read.invalid(value, "response.input", f"Expected at most {limits.items} items")
    return tuple(
        item_or_reference_of(item, f"response.input[{index}]", dialect, limits, serves_mcp=serves_mcp)
        for index, item in enumerate(value)
    )


def _metadata_of(wanted: Fields, limits: Limits) -> dict[str, str] | None:
    metadata = read.mapping(wanted, "metadata", "response")
    if metadata is None:
        return None
    if len(metadata) > limits.metadata_pairs:
        expected = f"Expected at most {limits.metadata_pairs} pairs"
        raise read.invalid(metadata, "response.metadata", expected)
    for key in metadata:
        if len(key) > limits.metadata_key_chars:
            expected = f"Expected a key of at most {limits.metadata_key_chars} characters"
            raise read.invalid(key, "response.metadata", expected)
        read.text(metadata, key, "response.metadata", most_chars=limits.metadata_value_chars)
    return dict(metadata)


def shown_response(response: ResponseSnapshot, dialect: Dialect) -> dict[str, Any]:
    """The response object, as `response.created` and `response.done` carry it."""
    return {
        "object": "realtime.response",
        "id": response.id,
        "status": response.status,
        "status_details": _details(response.status_details, dialect),
        "output": [
            shown_item(item, dialect)
            for item in response.output
            if dialect is not Dialect.BETA or not isinstance(item, McpItem)
        ],
        "conversation_id": response.conversation_id,
        **(_flat(response) if dialect is Dialect.BETA else _nested(response, dialect)),
        "max_output_tokens": "inf" if response.max_output_tokens is None else response.max_output_tokens,
        "usage": None if response.status == "in_progress" else _usage(response.usage or Usage(), dialect),
        "metadata": response.metadata,
    }


def _nested(response: ResponseSnapshot, dialect: Dialect) -> dict[str, Any]:
    output_format = audio_format.shown(response.output_format, dialect)
    return {
        "output_modalities": [response.output_modality],
        "audio": {"output": {"format": output_format, "voice": response.voice or DEFAULT_VOICE}},
    }


def _flat(response: ResponseSnapshot) -> dict[str, Any]:
    return {
        "modalities": ["text"] if response.output_modality == "text" else ["text", "audio"],
        "voice": response.voice or DEFAULT_VOICE,
        "output_audio_format": audio_format.shown(response.output_format, Dialect.BETA),
        "temperature": DEFAULT_TEMPERATURE if response.temperature is None else response.temperature,
    }


def _details(details: StatusDetails | None, dialect: Dialect) -> dict[str, Any] | None:
    if details is None:
        return None
    if details.type != "failed":
        return {"type": details.type, "reason": details.reason}
    error = {"type": "server_error", "code": details.code, "message": details.message}
    shown: dict[str, Any] = {"type": "failed", "error": error}
    if dialect in (Dialect.IW, Dialect.SEED):
        # Inworld's clients read the reason; OpenAI's strict models know none for a failure (section D.11).
        shown["reason"] = "server_error"
    return shown


def _usage(usage: Usage, dialect: Dialect) -> dict[str, Any]:
    """All numbers are there: strict clients drop a response whose counts are null.

    `switchboard` is our own: what every provider of the turn has used. Models of both dialects let keys pass that
    they do not know; those of the beta were never asked.
    """
    heard, spoken = usage.input_audio_tokens, usage.output_audio_tokens
    cached_audio = usage.cached_audio_tokens
    cached = {
        "text_tokens": usage.cached_tokens - cached_audio,
        "audio_tokens": cached_audio,
        "image_tokens": 0,
    }
    is_told = usage.used and dialect in (Dialect.GA, Dialect.IW)
    return {
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "input_token_details": {
            "text_tokens": usage.input_tokens - heard,
            "audio_tokens": heard,
            "image_tokens": 0,
            "cached_tokens": usage.cached_tokens,
            "cached_tokens_details": cached,
        },
        "output_token_details": {"text_tokens": usage.output_tokens - spoken, "audio_tokens": spoken},
        **({"switchboard": costs.shown_where_known(usage.used)} if is_told else {}),
    }
