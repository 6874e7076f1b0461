"""The session a client gets before it has asked for anything: the agent's, in the protocol's defaults.

The tools of the agent are not in it: those are run here, for its own phone calls, while a client of the protocol
brings functions of its own and runs them. Only a session asked for as the agent's own (`?agent=1`) has them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.errors import ConfigRefused
from gateway.realtime.handshake import Wanted
from pipeline.agent import Agent
from pipeline.backchannel import provider_data_of
from pipeline.dialects import Dialect
from pipeline.events.config import SessionConfig, Transcription
from pipeline.events.refusal import BadEvent
from pipeline.kept_conversation import KeptConversation, configured
from pipeline.limits import MIB, Limits
from pipeline.session_object import merged, shown
from pipeline.toolbox import Toolbox


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


ON_THE_TELEPHONE = frozenset({"transfer", "send_digits", "collect_digits"})
"""Tools that a browser has no use for."""


def agents_config(agent: Agent, toolbox: Toolbox | None) -> SessionConfig:
    """As a phone call of the agent's begins, in the protocol's formats. Raises `ConfigRefused`."""
    if toolbox is None:
        words = "This gateway runs its agent's tools for no client. Its operator sets SWITCHBOARD_DEMO_PAGE=1."
        raise ConfigRefused("invalid_value", words, "agent")
    return msgspec.structs.replace(
        default_config(agent),
        transcription=Transcription(),
        turn_detection=agent.turn_detection,
        tools=tuple(tool for tool in toolbox.described if tool.name not in ON_THE_TELEPHONE),
        provider_data=provider_data_of(agent.backchannel),
    )


def config_for(
    wanted: Wanted,
    agent: Agent,
    limits: Limits,
    *,
    serves_mcp: bool = False,
    session: object = None,
    kept: KeptConversation | None = None,
    toolbox: Toolbox | None = None,
) -> SessionConfig:
    """What a connection begins with; a client secret's session stands above what the address says, that of a
    conversation it goes on with above both, and a session object sent along above all.

    Raises `ConfigRefused`.
    """
    if wanted.is_agents:
        config = agents_config(agent, toolbox)
    else:
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
