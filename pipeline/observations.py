"""What the engine tells whoever watches a session, beside the session's own events: timings, mostly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.costs import Used
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
class Anticipated:
    """An answer was begun before the turn was over, and was wanted or not."""

    head_start_s: float
    """0 if it was thrown away."""
    wasted_words: int
    """Of an answer that was thrown away."""


@dataclass(frozen=True, slots=True)
class ToolNoted:
    """A tool has something to say for the call's record."""

    event: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FillerPlayed:
    """A caller who was kept waiting was told so."""

    text: str


@dataclass(frozen=True, slots=True)
class Backchannelled:
    """A caller who speaks has heard a short acknowledgement."""

    phrase: str
    after_s: float
    """From the moment it was considered until its sound was there."""


@dataclass(frozen=True, slots=True)
class ProviderTimed:
    """A provider's work on one request came to its end."""

    provider: str
    kind: str
    """stt, llm or tts."""
    error: str | None
    """Its failure, if it failed."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Hedged:
    """A second request was made beside a slow first one, and one of the two has answered, or neither."""

    kind: str
    """stt, llm or tts."""
    provider: str
    """Whom the second request was made to."""
    won: bool
    """The second answered first."""
    saved_s: float | None = None
    """If it won: the time the first would still have been waited for. It may have answered before: at most this."""


@dataclass(frozen=True, slots=True)
class FellBack:
    """A provider was replaced by another, or asked once more, within one answer or utterance."""

    kind: str
    """stt, llm or tts."""
    from_: str
    to: str
    reason: str
    """What was wrong with the first, for people."""


@dataclass(frozen=True, slots=True)
class Wasted:
    """A request to a model was given up because another one answered first: what it cost all the same."""

    provider: str
    input_tokens: int
    output_tokens: int
    is_estimated: bool
    """It was given up before it had told; its input is then taken to be four characters a token."""


@dataclass(frozen=True, slots=True)
class TurnUsed:
    """What an answer took is known, however it ended: what was heard since the last one, its words, its sound.

    Each thing used is told once.
    """

    response_id: str
    """Empty: no answer came of it."""
    used: tuple[Used, ...]


Observation: TypeAlias = (
    ServerEvent
    | TurnTimed
    | Interrupted
    | CutShort
    | ToolTimed
    | ToolNoted
    | Anticipated
    | FillerPlayed
    | Backchannelled
    | ProviderTimed
    | Hedged
    | FellBack
    | Wasted
    | TurnUsed
)
