"""Reports: what workers outside the session did, in the past tense. The session answers each.

A report that belongs to a response carries its id, and the session refuses it when that response is no longer
active: cancelling a task is a request that arrives at its next await, so late reports are a matter of course.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from pipeline.costs import Used
from pipeline.mcp.tool import FailureKind, McpTool
from pipeline.provider import CutOffReason, TurnSignal, WordTime


@dataclass(frozen=True, slots=True)
class SpeechScored:
    """The speech-activity model judged one window of the caller's sound."""

    end: int
    """Where the window ends, in samples of the session's input since its first."""
    probability: float
    """That somebody speaks in it, 0 to 1."""
    loud_until: int
    """Where the last sound above the line's own noise floor ends, same count; at most `end`."""


@dataclass(frozen=True, slots=True)
class Transcribed:
    """Words were understood of the utterance that became, or will become, `item_id`."""

    item_id: str
    text: str
    is_final: bool
    turn: TurnSignal = "going_on"
    """What a transcriber that finds turns thinks of this one."""


@dataclass(frozen=True, slots=True)
class TranscriptionFailed:
    item_id: str
    message: str


@dataclass(frozen=True, slots=True)
class TurnJudged:
    """The end-of-turn model has heard the pause in an utterance."""

    item_id: str
    probability: float
    """That the caller has finished, 0 to 1."""


@dataclass(frozen=True, slots=True)
class TextMade:
    """The model thought some more of its answer."""

    response_id: str
    text: str


@dataclass(frozen=True, slots=True)
class TextEnded:
    """The model has thought its answer to the end, with some words in it; they may still have to be spoken."""

    response_id: str


@dataclass(frozen=True, slots=True)
class AudioMade:
    """The voice spoke some more of the answer, in the session's output format."""

    response_id: str
    audio: bytes
    text: str = ""
    """What is spoken from the first sample of `audio` on, if a new clause begins there."""
    words: tuple[WordTime, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolRequested:
    """The model asked for a function."""

    response_id: str
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Model and voice have said all of the answer. Tokens are those the model has told, 0 if it told none."""

    response_id: str
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Of the input."""
    cut_off: CutOffReason | None = None
    """The model stopped before it was done."""
    input_audio_tokens: int = 0
    """Of the input; a cascade's model hears none."""
    cached_audio_tokens: int = 0
    """Of those."""
    output_audio_tokens: int = 0
    """Of the output."""
    used: tuple[Used, ...] = field(default=(), compare=False)
    """By the providers, for the turn that this answer ends: its bill, and no part of what is reported."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A provider could not finish the answer."""

    response_id: str
    code: str
    message: str
    is_voiceless: bool = False
    """It was the voice that failed: there is no use in asking it to apologise."""


@dataclass(frozen=True, slots=True)
class Played:
    """The peer's loudspeaker has reached this point."""

    position: int
    """Samples of output played since the session began, counting only sound that was not cleared."""


@dataclass(frozen=True, slots=True)
class Flushed:
    """The peer's buffer was emptied; nothing sent before is heard from here on."""

    position: int
    """As in `Played`: where playback stood at that moment."""


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """A function of ours came to its end."""

    call_id: str
    output: str
    ends_call: bool = False
    """The function was a farewell: once the last word is heard, the session wants to hang up."""
    transfer_to: str = ""
    """With `ends_call`: whom the caller is connected to then."""
    wants_answer: bool = True
    """False: nothing is said to it; the agent waits for the caller."""


@dataclass(frozen=True, slots=True)
class ToolsListed:
    """An MCP server has told its tools."""

    item_id: str
    tools: tuple[McpTool, ...]


@dataclass(frozen=True, slots=True)
class ListingFailed:
    """An MCP server could not be asked for its tools."""

    item_id: str


@dataclass(frozen=True, slots=True)
class McpReturned:
    """A tool of an MCP server came to its end."""

    item_id: str
    output: str


@dataclass(frozen=True, slots=True)
class McpFailed:
    """A tool of an MCP server gave no result."""

    item_id: str
    kind: FailureKind
    message: str
    code: int | None = None


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """The caller pressed a key of the telephone."""

    digit: str
    """One of 0-9, *, #, A-D."""
    is_collected: bool = False
    """A function of ours has taken it: it belongs to no entry of the conversation."""


Report: TypeAlias = (
    SpeechScored
    | TurnJudged
    | Transcribed
    | TranscriptionFailed
    | TextMade
    | TextEnded
    | AudioMade
    | ToolRequested
    | Finished
    | Failed
    | Played
    | Flushed
    | ToolReturned
    | ToolsListed
    | ListingFailed
    | McpReturned
    | McpFailed
    | DigitPressed
)
