"""The session object, from what clients write to the configuration and back."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.audio.formats import PCM_24K, PCMA, PCMU
from pipeline.dialects import Dialect
from pipeline.events.config import (
    McpServer,
    NamedTool,
    SemanticVad,
    ServerVad,
    SessionConfig,
    Transcription,
)
from pipeline.events.refusal import BadEvent
from pipeline.limits import Limits
from pipeline.provider import FunctionTool
from pipeline.session_object import merged, overridden, shown, takes_ga_shape
from tests.pipeline.session_parts.configs import configs, json_values, repeatable, seed_configs

DIALECTS = list(Dialect)
USUAL = SessionConfig()


def update(
    session: Any, dialect: Dialect = Dialect.GA, config: SessionConfig = USUAL, **more: Any
) -> SessionConfig:
    """What a `session.update` makes of `config`; on GA connections `type` is added."""
    if dialect is Dialect.GA:
        session = {"type": config.type, **session}
    return merged(config, session, dialect, **more)


def refusal(session: Any, dialect: Dialect = Dialect.GA, config: SessionConfig = USUAL, **more: Any) -> BadEvent:
    with pytest.raises(BadEvent) as caught:
        update(session, dialect, config, **more)
    return caught.value


# -- the echo is the identity ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
@repeatable
@given(config=configs)
def test_an_echo_sent_back_verbatim_changes_nothing(dialect: Dialect, config: SessionConfig) -> None:
    """Realtime reference, acceptance item I.11."""
    assert merged(config, shown(config, dialect, session_id="sess_1", expires_at=1), dialect) == config


@repeatable
@given(config=configs)
def test_the_seeds_echo_changes_nothing_on_the_connection_it_turns_into(config: SessionConfig) -> None:
    echo = shown(config, Dialect.SEED, session_id="sess_1")
    assert takes_ga_shape(echo)
    assert merged(config, echo, Dialect.IW) == config


@pytest.mark.parametrize("dialect", DIALECTS)
@repeatable
@given(config=configs.filter(lambda config: config.type == "realtime"))
def test_of_an_echo_sent_back_the_one_altered_field_counts(dialect: Dialect, config: SessionConfig) -> None:
    echo = shown(config, dialect, session_id="sess_1") | {"instructions": "Say less."}
    assert merged(config, echo, dialect) == replace(config, instructions="Say less.")


@pytest.mark.parametrize(
    ("altered", "expected"),
    [
        ({"inputAudioFormat": "pcma"}, replace(USUAL, input_format=PCMA)),
        ({"maxTokens": 7}, replace(USUAL, max_output_tokens=7)),
        ({"max_output_tokens": 7}, replace(USUAL, max_output_tokens=7)),
        ({"turnDetection": {"type": "none"}}, replace(USUAL, turn_detection=None)),
        ({"voice": "Dennis"}, replace(USUAL, voice="Dennis")),
    ],
)
def test_either_spelling_of_a_seed_echo_may_be_altered(altered: dict[str, Any], expected: SessionConfig) -> None:
    echo = shown(USUAL, Dialect.SEED, session_id="sess_1") | altered
    assert merged(USUAL, echo, Dialect.SEED) == expected


@repeatable
@given(wanted=seed_configs)
def test_the_seeds_session_config_comes_back_without_loss(wanted: dict[str, Any]) -> None:
    echo = shown(merged(USUAL, wanted, Dialect.SEED), Dialect.SEED, session_id="sess_1")
    assert {name: echo[name] for name in wanted} == wanted


# -- nothing but a BadEvent escapes ------------------------------------------------------------------------------

PLACES = [
    *("type model output_modalities instructions tools tool_choice max_output_tokens temperature".split()),
    *("tracing truncation prompt include parallel_tool_calls reasoning providerData audio".split()),
    *("modalities voice speed input_audio_format output_audio_format turn_detection".split()),
    *("input_audio_transcription input_audio_noise_reduction max_response_output_tokens".split()),
    *("maxTokens toolChoice inputAudioFormat outputAudioFormat turnDetection mcpServers sessionConfig".split()),
    *("audio.input audio.output audio.input.format audio.input.format.type audio.input.format.rate".split()),
    *("audio.input.transcription audio.input.transcription.model audio.input.noise_reduction".split()),
    *("audio.input.turn_detection audio.input.turn_detection.type audio.input.turn_detection.threshold".split()),
    *("audio.input.turn_detection.idle_timeout_ms audio.output.voice audio.output.voice.id".split()),
    *("audio.output.speed audio.output.model truncation.retention_ratio prompt.variables id".split()),
    *("tools.0.name tools.0.parameters tools.0.headers tools.0.allowed_tools tools.0.require_approval".split()),
]
TEMPLATE: dict[str, Any] = {
    "truncation": {"type": "retention_ratio"},
    "prompt": {"id": "p"},
    "tools": [{"type": "function", "name": "f", "server_label": "s", "server_url": "https://one.example"}],
    "audio.input.format": {"type": "audio/pcm"},
    "audio.input.turn_detection": {"type": "server_vad"},
}


def written(place: str, value: Any, tool: str) -> dict[str, Any]:
    """A session object with this value at this place."""
    parent, _, name = place.rpartition(".")
    if parent == "tools.0":
        return {"tools": [{**TEMPLATE["tools"][0], "type": tool, name: value}]}
    inner: Any = {**TEMPLATE.get(parent, {}), name: value}
    while parent:
        parent, _, name = parent.rpartition(".")
        inner = {name: inner}
    return {"type": "realtime", **inner}


@settings(repeatable, max_examples=500)
@given(
    config=configs,
    place=st.sampled_from(PLACES),
    value=json_values,
    dialect=st.sampled_from(DIALECTS),
    tool=st.sampled_from(["function", "mcp"]),
)
def test_any_value_at_any_place_gives_a_configuration_or_a_refusal(
    config: SessionConfig, place: str, value: Any, dialect: Dialect, tool: str
) -> None:
    session = written(place, value, tool)
    for ask in (merged, overridden):
        try:
            after = ask(config, session, dialect)
        except BadEvent as refused:
            assert refused.code in ("invalid_value", "unknown_parameter", "missing_required_parameter")
            assert refused.param is not None
            assert len(refused.message) < 1_000
        else:
            assert isinstance(after, SessionConfig)
            echo = shown(after, dialect, session_id="sess_1")
            assert merged(after, echo, dialect) == after


@pytest.mark.parametrize("dialect", DIALECTS)
@repeatable
@given(session=json_values)
def test_a_session_may_be_any_json_value(dialect: Dialect, session: Any) -> None:
    takes_ga_shape(session)
    try:
        assert isinstance(merged(USUAL, session, dialect), SessionConfig)
    except BadEvent as refused:
        assert (refused.param or "").startswith("session")


def test_a_refused_update_leaves_the_configuration_as_it_was() -> None:
    before = SessionConfig(instructions="Be brief.")
    assert refusal({"instructions": "Be long.", "audio": {"output": {"speed": 9}}}, config=before)
    assert before == SessionConfig(instructions="Be brief.")


# -- what clients really send (Realtime reference, end of section B.5) -------------------------------------------

AGENTS_JS: dict[str, Any] = {
    "type": "realtime",
    "instructions": "hi",
    "model": "my-model",
    "output_modalities": ["audio"],
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "noise_reduction": None,
            "transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": {"type": "semantic_vad"},
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "speed": 1},
    },
    "tools": [
        {
            "type": "function",
            "name": "weather",
            "description": "get weather",
            "parameters": {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        }
    ],
}
LIVEKIT: dict[str, Any] = {
    "type": "realtime",
    "audio": {
        "input": {
            "format": {"rate": 24000, "type": "audio/pcm"},
            "noise_reduction": None,
            "transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": {
                "type": "semantic_vad",
                "create_response": True,
                "eagerness": "medium",
                "interrupt_response": True,
            },
        },
        "output": {"format": {"rate": 24000, "type": "audio/pcm"}, "speed": 1.0, "voice": "marin"},
    },
    "max_output_tokens": "inf",
    "model": "my-model",
    "output_modalities": ["audio"],
    "tool_choice": "auto",
    "tracing": None,
}
PIPECAT_INWORLD: dict[str, Any] = {
    "type": "realtime",
    "model": "openai/gpt-4.1-mini",
    "output_modalities": ["audio", "text"],
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": {"model": "inworld/inworld-stt-1"},
            "turn_detection": {
                "type": "semantic_vad",
                "eagerness": "low",
                "create_response": True,
                "interrupt_response": True,
            },
        },
        "output": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "model": "inworld-tts-2",
            "voice": "Clive",
        },
    },
    "providerData": {"metadata": {"sdk": "pipecat-realtime"}, "auto_tool_response": False},
}
TWILIO: dict[str, Any] = {
    "type": "realtime",
    "model": "gpt-realtime",
    "output_modalities": ["audio"],
    "audio": {
        "input": {"format": {"type": "audio/pcmu"}, "turn_detection": {"type": "server_vad"}},
        "output": {"format": {"type": "audio/pcmu"}, "voice": "alloy"},
    },
    "instructions": "hi",
}
TWILIO_BETA: dict[str, Any] = {
    "turn_detection": {"type": "server_vad"},
    "input_audio_format": "g711_ulaw",
    "output_audio_format": "g711_ulaw",
    "voice": "alloy",
    "instructions": "hi",
    "modalities": ["text", "audio"],
    "temperature": 0.8,
}
INWORLD_BRIDGE: dict[str, Any] = {
    "audio": {"input": {"format": "g711_ulaw"}, "output": {"format": "g711_ulaw", "voice": "Dennis"}},
}
TRANSCRIBED = Transcription(model="gpt-4o-mini-transcribe")
PHONE = SessionConfig(input_format=PCMU, output_format=PCMU, voice="alloy", instructions="hi")

CAPTURED = [
    pytest.param(
        AGENTS_JS,
        Dialect.GA,
        SessionConfig(
            instructions="hi",
            transcription=TRANSCRIBED,
            turn_detection=SemanticVad(),
            tools=(FunctionTool("weather", "get weather", AGENTS_JS["tools"][0]["parameters"]),),
        ),
        id="agents-js",
    ),
    pytest.param(
        LIVEKIT,
        Dialect.GA,
        SessionConfig(voice="marin", transcription=TRANSCRIBED, turn_detection=SemanticVad(eagerness="medium")),
        id="livekit",
    ),
    pytest.param(
        PIPECAT_INWORLD,
        Dialect.IW,
        SessionConfig(
            model="openai/gpt-4.1-mini",
            voice="Clive",
            voice_model="inworld-tts-2",
            transcription=Transcription(model="inworld/inworld-stt-1"),
            turn_detection=SemanticVad(eagerness="low"),
            provider_data={"metadata": {"sdk": "pipecat-realtime"}, "auto_tool_response": False},
        ),
        id="pipecat-inworld",
    ),
    pytest.param(TWILIO, Dialect.GA, PHONE, id="twilio"),
    # 0.8 is what beta shows where none was set, so it asks for nothing
    pytest.param(TWILIO_BETA, Dialect.BETA, PHONE, id="twilio-beta"),
    pytest.param(
        INWORLD_BRIDGE,
        Dialect.IW,
        SessionConfig(input_format=PCMU, output_format=PCMU, voice="Dennis"),
        id="inworld-bridge",
    ),
    pytest.param(
        {"type": "realtime", "model": "gpt-realtime-2.1", "tracing": "auto"},
        Dialect.GA,
        SessionConfig(tracing="auto"),
        id="agents-py-second",
    ),
]


@pytest.mark.parametrize(("session", "dialect", "expected"), CAPTURED)
def test_what_real_clients_send_is_understood(
    session: dict[str, Any], dialect: Dialect, expected: SessionConfig
) -> None:
    assert merged(USUAL, session, dialect) == expected


@pytest.mark.parametrize(("session", "dialect", "expected"), CAPTURED)
def test_what_real_clients_repeat_changes_nothing(
    session: dict[str, Any], dialect: Dialect, expected: SessionConfig
) -> None:
    assert merged(expected, session, dialect) == expected


# -- type and model ----------------------------------------------------------------------------------------------


def test_a_session_is_required_and_must_be_an_object() -> None:
    with pytest.raises(BadEvent) as missing:
        merged(USUAL, None, Dialect.IW)
    assert (missing.value.code, missing.value.param) == ("missing_required_parameter", "session")
    with pytest.raises(BadEvent) as wrong:
        merged(USUAL, [], Dialect.IW)
    assert (wrong.value.code, wrong.value.param) == ("invalid_value", "session")


@pytest.mark.parametrize("session", [{}, {"type": None}])
def test_only_ga_insists_on_the_type(session: dict[str, Any]) -> None:
    for dialect in (Dialect.BETA, Dialect.IW, Dialect.SEED):
        assert merged(USUAL, session, dialect) == USUAL
    with pytest.raises(BadEvent) as refused:
        merged(USUAL, session, Dialect.GA)
    assert (refused.value.code, refused.value.param) == ("missing_required_parameter", "session.type")
    assert refused.value.message == "Missing required parameter: 'session.type'."


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_session_keeps_its_type(dialect: Dialect) -> None:
    for wrong in ("transcription", "translation", 3):
        refused = refusal({"type": wrong}, dialect)
        assert (refused.code, refused.param) == ("invalid_value", "session.type")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_session_that_is_being_made_may_choose_its_type_and_model(dialect: Dialect) -> None:
    made = merged(USUAL, {"type": "transcription"}, dialect, is_first=True)
    assert made == SessionConfig(type="transcription", transcription=Transcription())
    assert merged(USUAL, {"type": "realtime", "model": "m"}, dialect, is_first=True) == SessionConfig(model="m")


def test_a_transcription_that_is_being_made_keeps_the_transcription_it_was_given() -> None:
    base = SessionConfig(transcription=Transcription(model="m"))
    made = merged(base, {"type": "transcription"}, Dialect.GA, is_first=True)
    assert made == replace(base, type="transcription")


@pytest.mark.parametrize(
    ("dialect", "model"),
    [(Dialect.GA, "scripted"), (Dialect.BETA, "scripted"), (Dialect.IW, "other"), (Dialect.SEED, "other")],
)
def test_a_model_is_taken_where_it_does_not_come_with_the_address(dialect: Dialect, model: str) -> None:
    """Realtime reference, section B.1 note 3."""
    assert update({"model": "other"}, dialect).model == model


def test_a_transcription_session_has_nothing_about_answers() -> None:
    base = SessionConfig(type="transcription")
    after = update({"audio": {"input": {"format": "pcmu", "turn_detection": None}}}, Dialect.GA, base)
    assert after == replace(base, input_format=PCMU, turn_detection=None)
    assert refusal({"instructions": "x"}, Dialect.GA, base).param == "session.instructions"
    refused = refusal({"audio": {"output": {"voice": "x"}}}, Dialect.GA, base)
    assert (refused.code, refused.param) == ("unknown_parameter", "session.audio.output")
    assert update({"instructions": "x"}, Dialect.IW, base) == base


# -- single fields -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("session", "changes"),
    [
        ({"instructions": ""}, {"instructions": ""}),
        ({"output_modalities": ["text"]}, {"output_modality": "text"}),
        ({"modalities": ["text"]}, {"output_modality": "text"}),
        ({"max_output_tokens": 1}, {"max_output_tokens": 1}),
        ({"max_output_tokens": 4096.0}, {"max_output_tokens": 4_096}),
        ({"max_output_tokens": "inf"}, {"max_output_tokens": None}),
        ({"max_response_output_tokens": 5}, {"max_output_tokens": 5}),
        ({"temperature": 0}, {"temperature": 0.0}),
        ({"temperature": 2}, {"temperature": 2.0}),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ({"reasoning": {"effort": "xhigh"}}, {"reasoning": {"effort": "xhigh"}}),
        ({"audio": {"output": {"voice": {"id": "v"}}}}, {"voice": "v"}),
        ({"audio": {"output": {"voice": "default"}}}, {"voice": None}),
        ({"audio": {"output": {"speed": 0.25}}}, {"speed": 0.25}),
        ({"speed": 1.5}, {"speed": 1.5}),
        ({"audio": {"input": {"transcription": None}}}, {"transcription": None}),
        ({"tracing": None, "prompt": None}, {"tracing": None, "prompt": None}),
        ({"prompt": {"id": "p2"}}, {"prompt": {"id": "p2"}}),
        ({"truncation": "disabled"}, {"truncation": "disabled"}),
        ({"include": []}, {"include": ()}),
    ],
)
def test_a_field_changes_what_it_says_and_nothing_else(session: dict[str, Any], changes: dict[str, Any]) -> None:
    before = SessionConfig(
        instructions="Be brief.",
        voice="x",
        max_output_tokens=9,
        tracing="auto",
        prompt={"id": "p"},
        transcription=Transcription(),
    )
    assert update(session, config=before) == replace(before, **changes)


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"output_modalities": ["audio", "text"]}, "output_modalities"),
        ({"output_modalities": []}, "output_modalities"),
        ({"output_modalities": ["video"]}, "output_modalities[0]"),
        ({"output_modalities": "audio"}, "output_modalities"),
        ({"modalities": ["audio", "audio"]}, "modalities"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 4_097}, "max_output_tokens"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"max_output_tokens": "many"}, "max_output_tokens"),
        ({"temperature": 2.01}, "temperature"),
        ({"temperature": -0.01}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"speed": 0.24}, "speed"),
        ({"speed": 1.51}, "speed"),
        ({"audio": {"output": {"speed": "fast"}}}, "audio.output.speed"),
        ({"audio": {"output": {"voice": ""}}}, "audio.output.voice"),
        ({"audio": {"output": {"voice": {"id": 5}}}}, "audio.output.voice.id"),
        ({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 16_000}}}}, "audio.output.format.rate"),
        ({"audio": {"input": {"noise_reduction": {"type": "near_field"}}}}, "audio.input.noise_reduction"),
        ({"input_audio_noise_reduction": {"type": "far_field"}}, "input_audio_noise_reduction"),
        ({"audio": {"input": {"turn_detection": {"threshold": 2}}}}, "audio.input.turn_detection.threshold"),
        ({"turn_detection": {"threshold": 2}}, "turn_detection.threshold"),
        ({"audio": 3}, "audio"),
        ({"audio": {"input": 3}}, "audio.input"),
        ({"instructions": 3}, "instructions"),
        ({"model": 3}, "model"),
        ({"parallel_tool_calls": 0}, "parallel_tool_calls"),
        ({"include": ["x"]}, "include[0]"),
    ],
)
def test_what_is_out_of_bounds_is_refused_at_its_path(session: dict[str, Any], param: str) -> None:
    refused = refusal(session)
    assert (refused.code, refused.param) == ("invalid_value", f"session.{param}")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_both_modalities_mean_speech_except_where_ga_knows_better(dialect: Dialect) -> None:
    before = SessionConfig(output_modality="text")
    assert update({"modalities": ["text", "audio"]}, dialect, before).output_modality == "audio"
    if dialect is not Dialect.GA:
        assert update({"output_modalities": ["audio", "text"]}, dialect, before).output_modality == "audio"


def test_a_voice_needs_its_id() -> None:
    refused = refusal({"audio": {"output": {"voice": {}}}})
    assert (refused.code, refused.param) == ("missing_required_parameter", "session.audio.output.voice.id")


def test_instructions_are_taken_up_to_their_limit() -> None:
    limits = Limits(instructions_chars=10)
    for chars in (9, 10):
        assert len(update({"instructions": "é" * chars}, limits=limits).instructions) == chars
    refused = refusal({"instructions": "é" * 11}, limits=limits)
    assert (refused.code, refused.param) == ("invalid_value", "session.instructions")


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"colour": 1}, "session.colour"),
        ({"providerData": {}}, "session.providerData"),
        ({"maxTokens": 3}, "session.maxTokens"),
        ({"audio": {"middle": {}}}, "session.audio.middle"),
        ({"audio": {"input": {"gain": 2}}}, "session.audio.input.gain"),
        ({"audio": {"output": {"model": "m"}}}, "session.audio.output.model"),
        ({"audio.input.format": "pcmu"}, "session.audio.input.format"),
        ({"audio": {"input": {"format": {"type": "audio/pcm", "bits": 16}}}}, "session.audio.input.format.bits"),
        ({"audio": {"output": {"voice": {"id": "v", "x": 1}}}}, "session.audio.output.voice.x"),
    ],
)
def test_what_nobody_knows_is_refused_on_ga_and_passed_over_elsewhere(session: dict[str, Any], param: str) -> None:
    refused = refusal(session)
    assert (refused.code, refused.param) == ("unknown_parameter", param)
    assert refused.message == f"Unknown parameter: '{param}'."
    update(session, Dialect.BETA)


@pytest.mark.parametrize("dialect", [Dialect.BETA, Dialect.IW, Dialect.SEED])
def test_unknown_fields_change_nothing_where_they_are_passed_over(dialect: Dialect) -> None:
    session = {"colour": 1, "audio": {"middle": {}, "input": {"gain": 2}}, "audio.input.format": "pcmu"}
    assert update(session, dialect) == USUAL


@pytest.mark.parametrize("dialect", DIALECTS)
def test_null_is_as_good_as_unset(dialect: Dialect) -> None:
    nulls = dict.fromkeys(["colour", "voice", "tools", "instructions", "max_output_tokens", "include", "audio"])
    assert update(nulls, dialect) == USUAL
    assert update({"audio": {"input": None, "output": {"speed": None, "x": None}}}, dialect) == USUAL


@pytest.mark.parametrize("dialect", DIALECTS)
def test_read_only_fields_are_passed_over(dialect: Dialect) -> None:
    fixed = {"id": 1, "object": [], "expires_at": "x", "client_secret": {"value": 3}}
    assert update(fixed, dialect) == USUAL


@pytest.mark.parametrize(
    ("dialect", "expected"), [(Dialect.GA, "nested"), (Dialect.IW, "nested"), (Dialect.BETA, "flat")]
)
def test_the_connections_own_spelling_wins(dialect: Dialect, expected: str) -> None:
    assert update({"voice": "flat", "audio": {"output": {"voice": "nested"}}}, dialect).voice == expected


def test_on_a_seed_connection_camel_case_wins_over_all() -> None:
    session = {"max_output_tokens": 1, "max_response_output_tokens": 2, "maxTokens": 3}
    assert update(session, Dialect.SEED).max_output_tokens == 3
    assert update(session, Dialect.IW).max_output_tokens == 1
    assert update(session, Dialect.BETA).max_output_tokens == 2


@pytest.mark.parametrize("dialect", [Dialect.IW, Dialect.SEED])
def test_the_seeds_config_may_stand_inside(dialect: Dialect) -> None:
    inner = {"voice": "v", "instructions": "i", "temperature": 1, "inputAudioFormat": "pcmu", "colour": 1}
    expected = SessionConfig(voice="v", instructions="i", temperature=1.0, input_format=PCMU)
    assert update({"sessionConfig": inner}, dialect) == expected
    assert refusal({"sessionConfig": {"voice": 3}}, dialect).param == "session.sessionConfig.voice"
    assert update({"sessionConfig": None}, dialect) == USUAL


def test_provider_data_is_laid_over_key_by_key() -> None:
    before = SessionConfig(provider_data={"stt": {"prompt": "p", "vad_threshold": 0.4}, "x": 1})
    after = update({"providerData": {"stt": {"prompt": "q"}, "y": [2], "x": None}}, Dialect.IW, before)
    assert after.provider_data == {"stt": {"prompt": "q", "vad_threshold": 0.4}, "x": 1, "y": [2]}


# -- tools -------------------------------------------------------------------------------------------------------


def test_an_echo_of_a_server_keeps_its_secrets_beside_a_new_tool() -> None:
    server = McpServer(server_label="s", server_url="https://one.example", authorization="secret")
    before = SessionConfig(tools=(server,))
    echoed = shown(before, Dialect.GA, session_id="s")["tools"]
    after = update({"tools": [*echoed, {"type": "function", "name": "f"}]}, config=before)
    assert after.tools == (server, FunctionTool("f"))


def test_a_choice_of_a_tool_that_is_gone_becomes_auto() -> None:
    before = SessionConfig(tools=(FunctionTool("f"),), tool_choice=NamedTool(type="function", name="f"))
    assert update({"tools": []}, config=before) == USUAL
    kept = update({"tools": [{"type": "function", "name": "f", "description": "new"}]}, config=before)
    assert kept.tool_choice == before.tool_choice


def test_a_choice_is_made_among_the_new_tools() -> None:
    after = update({"tool_choice": {"type": "function", "name": "f"}, "tools": [{"type": "function", "name": "f"}]})
    assert after.tool_choice == NamedTool(type="function", name="f")


def test_servers_are_refused_where_none_are_served() -> None:
    tool = {"type": "mcp", "server_label": "s", "server_url": "https://one.example"}
    assert refusal({"tools": [tool]}, serves_mcp=False).param == "session.tools[0]"
    with pytest.raises(BadEvent):
        overridden(USUAL, {"tools": [tool]}, Dialect.GA, serves_mcp=False)


# -- one response ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "dialect", "changes"),
    [
        ({}, Dialect.GA, {}),
        # LiveKit
        ({"instructions": None, "metadata": {"client_event_id": "r"}}, Dialect.GA, {}),
        # pipecat, with OpenAI's service and with Inworld's
        ({"output_modalities": ["audio"]}, Dialect.GA, {}),
        ({"modalities": ["audio", "text"]}, Dialect.IW, {}),
        ({"conversation": "none", "input": [], "metadata": None}, Dialect.GA, {}),
        (
            {"output_modalities": ["text"], "instructions": "x"},
            Dialect.GA,
            {"output_modality": "text", "instructions": "x"},
        ),
        (
            {"audio": {"output": {"voice": "v", "format": "pcmu"}}},
            Dialect.GA,
            {"voice": "v", "output_format": PCMU},
        ),
        ({"voice": "v"}, Dialect.IW, {"voice": "v"}),
        (
            {"modalities": ["text"], "output_audio_format": "g711_alaw", "max_response_output_tokens": 3},
            Dialect.BETA,
            {"output_modality": "text", "output_format": PCMA, "max_output_tokens": 3},
        ),
        ({"temperature": 0.7}, Dialect.BETA, {"temperature": 0.7}),
        ({"max_output_tokens": "inf", "tool_choice": "none"}, Dialect.GA, {"tool_choice": "none"}),
        ({"tools": [{"type": "function", "name": "f"}]}, Dialect.GA, {"tools": (FunctionTool("f"),)}),
        ({"maxTokens": 4}, Dialect.SEED, {"max_output_tokens": 4}),
        (
            {"prompt": {"id": "p"}, "parallel_tool_calls": False},
            Dialect.GA,
            {"prompt": {"id": "p"}, "parallel_tool_calls": False},
        ),
        (
            {"reasoning": {"effort": "minimal"}, "truncation": "auto"},
            Dialect.GA,
            {"reasoning": {"effort": "minimal"}},
        ),
        ({"turn_detection": None, "model": "m", "x": 1}, Dialect.IW, {}),
    ],
)
def test_a_response_may_differ_from_its_session(
    response: dict[str, Any], dialect: Dialect, changes: dict[str, Any]
) -> None:
    assert overridden(USUAL, response, dialect) == replace(USUAL, **changes)


@pytest.mark.parametrize(
    ("response", "code", "param"),
    [
        ({"model": "m"}, "unknown_parameter", "response.model"),
        ({"turn_detection": {"type": "server_vad"}}, "unknown_parameter", "response.turn_detection"),
        ({"audio": {"input": {"format": "pcmu"}}}, "unknown_parameter", "response.audio.input"),
        ({"audio": {"output": {"speed": 1.2}}}, "unknown_parameter", "response.audio.output.speed"),
        ({"max_output_tokens": 0}, "invalid_value", "response.max_output_tokens"),
        ({"instructions": "xxx"}, "invalid_value", "response.instructions"),
        ({"tool_choice": {"type": "function", "name": "f"}}, "invalid_value", "response.tool_choice.name"),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "response.tools[0].name"),
    ],
)
def test_a_response_is_refused_at_its_path(response: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(BadEvent) as caught:
        overridden(USUAL, response, Dialect.GA, limits=Limits(instructions_chars=2))
    assert (caught.value.code, caught.value.param) == (code, param)


def test_a_response_without_tools_drops_a_choice_among_them() -> None:
    before = SessionConfig(tools=(FunctionTool("f"),), tool_choice=NamedTool(type="function", name="f"))
    assert overridden(before, {"tools": []}, Dialect.GA) == USUAL


# -- the shape of a first update ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("session", "is_ga"),
    [
        ({"type": "realtime"}, True),
        ({"audio": {}}, True),
        ({"audio": None, "type": None}, False),
        ({"audio": "x"}, False),
        ({"voice": "v", "turnDetection": {"type": "none"}}, False),
        ({}, False),
        (None, False),
        ("type", False),
    ],
)
def test_the_ga_shape_is_known_by_its_type_or_its_audio(session: Any, is_ga: bool) -> None:
    assert takes_ga_shape(session) is is_ga


def test_the_usual_configuration_is_what_these_tests_take_it_for() -> None:
    assert (USUAL.turn_detection, USUAL.input_format, USUAL.model) == (ServerVad(), PCM_24K, "scripted")
