"""The gateway the stock clients are pointed at: the real one on a loopback port, its providers answering by rules.

Its event loop runs in a thread of its own, because it stays up while one test after another waits for a client's
program. What a client says or asks decides the answer, so clients need no order among them.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.credentials.credential import Scope
from gateway.credentials.keyring import base64_of, entry
from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, PCMA, PCMU, AudioFormat
from pipeline.events.items import FunctionCallOutput, Message
from pipeline.provider import ModelOutput, Prompt, TextDelta, ToolRequest, Transcript
from pipeline.providers.stub import StubVoice
from pipeline.responder import Cascade
from tests.calls.support import LIMIT_S, running_gateway
from tests.clients.scenario import STORY

CLIP: Final = "opening-hours"
HEARD: Final = "What are your opening hours?"
"""The words of that clip, which the transcriber takes every utterance for: its ear is Silero's, its wit ours."""

WORD_MS: Final = 200
"""How much sound a word of an interim transcript stands for; the clip is longer than its words need."""

STORY_SENTENCES: Final = 60
STORY_PAUSE_S: Final = 0.15
"""Sentences come so far apart that a story is still being told when somebody speaks into it."""


class OneSentence:
    """Takes every utterance for `HEARD`, and says so word by word while it is spoken."""

    name = "one-sentence"
    formats: tuple[AudioFormat, ...] = (PCM_24K, PCM_16K, PCM_8K, PCMU, PCMA)

    async def transcribe(
        self, audio: AsyncIterator[bytes], *, format: AudioFormat, language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        """See `Transcriber`."""
        words = HEARD.split()
        length = told = 0
        async for sound in audio:
            length += len(sound)
            known = min(len(words), length // format.bytes_in(WORD_MS))
            if known > told:
                told = known
                yield Transcript(" ".join(words[:known]), is_final=False)
        yield Transcript(HEARD if length else "", is_final=True)


class ByRules:
    """Answers from the last thing in the conversation."""

    name = "by-rules"
    takes_images = False

    async def respond(self, prompt: Prompt) -> AsyncGenerator[ModelOutput, None]:
        """See `LanguageModel`."""
        last = next((item for item in reversed(prompt.items) if _is_told(item)), None)
        if isinstance(last, FunctionCallOutput):
            # pipecat hands a tool's text on as JSON, in quotes; the others as it is.
            told = last.output.strip('"')
            yield TextDelta(f"The tool says {told}.")
            return
        asked = last.text if isinstance(last, Message) else ""
        if "weather" in asked and any(tool.name == "get_weather" for tool in prompt.tools):
            yield ToolRequest(f"call_{secrets.token_hex(8)}", "get_weather", '{"city":"Paris"}')
        elif asked == STORY:
            for number in range(STORY_SENTENCES):
                yield TextDelta(f"{' ' if number else ''}This is sentence number {number + 1}.")
                await asyncio.sleep(STORY_PAUSE_S)
        else:
            for number, word in enumerate(f"You said: {asked.rstrip('.?')}.".split()):
                yield TextDelta(f"{' ' if number else ''}{word}")


def _is_told(item: object) -> bool:
    """Whether an item is something a user or a tool told."""
    return isinstance(item, FunctionCallOutput) or (isinstance(item, Message) and item.role == "user")


@dataclass(frozen=True)
class Address:
    """Where it answers, and to whom."""

    url: str
    key: str


@contextmanager
def answering() -> Iterator[Address]:
    """The gateway in a thread, for as long as the context lasts."""
    secret = secrets.token_hex(24)
    up: list[str] = []
    is_up = threading.Event()
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        over = asyncio.Event()
        stop.append((asyncio.get_running_loop(), over))
        cascade = Cascade(OneSentence(), ByRules(), StubVoice())
        with tempfile.TemporaryDirectory() as directory:
            keys = Path(directory) / "keys.toml"
            keys.write_text(entry("clients", secret, [Scope.REALTIME]))
            async with running_gateway(providers=cascade, SWITCHBOARD_API_KEYS=str(keys)) as gateway:
                up.append(gateway.url)
                is_up.set()
                await over.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        finally:
            is_up.set()

    thread = threading.Thread(target=run, name="gateway")
    thread.start()
    try:
        is_up.wait(LIMIT_S)
        if not up:
            raise RuntimeError("the gateway did not start; its thread's traceback says why")
        # One key, in the form Inworld's clients take by `Basic`; as a bearer it is good as well.
        yield Address(up[0], base64_of(f"clients:{secret}"))
    finally:
        for loop, over in stop:
            if thread.is_alive():
                loop.call_soon_threadsafe(over.set)
        thread.join(LIMIT_S)
