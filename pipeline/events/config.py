"""A session's configuration, as the session itself holds it: complete, every default filled in.

The spellings of the wire (GA, beta, Inworld's) are translated at the edge; nothing in here is optional
because it was not sent.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from pipeline.audio.formats import PCM_24K, AudioFormat
from pipeline.provider import FunctionTool

Modality: TypeAlias = Literal["audio", "text"]
SessionType: TypeAlias = Literal["realtime", "transcription"]
Eagerness: TypeAlias = Literal["low", "medium", "high", "auto"]

LONGEST_WAIT_MS = 10_000
"""Of prefix padding and of the silence that ends a turn."""
IDLE_TIMEOUT_MS = range(5_000, 30_001)
"""Realtime reference, section C.2."""
SPEEDS = (0.25, 1.5)
"""Realtime reference, section C.2: slowest and fastest."""


class ServerVad(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="server_vad"):
    """Turns end after a silence. Defaults are the Realtime protocol's."""

    threshold: float = 0.5
    """Probability of speech from which a window counts as speech, 0 to 1."""
    prefix_padding_ms: int = 300
    """Sound from before the detected start that still belongs to the utterance."""
    silence_duration_ms: int = 500
    """Silence after which the turn has ended."""
    idle_timeout_ms: int | None = None
    """Silence after an answer that itself counts as a turn; None: wait for ever."""
    create_response: bool = True
    interrupt_response: bool = True

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold <= 1.0:
            raise ValueError(f"turn_detection.threshold: expected 0 to 1, got {self.threshold}")
        for name in ("prefix_padding_ms", "silence_duration_ms"):
            value = getattr(self, name)
            if not 0 <= value <= LONGEST_WAIT_MS:
                raise ValueError(f"turn_detection.{name}: expected 0 to 10000 milliseconds, got {value}")
        if self.idle_timeout_ms is not None and self.idle_timeout_ms not in IDLE_TIMEOUT_MS:
            raise ValueError(
                f"turn_detection.idle_timeout_ms: expected 5000 to 30000 milliseconds, got {self.idle_timeout_ms}"
            )


class SemanticVad(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="semantic_vad"):
    """Turns end when what was said sounds finished; at the latest after a wait that `eagerness` sets."""

    eagerness: Eagerness = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection: TypeAlias = ServerVad | SemanticVad


class Transcription(msgspec.Struct, frozen=True, kw_only=True):
    """The peer wants to read what was said."""

    model: str = "default"
    language: str | None = None
    prompt: str | None = None


class McpServer(msgspec.Struct, frozen=True, kw_only=True):
    """A Model Context Protocol server whose tools the model may use (Realtime reference, section C.4)."""

    server_label: str
    server_url: str
    server_description: str | None = None
    transport: str | None = None
    """The seed's spelling names one; None: found out when it is opened."""
    authorization: str | None = None
    """Secret: used, never shown."""
    headers: dict[str, str] = {}
    """Secret: used, never shown."""
    allowed_tools: Any = None
    require_approval: Any = "always"

    def __repr__(self) -> str:
        """Without its secrets, wherever it is logged."""
        return f"McpServer({self.server_label!r})"


Tool: TypeAlias = FunctionTool | McpServer


class NamedTool(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The one tool that a response must use."""

    type: Literal["function", "mcp"]
    name: str | None = None
    server_label: str | None = None


ToolChoice: TypeAlias = Literal["auto", "none", "required"] | NamedTool


class SessionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All a session needs to know of how it is to behave."""

    type: SessionType = "realtime"
    """A transcription session never answers."""
    model: str = "scripted"
    instructions: str = ""
    output_modality: Modality = "audio"
    voice: str | None = None
    voice_model: str | None = None
    speed: float = 1.0
    """Of the voice: 1 is its own pace."""
    input_format: AudioFormat = PCM_24K
    output_format: AudioFormat = PCM_24K
    transcription: Transcription | None = None
    """None: what the caller said is understood, and not shown."""
    turn_detection: TurnDetection | None = ServerVad()
    """None: the client commits and asks for responses itself."""
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    max_output_tokens: int | None = None
    """None: no limit ("inf" on the wire)."""
    temperature: float | None = None
    language: str | None = None
    include: tuple[str, ...] | None = None
    truncation: Any = "auto"
    tracing: Any = None
    prompt: Any = None
    reasoning: Any = None
    provider_data: dict[str, Any] | None = None
    """Inworld's additions, as the client wrote them (Realtime reference, section G.3)."""
