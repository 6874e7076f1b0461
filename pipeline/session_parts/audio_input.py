"""What is done with the caller's sound: turn detection, transcription, noise reduction, both ways.

Realtime reference, section C.2. Turn detection and transcription are merged field by field with the present ones;
another type of turn detection starts from its own defaults.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from pipeline.dialects import Dialect
from pipeline.events.config import (
    IDLE_TIMEOUT_MS,
    LONGEST_WAIT_MS,
    SemanticVad,
    ServerVad,
    Transcription,
    TurnDetection,
)
from pipeline.session_parts.field import Field, Terms

_BOTH = ("type", "create_response", "interrupt_response")
_SERVER_VAD = (*_BOTH, "threshold", "prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms")
_SEMANTIC_VAD = (*_BOTH, "eagerness")
_TYPES = ("server_vad", "semantic_vad", "none")
_EAGERNESS = ("low", "medium", "high", "auto")

_CAMEL = {
    "silenceDurationMs": "silence_duration_ms",
    "prefixPaddingMs": "prefix_padding_ms",
    "idleTimeoutMs": "idle_timeout_ms",
    "createResponse": "create_response",
    "interruptResponse": "interrupt_response",
}

_NOT_OFFERED = ("delay", "keywords", "languages")
"""Of a transcription: no transcriber here takes them."""

_Fields: TypeAlias = dict[str, Field]


def read_turn_detection(field: Field, present: TurnDetection | None, terms: Terms) -> TurnDetection | None:
    """The rule that is asked for; null and type `none` are manual."""
    if field.is_null:
        return None
    fields = _spelled(field, terms)
    wanted = _type_wanted(field, fields, present, terms)
    match wanted:
        case "server_vad":
            return _server_vad(fields, present if isinstance(present, ServerVad) else ServerVad(), terms)
        case "semantic_vad":
            return _semantic_vad(fields, present if isinstance(present, SemanticVad) else SemanticVad(), terms)
        case _:
            return None


def _spelled(field: Field, terms: Terms) -> _Fields:
    fields = field.members()
    if not terms.reads_camel_case:
        return fields
    return {_CAMEL.get(name, name): inner for name, inner in fields.items()}


def _type_wanted(whole: Field, fields: _Fields, present: TurnDetection | None, terms: Terms) -> str:
    """The type it names, else the present one; where there is none, GA insists and the others mean server_vad."""
    named = fields.get("type")
    if named is not None and not named.is_null:
        return named.one_of(_TYPES)
    if present is not None:
        return "server_vad" if isinstance(present, ServerVad) else "semantic_vad"
    if terms.is_strict:
        raise whole.lacks("type")
    return "server_vad"


def _server_vad(fields: _Fields, present: ServerVad, terms: Terms) -> ServerVad:
    changes = _flags(fields)
    for name, field in fields.items():
        if name == "idle_timeout_ms" and field.is_null:
            changes[name] = None
        if field.is_null:
            continue
        match name:
            case "threshold":
                changes[name] = field.number(0, 1)
            case "prefix_padding_ms" | "silence_duration_ms":
                changes[name] = field.whole(0, LONGEST_WAIT_MS)
            case "idle_timeout_ms":
                changes[name] = field.whole(IDLE_TIMEOUT_MS.start, IDLE_TIMEOUT_MS.stop - 1)
            case _:
                _pass_over(name, field, _SERVER_VAD, terms)
    return msgspec.structs.replace(present, **changes)


def _semantic_vad(fields: _Fields, present: SemanticVad, terms: Terms) -> SemanticVad:
    changes = _flags(fields)
    for name, field in fields.items():
        if field.is_null:
            continue
        match name:
            case "eagerness":
                changes[name] = field.one_of(_EAGERNESS)
            case "idle_timeout_ms":
                raise field.refused("Invalid value: an idle timeout needs turn detection of type 'server_vad'.")
            case _:
                _pass_over(name, field, _SEMANTIC_VAD, terms)
    return msgspec.structs.replace(present, **changes)


def _flags(fields: _Fields) -> dict[str, Any]:
    names = ("create_response", "interrupt_response")
    return {name: fields[name].flag() for name in names if name in fields and not fields[name].is_null}


def _pass_over(name: str, field: Field, known: tuple[str, ...], terms: Terms) -> None:
    """A field that this type has not, or nobody has."""
    if terms.is_strict and name not in known:
        raise field.unknown()


def read_transcription(field: Field, present: Transcription | None, terms: Terms) -> Transcription | None:
    """What is asked for on top of what is; null is off."""
    if field.is_null:
        return None
    fields = field.given(("model", "language", "prompt", *_NOT_OFFERED), is_strict=terms.is_strict)
    for name in _NOT_OFFERED:
        if name in fields and fields[name].value != []:
            raise fields[name].refused(f"Invalid value: '{name}' is not offered by this server. Leave it out.")
    changes: dict[str, Any] = {}
    if "model" in fields:
        changes["model"] = fields["model"].text(least_chars=1)
    if "language" in fields:
        changes["language"] = fields["language"].text() or None
    if "prompt" in fields:
        changes["prompt"] = fields["prompt"].text(terms.limits.instructions_chars) or None
    return msgspec.structs.replace(present or Transcription(), **changes)


def refuse_noise_reduction(field: Field) -> None:
    """Null asks for none, which is what there is."""
    if not field.is_null:
        raise field.refused(
            "Invalid value: noise reduction is not offered by this server. Set it to null or leave it out."
        )


def shown_turn_detection(rule: TurnDetection | None, dialect: Dialect) -> dict[str, Any] | None:
    """With all defaults filled in: clients look for `interrupt_response: true` (Realtime reference, F.3)."""
    if rule is None:
        return None
    echo: dict[str, Any] = msgspec.to_builtins(rule)
    if dialect is Dialect.BETA and echo.get("idle_timeout_ms", 0) is None:
        del echo["idle_timeout_ms"]  # beta has no such field; who set one sees it
    return echo


def camel_shown_turn_detection(rule: TurnDetection | None) -> dict[str, Any]:
    """As the seed's `SessionConfig` spells it; it has no null, so manual is `none`."""
    match rule:
        case ServerVad():
            return {
                "type": "server_vad",
                "threshold": rule.threshold,
                "silenceDurationMs": rule.silence_duration_ms,
            }
        case SemanticVad():
            return {"type": "semantic_vad"}
        case _:
            return {"type": "none"}


def shown_transcription(transcription: Transcription | None) -> dict[str, Any] | None:
    """Only `model`, `language` and `prompt`: a strict client dies of any other key (Realtime reference, F.5)."""
    if transcription is None:
        return None
    echo = {
        "model": transcription.model,
        "language": transcription.language,
        "prompt": transcription.prompt,
    }
    return {name: value for name, value in echo.items() if value is not None}
