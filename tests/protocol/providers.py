"""Providers for protocol tests: what they do is written in what they are told, so one gateway serves all tests.

The model acts out the scene that the instructions name, else the last thing said or returned. The transcriber takes
its scene from the language it is asked for. Nothing here waits for a clock: a scene that hangs does so until it is
cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, PCMA, PCMU, AudioFormat
from pipeline.events.items import FunctionCallOutput, Message
from pipeline.provider import (
    CutOff,
    ModelOutput,
    Prompt,
    ProviderError,
    Speech,
    TextDelta,
    TokensUsed,
    ToolRequest,
    Transcript,
)
from pipeline.providers.stub import StubVoice

HEARD: Final = "What are your opening hours?"
"""What every utterance is taken for."""

SILENT: Final = "zxx"
"""The language in which nothing is ever understood; ISO 639-2's for "no linguistic content"."""

FAILING: Final = "und"
"""The language in which transcription fails; ISO 639-2's for "undetermined"."""

HANG: Final = "hang"
"""A sentence and one word more, then nothing until the answer is cancelled."""

MUSE: Final = "muse"
"""Not a word until the answer is cancelled."""

FAIL: Final = "fail"
"""A sentence, then the model is out of order."""

CUT: Final = "cut"
"""A sentence, then the tokens are used up."""

CALL: Final = "call"
"""One function call."""

TELL_AND_CALL: Final = "tell and call twice"
CALL_AND_WAIT: Final = "call and wait"
"""One function call, then nothing until the actor's `gate` is opened."""

SENTENCE: Final = "One two three four five."
ONE_MORE: Final = " And"
USED: Final = TokensUsed(input_tokens=30, output_tokens=12, cached_tokens=7)
ARGUMENTS: Final = '{"city":"Paris"}'

INTERIMS: Final = ("What", "What are your", HEARD)


class Listener:
    """Understands `HEARD`, and says so in three steps, the last two after the sound has ended."""

    name = "listener"
    formats: tuple[AudioFormat, ...] = (PCM_24K, PCM_16K, PCM_8K, PCMU, PCMA)

    async def transcribe(
        self, audio: AsyncIterator[bytes], *, format: AudioFormat, language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        """See `Transcriber`."""
        length = 0
        async for sound in audio:
            length += len(sound)
        if language == FAILING:
            raise ProviderError(self.name, "is out of order", retryable=False)
        if language == SILENT or not length:
            yield Transcript("", is_final=True)
            return
        for words in INTERIMS:
            yield Transcript(words, is_final=False)
        yield Transcript(HEARD, is_final=True)


class Actor:
    """Acts out a scene; what is no scene it repeats: "You said: …"."""

    name = "actor"

    def __init__(self, *, takes_images: bool = True) -> None:
        self.takes_images = takes_images
        self.prompts: list[Prompt] = []
        self.gate = asyncio.Event()

    async def respond(self, prompt: Prompt) -> AsyncGenerator[ModelOutput, None]:
        """See `LanguageModel`."""
        self.prompts.append(prompt)
        scene = prompt.instructions if prompt.instructions in SCENES else _last_words(prompt)
        if scene == MUSE:
            await asyncio.Event().wait()
        if scene in (HANG, FAIL, CUT, TELL_AND_CALL):
            for number, word in enumerate(SENTENCE.split()):
                yield TextDelta(f"{' ' if number else ''}{word}")
        if scene in (CALL, TELL_AND_CALL, CALL_AND_WAIT):
            yield ToolRequest(f"call_a{len(self.prompts)}", "get_weather", ARGUMENTS)
        if scene == TELL_AND_CALL:
            yield ToolRequest(f"call_b{len(self.prompts)}", "get_weather", "{}")
        if scene == HANG:
            yield TextDelta(ONE_MORE)  # so that the sentence is known to be one, and is spoken
            await asyncio.Event().wait()
        if scene == CALL_AND_WAIT:
            await self.gate.wait()
        if scene == FAIL:
            raise ProviderError(self.name, "is out of order", retryable=False)
        if scene not in SCENES:
            for number, word in enumerate(f"You said: {scene.rstrip('.?')}.".split()):
                yield TextDelta(f"{' ' if number else ''}{word}")
        if scene == CUT:
            yield CutOff("max_output_tokens")
        yield USED


SCENES: Final = frozenset({HANG, MUSE, FAIL, CUT, CALL, TELL_AND_CALL, CALL_AND_WAIT})


def _last_words(prompt: Prompt) -> str:
    """Of a user or a tool; an image counts as its kind."""
    for item in reversed(prompt.items):
        if isinstance(item, FunctionCallOutput):
            return f"the tool says {item.output}"
        if isinstance(item, Message) and item.role == "user":
            return "an image" if item.images else item.text
    return ""


class OnePiece:
    """Hums a whole clause as one piece of sound, however long it is."""

    name = "one-piece"
    formats: tuple[AudioFormat, ...] = (PCMU,)

    async def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        """See `Voice`."""
        async for clause in clauses:
            hummed = StubVoice().speak(_alone(clause), format=format, voice=voice, speed=speed)
            async with aclosing(hummed) as pieces:
                yield Speech(b"".join([piece.audio async for piece in pieces]), clause)


async def _alone(clause: str) -> AsyncGenerator[str, None]:
    yield clause
