"""Commands: what the session wishes done by the workers around it, in the imperative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from pipeline.audio.formats import AudioFormat
from pipeline.events.config import McpServer
from pipeline.events.items import Item
from pipeline.provider import Prompt


@dataclass(frozen=True, slots=True)
class Transcribe:
    """Begin to transcribe an utterance; every later sound of the input belongs to it until it ends."""

    item_id: str
    audio: bytes
    """What has been heard of it already, in the session's input format."""


@dataclass(frozen=True, slots=True)
class EndTranscription:
    """The utterance is complete: say what was understood."""

    item_id: str


@dataclass(frozen=True, slots=True)
class DropTranscription:
    """The utterance is void: nobody waits for its words any more."""

    item_id: str


@dataclass(frozen=True, slots=True)
class JudgeTurn:
    """Ask the end-of-turn model whether the utterance sounds finished; answered with `TurnJudged`, or never."""

    item_id: str
    audio: bytes
    """The newest of it, in the session's input format."""


@dataclass(frozen=True, slots=True)
class Respond:
    """Think and speak an answer. `script`, if set, is spoken word for word and no model is asked."""

    response_id: str
    prompt: Prompt
    script: str | None = None
    speaks: bool = True
    """False for a response of text alone."""
    format: AudioFormat | None = None
    """Of its sound; None: the session's."""
    voice: str | None = None
    """None: the agent's own."""
    speed: float = 1.0
    """Of the voice: 1 is its own pace."""
    input: tuple[Item, ...] | None = None
    """Told instead of the conversation; None: the prompt's items are the conversation."""
    is_out_of_band: bool = False
    """It joins no conversation."""
    is_recorded: bool = False
    """The voice itself failed: play the shipped recording of an apology instead of asking it."""


@dataclass(frozen=True, slots=True)
class Anticipate:
    """The caller seems to have finished: begin the answer to what they seem to have said, and keep it back until
    `Respond` asks for it. The id in `respond` is nobody's. A later one takes its place."""

    respond: Respond


@dataclass(frozen=True, slots=True)
class Abandon:
    """The caller has not finished: what was anticipated is not wanted."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop thinking and speaking this answer."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Flush:
    """Throw away all sound not yet played, here and in the peer's buffer; answered with `Flushed`."""


@dataclass(frozen=True, slots=True)
class CallTool:
    """Run a function of ours."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ListTools:
    """Ask an MCP server for its tools; answered with `ToolsListed` or `ListingFailed`."""

    item_id: str
    server: McpServer


@dataclass(frozen=True, slots=True)
class CallMcpTool:
    """Run a tool of an MCP server, once; answered with `McpReturned` or `McpFailed`."""

    item_id: str
    server: McpServer
    name: str
    arguments: str
    """A JSON object, as text."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """The conversation has ended on purpose and its last word has been heard."""

    reason: str
    farewell: str = ""
    """Words the caller must still hear, said by other means than our voice."""
    transfer_to: str = ""
    """The number (E.164) the caller is to be connected to instead."""


Command: TypeAlias = (
    Transcribe
    | EndTranscription
    | DropTranscription
    | JudgeTurn
    | Respond
    | Anticipate
    | Abandon
    | Cancel
    | Flush
    | CallTool
    | HangUp
    | ListTools
    | CallMcpTool
)
