from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from gateway.credentials.credential import Credential, Kind, Scope
from gateway.errors import ConfigRefused
from gateway.realtime.agent_session import config_for, configurer, default_config, limits_of
from gateway.realtime.handshake import Wanted
from pipeline.agent import Agent
from pipeline.audio.formats import PCM_24K
from pipeline.call_controls import CallControls
from pipeline.dialects import Dialect
from pipeline.events.config import McpServer, ServerVad, Transcription
from pipeline.provider import FunctionTool
from pipeline.toolbox import Tool, Toolbox, ToolResult

AGENT = Agent(name="reception", greeting="Hello.", instructions="Be kind.", voice="anna", language="en-US")
LIMITS = limits_of(24)


async def nothing(arguments: Mapping[str, Any], controls: CallControls) -> ToolResult:
    return ToolResult("")


def toolbox(*names: str) -> Toolbox:
    return Toolbox(tuple(Tool(FunctionTool(name, "", {"type": "object"}), nothing) for name in names))


def wanted(session: object = None, *, dialect: Dialect | None = None, model: str | None = None) -> Wanted:
    credential = Credential(
        owner="acme",
        scopes=frozenset({Scope.REALTIME}),
        kind=Kind.CLIENT_SECRET,
        session=session,
        dialect=dialect,
    )
    return Wanted(dialect=Dialect.GA, credential=credential, model=model)


def test_a_session_is_the_agents_in_the_protocols_defaults_and_without_its_tools() -> None:
    config = default_config(AGENT)
    assert (config.instructions, config.voice, config.language) == ("Be kind.", "anna", "en-US")
    assert config.model == "reception"
    assert config.turn_detection == ServerVad()
    assert (config.input_format, config.output_format) == (PCM_24K, PCM_24K)
    assert config.tools == ()
    assert config.transcription is None
    assert default_config(AGENT, model="gpt-x").model == "gpt-x"


def test_the_agents_own_session_has_its_tools_but_those_of_the_telephone() -> None:
    config = config_for(replace(wanted(), is_agents=True), AGENT, LIMITS, toolbox=toolbox("look_up", "transfer"))
    assert [tool.name for tool in config.tools if isinstance(tool, FunctionTool)] == ["look_up"]
    assert (config.transcription, config.turn_detection) == (Transcription(), AGENT.turn_detection)
    assert (config.instructions, config.output_format) == ("Be kind.", PCM_24K)


def test_where_the_agents_tools_are_for_nobody_its_own_session_is_refused() -> None:
    with pytest.raises(ConfigRefused, match="SWITCHBOARD_DEMO_PAGE=1") as refused:
        config_for(replace(wanted(), is_agents=True), AGENT, LIMITS)
    assert refused.value.param == "agent"


def test_a_transcription_session_transcribes_without_being_asked() -> None:
    config = default_config(AGENT, is_transcription=True)
    assert (config.type, config.transcription) == ("transcription", Transcription())


def test_a_secrets_session_stands_above_the_address() -> None:
    session = {"type": "realtime", "model": "bound", "instructions": "Bound."}
    config = config_for(wanted(session, model="asked"), AGENT, LIMITS)
    assert (config.model, config.instructions) == ("bound", "Bound.")
    assert config_for(wanted(model="asked"), AGENT, LIMITS).model == "asked"
    secret = wanted({"type": "transcription"})
    assert config_for(secret, AGENT, LIMITS).type == "transcription"
    beta = wanted({"modalities": ["text"]}, dialect=Dialect.BETA)
    assert config_for(beta, AGENT, LIMITS).output_modality == "text"


@pytest.mark.parametrize("is_beta", [False, True])
@pytest.mark.parametrize("serves_mcp", [False, True])
def test_a_secrets_servers_are_there_where_they_are_served_and_can_be_told_of(
    serves_mcp: bool, is_beta: bool
) -> None:
    server = {"type": "mcp", "server_label": "s", "server_url": "https://s.example"}
    asked = wanted({"type": "realtime", "tools": [server]}, dialect=Dialect.GA)
    if is_beta:
        asked = replace(asked, dialect=Dialect.BETA)
    if serves_mcp and not is_beta:
        (tool,) = config_for(asked, AGENT, LIMITS, serves_mcp=True).tools
        assert isinstance(tool, McpServer) and tool.server_label == "s"
        return
    with pytest.raises(ConfigRefused, match="MCP servers are not offered"):
        config_for(asked, AGENT, LIMITS, serves_mcp=serves_mcp)


def test_a_session_object_over_http_is_echoed_whole_or_refused_by_name() -> None:
    configure = configurer(AGENT, LIMITS)
    assert configure(None, Dialect.GA, False)["instructions"] == "Be kind."
    assert configure({"type": "realtime", "instructions": "Other."}, Dialect.GA, False)["instructions"] == "Other."
    assert configure(None, Dialect.GA, True)["type"] == "transcription"
    with pytest.raises(ConfigRefused) as refused:
        configure({"type": "realtime", "nonsense": 1}, Dialect.GA, False)
    assert (refused.value.code, refused.value.param) == ("unknown_parameter", "session.nonsense")


def test_the_size_of_an_event_is_the_operators() -> None:
    assert limits_of(3).event_bytes == 3 * 1024 * 1024
