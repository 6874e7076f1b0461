"""What the engine tells whoever watches a session, beside the session's own events: timings, mostly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from pipeline.events.event import ServerEvent
from pipeline.stopwatch import Stage


@dataclass(frozen=True, slots=True)
class TurnTimed:
    """The first sound of an answer has been made. Seconds per stage, in order; they add up."""

    item_id: str
    """The caller's utterance."""
    response_id: str
    silence_s: float
    """From the end of the voice to the decision that the turn was over, in the caller's own sound."""
    audio_end_ms: int
    """Where in the session's input the decision was made."""
    seconds: dict[Stage, float]


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The caller cut in and playback was flushed."""

    item_id: str
    """The caller's utterance."""
    clear_after_s: float
    """From the start of the voice to the flush, in the caller's own sound."""


@dataclass(frozen=True, slots=True)
class CutShort:
    """An item was truncated: this much of it was heard, and the conversation now holds no more."""

    item_id: str
    heard_ms: int
    heard: str


@dataclass(frozen=True, slots=True)
class ToolTimed:
    name: str
    arguments: str
    output: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ProviderTimed:
    """A provider's work on one request came to its end."""

    provider: str
    kind: str
    """stt, llm or tts."""
    error: str | None
    """Its failure, if it failed."""
    seconds: float


Observation: TypeAlias = ServerEvent | TurnTimed | Interrupted | CutShort | ToolTimed | ProviderTimed
