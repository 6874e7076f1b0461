"""Values of the session object that are kept as the client wrote them, once their shape is found right.

Realtime reference, sections C.2 and G.3. They are bounded, because each `session.updated` shows them again.
"""

from __future__ import annotations

from typing import Any, cast

from pipeline.backchannel import read_backchannel
from pipeline.responsiveness import read_responsiveness
from pipeline.session_parts.field import KEPT_BYTES, Field, encoded_bytes

_LOGPROBS = "item.input_audio_transcription.logprobs"
_EFFORTS = ("minimal", "low", "medium", "high", "xhigh")
_MOST_TOKENS = 10_000_000
"""Of a conversation that is cut: no model reads more."""
_PROVIDERS_OBJECTS = frozenset(
    {"stt", "tts", "memory", "backchannel", "responsiveness", "caching", "text_generation_config", "metadata"}
)
"""Keys of `providerData` that hold objects; keys that nobody knows are kept."""


def read_tracing(field: Field) -> object:
    """`auto`, or names for the trace."""
    if field.is_null:
        return None
    if isinstance(field.value, str):
        return field.one_of(("auto",))
    fields = field.given(("workflow_name", "group_id", "metadata"))
    for name in ("workflow_name", "group_id"):
        if name in fields:
            fields[name].text()
    if "metadata" in fields:
        fields["metadata"].members()
    return field.kept()


def read_truncation(field: Field) -> object:
    """`auto`, `disabled`, or how much of the conversation to keep."""
    if isinstance(field.value, str):
        return field.one_of(("auto", "disabled"))
    fields = field.given(("type", "retention_ratio", "token_limits"))
    for name in ("type", "retention_ratio"):
        if name not in fields:
            raise field.lacks(name)
    fields["type"].one_of(("retention_ratio",))
    fields["retention_ratio"].number(0, 1)
    if "token_limits" in fields:
        limits = fields["token_limits"].given(("post_instructions",))
        if "post_instructions" in limits:
            limits["post_instructions"].whole(0, _MOST_TOKENS)
    return field.kept()


def read_prompt(field: Field) -> object:
    """A reference to a prompt that is stored elsewhere."""
    if field.is_null:
        return None
    fields = field.given(("id", "version", "variables"))
    if "id" not in fields:
        raise field.lacks("id")
    fields["id"].text(least_chars=1)
    if "version" in fields:
        fields["version"].text()
    if "variables" in fields:
        fields["variables"].members()
    return field.kept()


def read_include(field: Field) -> tuple[str, ...]:
    """Each name once."""
    return tuple(dict.fromkeys(element.one_of((_LOGPROBS,)) for element in field.elements()))


def read_reasoning(field: Field) -> object:
    fields = field.given(("effort",))
    if "effort" in fields:
        fields["effort"].one_of(_EFFORTS)
    return field.kept()


def read_provider_data(field: Field, present: dict[str, Any] | None) -> dict[str, Any]:
    """The present data with what is new laid over it, key by key, to any depth."""
    field.kept()
    fields = field.given(field.members())
    if "auto_tool_response" in fields:
        fields["auto_tool_response"].flag()
    for name in _PROVIDERS_OBJECTS & fields.keys():
        fields[name].members()
    if "backchannel" in fields:
        read_backchannel(fields["backchannel"])
    if "responsiveness" in fields:
        read_responsiveness(fields["responsiveness"])
    after = _laid_over(present or {}, cast(dict[str, Any], field.value))
    if encoded_bytes(after, field) > KEPT_BYTES:
        raise field.refused(f"Invalid value: longer than {KEPT_BYTES} bytes as JSON, with what is there already.")
    return after


def _laid_over(present: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    after = dict(present)
    for name, value in new.items():
        if isinstance(value, dict):
            below = after.get(name)
            after[name] = _laid_over(below if isinstance(below, dict) else {}, value)
        elif value is not None:
            after[name] = value
    return after
