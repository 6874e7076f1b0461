"""The session object as each dialect shows it: byte for byte, and before the official models."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from msgspec.structs import replace
from openai.types.beta.realtime import Session as BetaSession
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from pipeline.audio.formats import PCMA, PCMU, AudioFormat, Encoding
from pipeline.dialects import Dialect
from pipeline.events.config import (
    McpServer,
    NamedTool,
    SemanticVad,
    ServerVad,
    SessionConfig,
    Transcription,
)
from pipeline.provider import FunctionTool
from pipeline.session_parts.echo import shown
from tests.pipeline.session_parts.configs import configs, repeatable

USUAL = SessionConfig(model="m", instructions="Be brief.")
RICH = SessionConfig(
    model="m",
    instructions="Be brief.",
    output_modality="text",
    voice="Dennis",
    voice_model="tts-2",
    speed=1.25,
    input_format=PCMU,
    output_format=PCMA,
    transcription=Transcription(model="stt", language="de"),
    turn_detection=SemanticVad(eagerness="low", interrupt_response=False),
    tools=(
        FunctionTool("f", "does f", {"type": "object"}),
        McpServer(
            server_label="s",
            server_url="https://one.example",
            authorization="hidden-token",
            headers={"x-key": "hidden-header"},
        ),
        McpServer(
            server_label="mcp_1", server_url="https://two.example", transport="sse", require_approval="never"
        ),
    ),
    tool_choice=NamedTool(type="function", name="f"),
    parallel_tool_calls=False,
    max_output_tokens=100,
    temperature=0.7,
    include=("item.input_audio_transcription.logprobs",),
    truncation="disabled",
    tracing="auto",
    prompt={"id": "p"},
    reasoning={"effort": "low"},
    provider_data={"auto_tool_response": False},
)
TRANSCRIBING = SessionConfig(
    type="transcription", transcription=Transcription(model="stt"), turn_detection=ServerVad(idle_timeout_ms=6_000)
)

VAD = (
    '{"type":"server_vad","threshold":0.5,"prefix_padding_ms":300,"silence_duration_ms":500,'
    '"idle_timeout_ms":null,"create_response":true,"interrupt_response":true}'
)
BETA_VAD = VAD.replace('"idle_timeout_ms":null,', "")
PCM = '{"type":"audio/pcm","rate":24000}'
GA_USUAL = (
    '{"type":"realtime","object":"realtime.session","id":"sess_1","model":"m","output_modalities":["audio"],'
    '"instructions":"Be brief.","tools":[],"tool_choice":"auto","max_output_tokens":"inf","tracing":null,'
    '"truncation":"auto","prompt":null,"expires_at":1756324625,'
    f'"audio":{{"input":{{"format":{PCM},"transcription":null,"noise_reduction":null,"turn_detection":{VAD}}},'
    f'"output":{{"format":{PCM},"voice":"default","speed":1.0}}}},"include":null'
)
SEMANTIC = '{"type":"semantic_vad","eagerness":"low","create_response":true,"interrupt_response":false}'
FUNCTION = '{"type":"function","name":"f","description":"does f","parameters":{"type":"object"}}'
SERVER = '{"type":"mcp","server_label":"s","server_url":"https://one.example","require_approval":"always"}'
SEEDS_SERVER = '{"type":"mcp","server_label":"mcp_1","server_url":"https://two.example","require_approval":"never"}'
CHOICE = '{"type":"function","name":"f"}'


def ga_rich(tools: str, model: str, rest: str) -> str:
    return (
        '{"type":"realtime","object":"realtime.session","id":"sess_1","model":"m","output_modalities":["text"],'
        f'"instructions":"Be brief.","tools":[{tools}],"tool_choice":{CHOICE},"max_output_tokens":100,'
        '"tracing":"auto","truncation":"disabled","prompt":{"id":"p"},"expires_at":1756324625,'
        '"audio":{"input":{"format":{"type":"audio/pcmu"},"transcription":{"model":"stt","language":"de"},'
        f'"noise_reduction":null,"turn_detection":{SEMANTIC}}},'
        f'"output":{{"format":{{"type":"audio/pcma"}},"voice":"Dennis","speed":1.25{model}}}}},'
        '"include":["item.input_audio_transcription.logprobs"],"parallel_tool_calls":false,'
        f'"reasoning":{{"effort":"low"}}{rest}}}'
    )


INWORLDS = ',"temperature":0.7,"providerData":{"auto_tool_response":false}'
GA_TRANSCRIBING = (
    '{"type":"transcription","object":"realtime.transcription_session","id":"sess_1","expires_at":1756324625,'
    f'"audio":{{"input":{{"format":{PCM},"transcription":{{"model":"stt"}},"noise_reduction":null,'
    f'"turn_detection":{VAD.replace("null", "6000")}}}}},"include":null'
)

EXPECTED = [
    pytest.param(USUAL, Dialect.GA, GA_USUAL + "}", id="ga"),
    pytest.param(USUAL, Dialect.IW, GA_USUAL + "}", id="iw"),
    pytest.param(
        USUAL,
        Dialect.SEED,
        GA_USUAL + ',"inputAudioFormat":"pcm16",'
        '"turnDetection":{"type":"server_vad","threshold":0.5,"silenceDurationMs":500},"voice":"default",'
        '"outputAudioFormat":"pcm16","toolChoice":"auto","mcpServers":[]}',
        id="seed",
    ),
    pytest.param(
        USUAL,
        Dialect.BETA,
        '{"id":"sess_1","object":"realtime.session","model":"m","modalities":["text","audio"],'
        '"instructions":"Be brief.","voice":"default","output_audio_format":"pcm16","input_audio_format":"pcm16",'
        f'"input_audio_transcription":null,"input_audio_noise_reduction":null,"turn_detection":{BETA_VAD},'
        '"tools":[],"tool_choice":"auto","temperature":0.8,"max_response_output_tokens":"inf","speed":1.0,'
        '"tracing":null,"expires_at":1756324625}',
        id="beta",
    ),
    pytest.param(RICH, Dialect.GA, ga_rich(f"{FUNCTION},{SERVER},{SEEDS_SERVER}", "", ""), id="ga-rich"),
    pytest.param(
        RICH,
        Dialect.IW,
        ga_rich(f"{FUNCTION},{SERVER},{SEEDS_SERVER}", ',"model":"tts-2"', INWORLDS),
        id="iw-rich",
    ),
    pytest.param(
        RICH,
        Dialect.SEED,
        ga_rich(
            f"{FUNCTION},{SERVER}",
            ',"model":"tts-2"',
            INWORLDS + ',"inputAudioFormat":"pcmu","turnDetection":{"type":"semantic_vad"},"voice":"Dennis",'
            f'"outputAudioFormat":"pcma","toolChoice":{CHOICE},'
            '"mcpServers":[{"url":"https://two.example","transport":"sse"}],"maxTokens":100',
        ),
        id="seed-rich",
    ),
    pytest.param(
        RICH,
        Dialect.BETA,
        '{"id":"sess_1","object":"realtime.session","model":"m","modalities":["text"],"instructions":"Be brief.",'
        '"voice":"Dennis","output_audio_format":"g711_alaw","input_audio_format":"g711_ulaw",'
        '"input_audio_transcription":{"model":"stt","language":"de"},"input_audio_noise_reduction":null,'
        f'"turn_detection":{SEMANTIC},"tools":[{FUNCTION}],"tool_choice":{CHOICE},"temperature":0.7,'
        '"max_response_output_tokens":100,"speed":1.25,"tracing":"auto","prompt":{"id":"p"},'
        '"include":["item.input_audio_transcription.logprobs"],"expires_at":1756324625}',
        id="beta-rich",
    ),
    pytest.param(TRANSCRIBING, Dialect.GA, GA_TRANSCRIBING + "}", id="ga-transcribing"),
    pytest.param(TRANSCRIBING, Dialect.IW, GA_TRANSCRIBING + "}", id="iw-transcribing"),
    pytest.param(
        TRANSCRIBING,
        Dialect.SEED,
        GA_TRANSCRIBING + ',"inputAudioFormat":"pcm16",'
        '"turnDetection":{"type":"server_vad","threshold":0.5,"silenceDurationMs":500}}',
        id="seed-transcribing",
    ),
    pytest.param(
        TRANSCRIBING,
        Dialect.BETA,
        '{"id":"sess_1","object":"realtime.transcription_session","input_audio_format":"pcm16",'
        '"input_audio_transcription":{"model":"stt"},"input_audio_noise_reduction":null,'
        f'"turn_detection":{VAD.replace("null", "6000")},"expires_at":1756324625}}',
        id="beta-transcribing",
    ),
]


@pytest.mark.parametrize(("config", "dialect", "expected"), EXPECTED)
def test_each_dialect_shows_the_session_byte_for_byte(
    config: SessionConfig, dialect: Dialect, expected: str
) -> None:
    echo = shown(config, dialect, session_id="sess_1", expires_at=1756324625)
    assert msgspec.json.encode(echo).decode() == expected


@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_session_that_does_not_expire_says_nothing_of_it(dialect: Dialect) -> None:
    for config in (USUAL, TRANSCRIBING):
        assert "expires_at" not in shown(config, dialect, session_id="sess_1")


@pytest.mark.parametrize("dialect", list(Dialect))
def test_secrets_are_never_shown(dialect: Dialect) -> None:
    assert b"hidden" not in msgspec.json.encode(shown(RICH, dialect, session_id="sess_1"))


def test_an_inworld_session_shows_its_true_rate() -> None:
    config = replace(USUAL, input_format=AudioFormat(Encoding.PCM16, 16_000))
    echo = shown(config, Dialect.IW, session_id="sess_1")
    assert echo["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 16_000}


@pytest.mark.parametrize("dialect", list(Dialect))
def test_manual_turns_are_null_and_only_in_camel_case_none(dialect: Dialect) -> None:
    echo = shown(replace(USUAL, turn_detection=None), dialect, session_id="sess_1")
    rule = echo["turn_detection"] if dialect is Dialect.BETA else echo["audio"]["input"]["turn_detection"]
    assert rule is None
    assert echo.get("turnDetection") == ({"type": "none"} if dialect is Dialect.SEED else None)


def test_beta_shows_what_was_included_of_a_transcription() -> None:
    config = replace(TRANSCRIBING, include=("item.input_audio_transcription.logprobs",))
    echo = shown(config, Dialect.BETA, session_id="sess_1")
    assert echo["include"] == ["item.input_audio_transcription.logprobs"]


# -- the official models -----------------------------------------------------------------------------------------

GA_MODEL: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


@pytest.mark.parametrize("type", ["session.created", "session.updated"])
@repeatable
@given(config=configs)
def test_the_official_models_accept_every_ga_echo(type: str, config: SessionConfig) -> None:
    session = shown(config, Dialect.GA, session_id="sess_1", expires_at=1756324625)
    event = {"type": type, "event_id": "event_1", "session": session}
    read = GA_MODEL.validate_json(msgspec.json.encode(event))
    assert read.type == type
    assert read.session.type == config.type
    if config.type == "realtime":
        assert read.session.audio.output.speed == config.speed
        assert read.session.audio.output.voice == session["audio"]["output"]["voice"]
    rule = read.session.audio.input.turn_detection
    assert (rule is None) == (config.turn_detection is None)
    if rule is not None:
        assert rule.interrupt_response == session["audio"]["input"]["turn_detection"]["interrupt_response"]


@repeatable
@given(config=configs)
def test_the_official_beta_model_accepts_every_beta_echo(config: SessionConfig) -> None:
    """But for two fields it knows too narrowly: the model, a list of OpenAI's own, and a tool chosen by name."""
    said = replace(config, type="realtime", model="gpt-realtime")
    if isinstance(said.tool_choice, NamedTool):
        said = replace(said, tool_choice="auto")
    read = BetaSession.model_validate_json(
        msgspec.json.encode(shown(said, Dialect.BETA, session_id="sess_1", expires_at=1756324625))
    )
    assert (read.id, read.voice, read.speed) == ("sess_1", said.voice or "default", said.speed)
    assert read.modalities == (["text"] if said.output_modality == "text" else ["text", "audio"])
