"""The session a client gets before it has asked for anything: the agent's, in the protocol's defaults.

The tools of the agent are not in it: those are run here, for its own phone calls, while a client of the protocol
brings functions of its own and runs them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.errors import ConfigRefused
from gateway.realtime.handshake import Wanted
from pipeline.agent import Agent
from pipeline.dialects import Dialect
from pipeline.events.config import SessionConfig, Transcription
from pipeline.events.refusal import BadEvent
from pipeline.kept_conversation import KeptConversation, configured
from pipeline.limits import MIB, Limits
from pipeline.session_object import merged, shown


def default_config(agent: Agent, *, model: str | None = None, is_transcription: bool = False) -> SessionConfig:
    """A transcription session shows what was said without being asked to; that is all it does."""
    return SessionConfig(
        type="transcription" if is_transcription else "realtime",
        model=model or agent.name,
        instructions=agent.instructions,
        voice=agent.voice,
        transcription=Transcription() if is_transcription else None,
        language=agent.language,
    )


def config_for(
    wanted: Wanted,
    agent: Agent,
    limits: Limits,
    *,
    serves_mcp: bool = False,
    session: object = None,
    kept: KeptConversation | None = None,
) -> SessionConfig:
    """What a connection begins with; a client secret's session stands above what the address says, that of a
    conversation it goes on with above both, and a session object sent along above all.

    Raises `ConfigRefused`.
    """
    config = default_config(agent, model=wanted.model, is_transcription=wanted.is_transcription)
    credential = wanted.credential
    # A connection that speaks beta could not be told of a server's calls, whatever its secret was made with.
    serves_mcp = serves_mcp and wanted.dialect is not Dialect.BETA
    if credential.session is not None:
        spelling = credential.dialect or Dialect.GA
        config = _merged(config, credential.session, spelling, limits, serves_mcp=serves_mcp)
    if kept is not None:
        config = configured(kept, config, limits, serves_mcp=serves_mcp)
    if session is not None:
        config = _merged(config, session, wanted.dialect, limits, serves_mcp=serves_mcp)
    return config


def configurer(
    agent: Agent, limits: Limits, *, serves_mcp: bool = False
) -> Callable[[object, Dialect, bool], dict[str, Any]]:
    """What the HTTP endpoints check a session object with, and echo."""

    def configure(session: object, dialect: Dialect, is_transcription: bool) -> dict[str, Any]:
        config = default_config(agent, is_transcription=is_transcription)
        if session is not None:
            config = _merged(config, session, dialect, limits, serves_mcp=serves_mcp)
        return shown(config, dialect, session_id="")

    return configure


def _merged(
    config: SessionConfig, session: object, dialect: Dialect, limits: Limits, *, serves_mcp: bool
) -> SessionConfig:
    try:
        return merged(config, session, dialect, limits=limits, serves_mcp=serves_mcp, is_first=True)
    except BadEvent as bad:
        raise ConfigRefused(bad.code, bad.message, bad.param) from bad


def limits_of(max_event_mib: int) -> Limits:
    """The usual limits, but for the size of an event."""
    return Limits(event_bytes=max_event_mib * MIB)
