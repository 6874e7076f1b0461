"""The session object as each dialect shows it: complete, every default filled in (Realtime reference, C.1 and C.2).

What comes out is to be written as JSON at once: it shares its inner objects with the configuration.
"""

from __future__ import annotations

from typing import Any

from pipeline.dialects import Dialect
from pipeline.events.config import McpServer, SessionConfig
from pipeline.session_parts import audio_format, audio_input, mcp_server, tools

DEFAULT_VOICE = "default"
"""What a session without a voice of its own shows: clients need a string (Realtime reference, F.3)."""
DEFAULT_TEMPERATURE = 0.8
"""What beta shows where none was set; the model then has its own."""


def shown(
    config: SessionConfig, dialect: Dialect, *, session_id: str, expires_at: int | None = None
) -> dict[str, Any]:
    """The whole session, for `session.created`, `session.updated` and what HTTP answers.

    `expires_at` is in Unix seconds; without it the field is left out.
    """
    if dialect is Dialect.BETA:
        return _flat(config, session_id, expires_at)
    session = _nested(config, dialect, session_id, expires_at)
    if dialect is Dialect.SEED:
        session |= _camel(config)
    return session


def _nested(config: SessionConfig, dialect: Dialect, session_id: str, expires_at: int | None) -> dict[str, Any]:
    life = {} if expires_at is None else {"expires_at": expires_at}
    audio: dict[str, Any] = {"input": _audio_input(config, dialect)}
    kept = {"include": None if config.include is None else list(config.include)}
    if config.type == "transcription":
        kind = {"type": "transcription", "object": "realtime.transcription_session", "id": session_id}
        return {**kind, **life, "audio": audio, **kept}
    audio["output"] = {
        "format": audio_format.shown(config.output_format, dialect),
        "voice": config.voice or DEFAULT_VOICE,
        "speed": config.speed,
    }
    session = {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": config.model,
        "output_modalities": [config.output_modality],
        "instructions": config.instructions,
        "tools": tools.shown(config.tools, dialect),
        "tool_choice": tools.shown_choice(config.tool_choice),
        "max_output_tokens": _tokens(config),
        "tracing": config.tracing,
        "truncation": config.truncation,
        "prompt": config.prompt,
        **life,
        "audio": audio,
        **kept,
        **_unless_default(config),
    }
    if dialect is not Dialect.GA:
        _add_inworlds(session, config)
    return session


def _audio_input(config: SessionConfig, dialect: Dialect) -> dict[str, Any]:
    return {
        "format": audio_format.shown(config.input_format, dialect),
        "transcription": audio_input.shown_transcription(config.transcription),
        "noise_reduction": None,
        "turn_detection": audio_input.shown_turn_detection(config.turn_detection, dialect),
    }


def _unless_default(config: SessionConfig) -> dict[str, Any]:
    """Fields that the official echo has only where they were set."""
    rare: dict[str, Any] = {}
    if not config.parallel_tool_calls:
        rare["parallel_tool_calls"] = False
    if config.reasoning is not None:
        rare["reasoning"] = config.reasoning
    return rare


def _add_inworlds(session: dict[str, Any], config: SessionConfig) -> None:
    """Realtime reference, section G.2."""
    if config.temperature is not None:
        session["temperature"] = config.temperature
    if config.voice_model is not None:
        session["audio"]["output"]["model"] = config.voice_model
    if config.provider_data is not None:
        session["providerData"] = config.provider_data


def _camel(config: SessionConfig) -> dict[str, Any]:
    """The keys of the seed's `SessionConfig` that GA spells otherwise."""
    session: dict[str, Any] = {
        "inputAudioFormat": audio_format.camel_shown(config.input_format),
        "turnDetection": audio_input.camel_shown_turn_detection(config.turn_detection),
    }
    if config.type == "transcription":
        return session
    session |= {
        "voice": config.voice or DEFAULT_VOICE,
        "outputAudioFormat": audio_format.camel_shown(config.output_format),
        "toolChoice": tools.shown_choice(config.tool_choice),
        "mcpServers": [
            mcp_server.camel_shown(tool)
            for tool in config.tools
            if isinstance(tool, McpServer) and mcp_server.is_camel_shown(tool)
        ],
    }
    if config.max_output_tokens is not None:
        session["maxTokens"] = config.max_output_tokens  # the seed's is a number, so no limit is no field
    return session


def _flat(config: SessionConfig, session_id: str, expires_at: int | None) -> dict[str, Any]:
    life = {} if expires_at is None else {"expires_at": expires_at}
    sound = {f"input_audio_{name}": value for name, value in _audio_input(config, Dialect.BETA).items()}
    sound["turn_detection"] = sound.pop("input_audio_turn_detection")
    kept = {} if config.include is None else {"include": list(config.include)}
    if config.type == "transcription":
        return {"id": session_id, "object": "realtime.transcription_session", **sound, **kept, **life}
    prompt = {} if config.prompt is None else {"prompt": config.prompt}
    return {
        "id": session_id,
        "object": "realtime.session",
        "model": config.model,
        "modalities": ["text", "audio"] if config.output_modality == "audio" else ["text"],
        "instructions": config.instructions,
        "voice": config.voice or DEFAULT_VOICE,
        "output_audio_format": audio_format.shown(config.output_format, Dialect.BETA),
        **sound,
        "tools": tools.shown(config.tools, Dialect.BETA),
        "tool_choice": tools.shown_choice(config.tool_choice),
        "temperature": DEFAULT_TEMPERATURE if config.temperature is None else config.temperature,
        "max_response_output_tokens": _tokens(config),
        "speed": config.speed,
        "tracing": config.tracing,
        **prompt,
        **kept,
        **life,
    }


def _tokens(config: SessionConfig) -> int | str:
    return "inf" if config.max_output_tokens is None else config.max_output_tokens
