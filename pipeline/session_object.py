"""The session object between the wire and the configuration a session holds, in all four dialects.

`wire.py` calls this with what it parsed; `session.py` sees only complete configurations. Where a field may be
written is in `session_parts/spelling.py`, what it may hold in the other parts; here they are laid onto the present
configuration, all of them or, after a `BadEvent`, none.

One rule stands above all others: what reads as it is shown is unchanged. So an echo that is sent back verbatim
changes nothing, whatever the dialect cannot say, and of an echo sent back with one field altered that field counts,
though another spelling of it stands beside it unaltered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

import msgspec

from pipeline.dialects import Dialect
from pipeline.events.config import SPEEDS, Modality, SessionConfig, SessionType, Transcription
from pipeline.events.refusal import BadEvent
from pipeline.limits import Limits
from pipeline.session_parts import audio_format, audio_input, kept_values, tools
from pipeline.session_parts.echo import DEFAULT_VOICE, shown
from pipeline.session_parts.field import Field, Terms
from pipeline.session_parts.spelling import (
    REALTIME,
    RESPONSE,
    TRANSCRIPTION,
    Placed,
    Scope,
    collapsed,
    placed,
)

__all__ = ["merged", "overridden", "shown", "takes_ga_shape"]

_MOST_OUTPUT_TOKENS = 4_096
"""Realtime reference, section C.2."""
_HOTTEST = 2.0
"""Beta documents 0.6 to 1.2, the providers of models take 0 to 2."""
_TYPES = ("realtime", "transcription")


def merged(
    config: SessionConfig,
    session: object,
    dialect: Dialect,
    *,
    limits: Limits | None = None,
    serves_mcp: bool = True,
    is_first: bool = False,
) -> SessionConfig:
    """The configuration after a `session.update` with this `session`, which may be any JSON value.

    `is_first` says that the session is only now being made from this object: its type may still be chosen, and its
    model. Later a change of type is refused; a model that GA and beta name again is passed over, since theirs came
    with the address and clients repeat their own default with every update (Realtime reference, B.1 note 3).
    """
    if session is None:
        raise BadEvent("missing_required_parameter", "Missing required parameter: 'session'.", "session")
    terms = Terms(dialect, limits or Limits(), serves_mcp=serves_mcp, is_first=is_first)
    whole = Field(session, "session")
    kind = _type_wanted(whole, config, terms)
    if kind != config.type:
        heard = (
            Transcription() if kind == "transcription" and config.transcription is None else config.transcription
        )
        config = msgspec.structs.replace(config, type=kind, transcription=heard)
    return _applied(config, whole, TRANSCRIPTION if kind == "transcription" else REALTIME, terms)


def overridden(
    config: SessionConfig,
    response: Mapping[str, object],
    dialect: Dialect,
    *,
    limits: Limits | None = None,
    serves_mcp: bool = True,
) -> SessionConfig:
    """The configuration for one response: the session's, with what its `response.create` wants otherwise.

    `conversation`, `metadata` and `input` are not read here (Realtime reference, section B.4).
    """
    terms = Terms(dialect, limits or Limits(), serves_mcp=serves_mcp)
    return _applied(config, Field(dict(response), "response"), RESPONSE, terms)


def takes_ga_shape(session: object) -> bool:
    """A first update of this shape turns a seed connection into an Inworld one (Realtime reference, A.4 rule 3)."""
    return isinstance(session, dict) and (session.get("type") is not None or isinstance(session.get("audio"), dict))


def _type_wanted(whole: Field, config: SessionConfig, terms: Terms) -> SessionType:
    named = whole.members().get("type")
    if named is None or named.is_null:
        if terms.is_strict:
            raise whole.lacks("type")
        return config.type
    kind = cast(SessionType, named.one_of(_TYPES))
    if kind != config.type and not terms.is_first:
        raise named.refused(f"Invalid value: '{kind}'. This is a {config.type} session, and stays one.")
    return kind


def _applied(config: SessionConfig, whole: Field, scope: Scope, terms: Terms) -> SessionConfig:
    """All fields of `whole` laid onto `config`."""
    written = placed(whole, scope, terms, is_strict=terms.is_strict)
    fields = collapsed(_unlike_shown(written, config, whole, scope, terms))
    changes: dict[str, Any] = {}
    for path, field in fields.items():
        if path in _READERS:
            name, read = _READERS[path]
            changes[name] = read(field, config, terms)
    if "audio.input.noise_reduction" in fields:
        audio_input.refuse_noise_reduction(fields["audio.input.noise_reduction"])
    offered = tools.replaced(fields.get("tools"), fields.get("mcpServers"), config, terms)
    if "tool_choice" in fields:
        changes["tool_choice"] = tools.read_choice(fields["tool_choice"], offered)
    elif offered != config.tools:
        changes["tool_choice"] = tools.choice_among(config.tool_choice, offered)
    return msgspec.structs.replace(config, tools=offered, **changes)


def _unlike_shown(fields: Placed, config: SessionConfig, whole: Field, scope: Scope, terms: Terms) -> Placed:
    """Without those that read just as an echo has them.

    An Inworld connection may have begun as a seed one (Realtime reference, A.4 rule 3), and its client then holds
    the seed's echo.
    """
    echoes = [shown(config, terms.dialect, session_id="")]
    if terms.dialect is Dialect.IW and "inputAudioFormat" in whole.members():
        echoes.append(shown(config, Dialect.SEED, session_id=""))
    present = [
        (field.path, field.value)
        for echo in echoes
        for _, field in placed(Field(echo, whole.path), scope, terms, is_strict=False)
    ]
    return [(path, field) for path, field in fields if (field.path, field.value) not in present]


def _modality(field: Field, config: SessionConfig, terms: Terms) -> Modality:
    """GA takes one or the other; elsewhere both together mean speech, whose words are its transcript."""
    asked = sorted(element.one_of(("audio", "text")) for element in field.elements())
    if asked == ["text"]:
        return "text"
    takes_both = not (terms.is_strict and field.path.endswith(".output_modalities"))
    if asked == ["audio"] or (takes_both and asked == ["audio", "text"]):
        return "audio"
    raise field.refused(
        "Invalid value: this combination. Supported values are: ['audio'], ['text']"
        + (", ['audio', 'text']." if takes_both else ".")
    )


def _output_tokens(field: Field, config: SessionConfig, terms: Terms) -> int | None:
    if field.value == "inf":
        return None
    if isinstance(field.value, str):
        raise field.wrong(f"a whole number from 1 to {_MOST_OUTPUT_TOKENS}, or 'inf'")
    return field.whole(1, _MOST_OUTPUT_TOKENS)


def _voice(field: Field, config: SessionConfig, terms: Terms) -> str | None:
    """A name, or an object with the `id` of one; `default` is the server's own choice again."""
    if isinstance(field.value, dict):
        fields = field.given(("id",), is_strict=terms.is_strict)
        if "id" not in fields:
            raise field.lacks("id")
        field = fields["id"]
    voice = field.text(least_chars=1)
    return None if voice == DEFAULT_VOICE else voice


def _model(field: Field, config: SessionConfig, terms: Terms) -> str:
    model = field.text(least_chars=1)
    comes_with_address = terms.dialect in (Dialect.GA, Dialect.BETA)
    return config.model if comes_with_address and not terms.is_first else model


_Reader: TypeAlias = Callable[[Field, SessionConfig, Terms], object]

_READERS: dict[str, tuple[str, _Reader]] = {
    "model": ("model", _model),
    "instructions": ("instructions", lambda field, _, terms: field.text(terms.limits.instructions_chars)),
    "output_modalities": ("output_modality", _modality),
    "max_output_tokens": ("max_output_tokens", _output_tokens),
    "temperature": ("temperature", lambda field, *_: field.number(0, _HOTTEST)),
    "parallel_tool_calls": ("parallel_tool_calls", lambda field, *_: field.flag()),
    "tracing": ("tracing", lambda field, *_: kept_values.read_tracing(field)),
    "truncation": ("truncation", lambda field, *_: kept_values.read_truncation(field)),
    "prompt": ("prompt", lambda field, *_: kept_values.read_prompt(field)),
    "include": ("include", lambda field, *_: kept_values.read_include(field)),
    "reasoning": ("reasoning", lambda field, *_: kept_values.read_reasoning(field)),
    "providerData": (
        "provider_data",
        lambda field, config, _: kept_values.read_provider_data(field, config.provider_data),
    ),
    "audio.input.format": ("input_format", lambda field, _, terms: audio_format.read(field, terms)),
    "audio.output.format": ("output_format", lambda field, _, terms: audio_format.read(field, terms)),
    "audio.input.transcription": (
        "transcription",
        lambda field, config, terms: audio_input.read_transcription(field, config.transcription, terms),
    ),
    "audio.input.turn_detection": (
        "turn_detection",
        lambda field, config, terms: audio_input.read_turn_detection(field, config.turn_detection, terms),
    ),
    "audio.output.voice": ("voice", _voice),
    "audio.output.model": ("voice_model", lambda field, *_: field.text(least_chars=1)),
    "audio.output.speed": ("speed", lambda field, *_: field.number(*SPEEDS)),
}
"""GA path to the field of the configuration, and how it is read."""
