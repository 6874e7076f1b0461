"""A session's configuration, as the session itself holds it: complete, every default filled in.

The spellings of the wire (GA, beta, Inworld's) are translated at the edge; nothing in here is optional
because it was not sent.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from pipeline.audio.formats import PCM_24K, AudioFormat
from pipeline.provider import FunctionTool

Modality: TypeAlias = Literal["audio", "text"]


class ServerVad(msgspec.Struct, frozen=True, kw_only=True):
    """Turns end after a silence. Defaults are the Realtime protocol's."""

    threshold: float = 0.5
    """Probability of speech from which a window counts as speech, 0 to 1."""
    prefix_padding_ms: int = 300
    """Sound from before the detected start that still belongs to the utterance."""
    silence_duration_ms: int = 500
    """Silence after which the turn has ended."""
    create_response: bool = True
    interrupt_response: bool = True

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold < 1.0:
            raise ValueError(f"turn_detection.threshold: expected 0 to 1, got {self.threshold}")
        for name in ("prefix_padding_ms", "silence_duration_ms"):
            value = getattr(self, name)
            if not 0 <= value <= 10_000:
                raise ValueError(f"turn_detection.{name}: expected 0 to 10000 milliseconds, got {value}")


class SessionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All a session needs to know of how it is to behave."""

    model: str = "scripted"
    instructions: str = ""
    output_modality: Modality = "audio"
    voice: str | None = None
    input_format: AudioFormat = PCM_24K
    output_format: AudioFormat = PCM_24K
    turn_detection: ServerVad | None = ServerVad()
    """None: the client commits and asks for responses itself."""
    tools: tuple[FunctionTool, ...] = ()
    max_output_tokens: int | None = None
    """None: no limit ("inf" on the wire)."""
    temperature: float | None = None
    language: str | None = None
