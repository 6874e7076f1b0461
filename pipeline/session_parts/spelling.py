"""Where a client may write a field of the session, in each of the protocol's spellings.

Everything is led back to one place, the GA path: `voice`, `audio.output.voice` and `sessionConfig.voice` are the
same field (Realtime reference, sections C.2 and C.5). What a field may hold is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from pipeline.dialects import Dialect
from pipeline.session_parts.field import Field, Terms

FLAT = {
    "modalities": "output_modalities",
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
    "input_audio_format": "audio.input.format",
    "output_audio_format": "audio.output.format",
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "turn_detection": "audio.input.turn_detection",
    "max_response_output_tokens": "max_output_tokens",
}
"""The beta spelling to the GA path, where they differ."""

CAMEL = {
    "maxTokens": "max_output_tokens",
    "toolChoice": "tool_choice",
    "inputAudioFormat": "audio.input.format",
    "outputAudioFormat": "audio.output.format",
    "turnDetection": "audio.input.turn_detection",
    "voice": "audio.output.voice",
    "mcpServers": "mcpServers",
}
"""The seed's spelling to the GA path, where they differ. GA has no list of servers: there they are tools."""

NULL_MEANS_OFF = frozenset(
    {
        "audio.input.turn_detection",
        "audio.input.transcription",
        "audio.input.noise_reduction",
        "tracing",
        "prompt",
    }
)
"""Elsewhere null is as good as unset (Realtime reference, section B.0)."""

_SOUND_IN = frozenset(
    {
        "audio.input.format",
        "audio.input.transcription",
        "audio.input.noise_reduction",
        "audio.input.turn_detection",
    }
)
_ANSWER = frozenset(
    {
        "output_modalities",
        "instructions",
        "tools",
        "tool_choice",
        "max_output_tokens",
        "temperature",
        "prompt",
        "parallel_tool_calls",
        "reasoning",
        "truncation",
        "audio.output.format",
        "audio.output.voice",
    }
)
_INWORLDS = frozenset({"providerData", "audio.output.model", "mcpServers"})
"""Not on GA and beta connections."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which fields one kind of object has."""

    paths: frozenset[str]
    passed_over: frozenset[str]
    """Fields that are there and not read here."""

    def on(self, dialect: Dialect) -> Scope:
        if dialect in (Dialect.IW, Dialect.SEED):
            return self
        return Scope(self.paths - _INWORLDS, self.passed_over)


_READ_ONLY = frozenset({"id", "object", "expires_at", "client_secret"})

REALTIME = Scope(
    _ANSWER | _SOUND_IN | _INWORLDS | {"type", "model", "tracing", "include", "audio.output.speed"}, _READ_ONLY
)
TRANSCRIPTION = Scope(_SOUND_IN | {"type", "include"}, _READ_ONLY)
"""A transcription session says nothing, so it has nothing that is about answers."""
RESPONSE = Scope(_ANSWER, frozenset({"conversation", "metadata", "input"}))
"""What one response may have otherwise (Realtime reference, section B.4)."""

Placed: TypeAlias = list[tuple[str, Field]]
"""GA path and the field as it was spelled; a path may come several times."""


def placed(whole: Field, scope: Scope, terms: Terms, *, is_strict: bool) -> Placed:
    """The fields of an object by their GA path, the connection's own spelling last.

    With `is_strict` a field that nobody knows raises `unknown_parameter`, unless it is null.
    """
    scope = scope.on(terms.dialect)
    nested: Placed = []
    flat: Placed = []
    camel: Placed = []
    for name, field in whole.members().items():
        if name in scope.passed_over:
            continue
        if name == "audio":
            nested += _sound(field, scope, is_strict=is_strict)
        elif name in scope.paths and name not in CAMEL and "." not in name:
            nested.append((name, field))
        elif FLAT.get(name) in scope.paths:
            flat.append((FLAT[name], field))
        elif terms.reads_camel_case and CAMEL.get(name) in scope.paths:
            camel.append((CAMEL[name], field))
        elif terms.reads_camel_case and name == "sessionConfig" and not field.is_null:
            camel += [(CAMEL.get(name, name), inner) for name, inner in field.members().items() if "." not in name]
        elif is_strict and not field.is_null:
            raise field.unknown()
    known = [(path, field) for path, field in camel if path in scope.paths]
    if terms.dialect is Dialect.SEED:
        return nested + flat + known
    return nested + flat if terms.dialect is Dialect.BETA else known + flat + nested


def _sound(audio: Field, scope: Scope, *, is_strict: bool) -> Placed:
    """What stands in `audio.input` and `audio.output`."""
    fields: Placed = []
    if audio.is_null:
        return fields
    for side, half in audio.members().items():
        inside = f"audio.{side}."
        if half.is_null:
            continue
        if any(path.startswith(inside) for path in scope.paths):
            for name, field in half.members().items():
                if inside + name in scope.paths:
                    fields.append((inside + name, field))
                elif is_strict and not field.is_null:
                    raise field.unknown()
        elif is_strict:
            raise half.unknown()
    return fields


def collapsed(fields: Placed) -> dict[str, Field]:
    """One field for each path: the last that says something."""
    return {path: field for path, field in fields if not field.is_null or path in NULL_MEANS_OFF}
