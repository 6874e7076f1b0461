"""The three kinds of provider a cascade is made of, each a `Protocol` of one async generator.

A provider knows nothing of sessions, calls or transports: sound or text goes in, text or sound comes out.
The engine closes every generator it opens (`aclosing`), so clean-up belongs in a `finally` inside it.
A failure is a `ProviderError`; anything else that escapes is a bug of ours and is logged as one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from pipeline.audio.formats import AudioFormat
from pipeline.events.items import Item


class ProviderError(Exception):
    """A provider's fault, not the caller's and not ours.

    `retryable` is decided where the failure is known: a refused key stays refused, a time-out may pass.
    """

    def __init__(self, provider: str, message: str, *, retryable: bool) -> None:
        super().__init__(f"{provider}: {message}")
        self.provider = provider
        self.retryable = retryable


TurnSignal: TypeAlias = Literal["going_on", "may_be_over", "resumed", "over"]
"""What a transcriber that finds turns by itself thinks of the caller's: `may_be_over` is an early guess that
`resumed` takes back; `over` stands."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a transcriber understood so far of one utterance; a later one replaces an earlier one."""

    text: str
    is_final: bool
    """Every stream ends with exactly one final transcript, empty if nothing was understood."""
    turn: TurnSignal = "going_on"
    """Meaningful only from a transcriber whose skills say `ends_turns`, and only before the final one."""


@dataclass(frozen=True, slots=True)
class TranscriberSkills:
    """What a transcriber can do beyond the least, which is: hear it all, then say what it was."""

    has_partials: bool = False
    """It says what it understood while the caller still speaks: its silence then means that it is dead."""
    ends_turns: bool = False
    """Its transcripts carry a `TurnSignal`."""
    languages: tuple[str, ...] = ()
    """BCP 47 tags or prefixes of them; empty: whatever it is told."""


@dataclass(frozen=True, slots=True)
class VoiceSkills:
    """What a voice can do beyond the least, which is: speak clause by clause."""

    joins_clauses: bool = False
    """It speaks all clauses of an answer as one, with the melody of the whole."""
    has_word_times: bool = False
    """Its `Speech` carries the times of its words, so that what was heard is known to the word."""


def skills_of_transcriber(provider: object) -> TranscriberSkills:
    """What it declares in an attribute `skills`, or the least. Asked for every utterance, so without a Protocol."""
    declared = getattr(provider, "skills", None)
    return declared if isinstance(declared, TranscriberSkills) else TranscriberSkills()


def skills_of_voice(provider: object) -> VoiceSkills:
    """What it declares in an attribute `skills`, or the least."""
    declared = getattr(provider, "skills", None)
    return declared if isinstance(declared, VoiceSkills) else VoiceSkills()


class Transcriber(Protocol):
    """Speech to text."""

    name: str
    formats: tuple[AudioFormat, ...]
    """What it can hear, best first; the engine transcodes if the session's format is not among them."""

    def transcribe(
        self, audio: AsyncIterator[bytes], *, format: AudioFormat, language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        """Words of one utterance, as they are understood; `audio` ends where the caller's turn ends."""
        ...


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A function the model may ask for."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    """JSON Schema of the arguments."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """All a language model is told."""

    instructions: str
    items: tuple[Item, ...]
    """The conversation, oldest first; an interrupted answer holds only what was heard."""
    tools: tuple[FunctionTool, ...] = ()
    """Those the model may ask for: none if the session forbids tools, one alone if it names one."""
    max_output_tokens: int | None = None
    """Where the answer is cut off, in the model's own tokens; `None` leaves it to the model."""
    temperature: float | None = None
    tool_choice: Literal["auto", "required"] = "auto"
    """`required`: the answer is to ask for one of `tools`; `auto`: as the model thinks fit."""


CutOffReason: TypeAlias = Literal["max_output_tokens", "content_filter"]
"""As `status_details.reason` of a response that is incomplete spells it (Realtime reference, section B.4)."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """The model asks for a function, with all its arguments."""

    call_id: str
    name: str
    arguments: str
    """A JSON object, as text."""


@dataclass(frozen=True, slots=True)
class CutOff:
    """The model stopped before it was done. Nothing but `TokensUsed` follows."""

    reason: CutOffReason


@dataclass(frozen=True, slots=True)
class TokensUsed:
    """What one answer cost. A model that counts says it once, at the end."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    """Those of `input_tokens` the service had still in its memory, and bills for less."""


ModelOutput: TypeAlias = TextDelta | ToolRequest | CutOff | TokensUsed


class LanguageModel(Protocol):
    """Text to text."""

    name: str
    takes_images: bool
    """A model that does finds `InputImage` parts in the messages of `Prompt.items`; any other is sent none."""

    def respond(self, prompt: Prompt) -> AsyncGenerator[ModelOutput, None]:
        """The answer, piece by piece as it is thought."""
        ...


@dataclass(frozen=True, slots=True)
class WordTime:
    """Where one word begins."""

    text: str
    start_ms: int
    """From the first sample of the piece of `Speech` that carries it; negative where its sound came before."""


@dataclass(frozen=True, slots=True)
class Speech:
    """A piece of speech. `text` is set on the first piece of a clause, and is what the clause says.

    A provider that learns the times of words apart from their sound sends them in pieces without sound: `text` is
    then the words that `words` times, and they may lie before the piece (already made) or after it.
    """

    audio: bytes
    text: str = ""
    words: tuple[WordTime, ...] = ()
    """Times of the words of `text`, where the provider knows them; without, they are taken in proportion."""


class Voice(Protocol):
    """Text to speech."""

    name: str
    formats: tuple[AudioFormat, ...]
    """What it can speak, best first; a session whose format is among them needs no transcoding."""

    def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        """The clauses, spoken in order in `format` (one of `formats`); ends when they end.

        `speed` is a factor from 0.25 to 1.5, 1 being the voice's own pace (Realtime reference, section C.2,
        `audio.output.speed`). Word times are those of the sound as it is, fast or slow.
        """
        ...


@runtime_checkable
class Prepares(Protocol):
    """A provider that is slow the first time: it loads a model or opens a connection."""

    async def prepare(self) -> None: ...


@runtime_checkable
class Closes(Protocol):
    """A provider that holds something open: connections kept warm, a pool of threads."""

    async def aclose(self) -> None: ...


@runtime_checkable
class KnowsVoices(Protocol):
    """A voice provider that can tell which names it has. Clients of other services ask for theirs by default."""

    async def knows(self, voice: str) -> bool: ...
