"""Configurations and clients' objects, drawn at random, for the tests of the session object."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from pipeline.audio.formats import PCM_24K, PCMA, PCMU, AudioFormat, Encoding
from pipeline.events.config import (
    McpServer,
    NamedTool,
    SemanticVad,
    ServerVad,
    SessionConfig,
    Transcription,
)
from pipeline.provider import FunctionTool

repeatable = settings(derandomize=True, deadline=None)
"""The same examples on every machine, however slow it is."""

texts = st.text(max_size=12)
names = st.text("abcXYZ019_-", min_size=1, max_size=8)
schemas: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    names, st.integers() | texts | st.booleans(), max_size=2
)
optional_texts = st.none() | st.text(min_size=1, max_size=8)

formats = st.sampled_from(
    [PCM_24K, PCMU, PCMA, *(AudioFormat(Encoding.PCM16, hz) for hz in (8_000, 16_000, 32_000, 44_100, 48_000))]
)
server_vads = st.builds(
    ServerVad,
    threshold=st.floats(0, 1),
    prefix_padding_ms=st.integers(0, 10_000),
    silence_duration_ms=st.integers(0, 10_000),
    idle_timeout_ms=st.none() | st.integers(5_000, 30_000),
    create_response=st.booleans(),
    interrupt_response=st.booleans(),
)
semantic_vads = st.builds(
    SemanticVad,
    eagerness=st.sampled_from(["low", "medium", "high", "auto"]),
    create_response=st.booleans(),
    interrupt_response=st.booleans(),
)
functions = st.builds(FunctionTool, name=names, description=texts, parameters=schemas)
servers = st.builds(
    McpServer,
    server_label=names | st.sampled_from(["mcp_1", "mcp_2"]),
    server_url=st.sampled_from(["https://one.example/mcp", "http://two.example"]),
    server_description=optional_texts,
    transport=optional_texts,
    authorization=optional_texts,
    headers=st.dictionaries(names, texts, max_size=1),
    allowed_tools=st.none() | st.lists(names, max_size=2),
    require_approval=st.sampled_from(["always", "never", {"always": {"tool_names": ["a"]}}]),
)

configs: st.SearchStrategy[SessionConfig] = st.builds(
    SessionConfig,
    type=st.sampled_from(["realtime", "transcription"]),
    model=names,
    instructions=texts,
    output_modality=st.sampled_from(["audio", "text"]),
    voice=optional_texts,
    voice_model=optional_texts,
    speed=st.floats(0.25, 1.5),
    input_format=formats,
    output_format=formats,
    transcription=st.none() | st.builds(Transcription, model=names, language=optional_texts, prompt=optional_texts),
    turn_detection=st.none() | server_vads | semantic_vads,
    tools=st.lists(functions | servers, max_size=3).map(tuple),
    tool_choice=st.sampled_from(["auto", "none", "required", NamedTool(type="function", name="look_up")]),
    parallel_tool_calls=st.booleans(),
    max_output_tokens=st.none() | st.integers(1, 4_096),
    temperature=st.none() | st.floats(0, 2),
    include=st.none() | st.just(("item.input_audio_transcription.logprobs",)),
    truncation=st.sampled_from(["auto", "disabled", {"type": "retention_ratio", "retention_ratio": 0.5}]),
    tracing=st.sampled_from([None, "auto", {"workflow_name": "w"}]),
    prompt=st.sampled_from([None, {"id": "pmpt_1"}]),
    reasoning=st.sampled_from([None, {"effort": "low"}]),
    provider_data=st.none() | st.dictionaries(names, st.none() | texts, max_size=2),
)
"""Within bounds, but not only what each dialect can say."""

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**4_200), 1e308, float("inf"), float("nan"), "\ud800", "x" * 70_000])
    | st.floats()
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)

seed_turn_detections = (
    st.fixed_dictionaries(
        {"type": st.just("server_vad"), "threshold": st.floats(0, 1), "silenceDurationMs": st.integers(0, 10_000)}
    )
    | st.just({"type": "semantic_vad"})
    | st.just({"type": "none"})
)
seed_tools = st.lists(
    st.fixed_dictionaries(
        {"type": st.just("function"), "name": names, "description": texts, "parameters": schemas}
    ),
    max_size=3,
    unique_by=lambda tool: str(tool["name"]),
)
seed_configs: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "model": names,
        "instructions": texts,
        "temperature": st.floats(0, 2),
        "maxTokens": st.integers(1, 4_096),
        "voice": names,
        "inputAudioFormat": st.sampled_from(["pcm16", "pcmu", "pcma"]),
        "outputAudioFormat": st.sampled_from(["pcm16", "pcmu", "pcma"]),
        "turnDetection": seed_turn_detections,
        "tools": seed_tools,
        "toolChoice": st.sampled_from(["auto", "none", "required"]),
        "mcpServers": st.lists(
            st.fixed_dictionaries(
                {"url": st.sampled_from(["https://one.example/mcp", "http://two.example"])},
                optional={"transport": st.sampled_from(["sse", "streamable_http"])},
            ),
            max_size=3,
        ),
    },
)
"""The `SessionConfig` of the first OpenAPI document."""
