"""Text to speech by `POST /audio/speech`, as raw samples while they are made
(https://platform.openai.com/docs/api-reference/audio/createSpeech).

A request speaks one clause. Once it sounds, the next one is already asked for, so that no pause comes between
them. Without a model it is `DEFAULT_MODEL`; options are in
`options.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

import openai

from pipeline.audio.formats import PCM_24K, AudioFormat
from pipeline.provider import ProviderError, Speech
from pipeline.providers.openai.clause import Clause, NotSpeech
from pipeline.providers.openai.client import Client, body_of
from pipeline.providers.openai.options import Options
from pipeline.providers.source import Source

DEFAULT_MODEL: Final = "gpt-4o-mini-tts"
"""OpenAI ends it, and all others of this endpoint, on 6 January 2027 and names none to follow
(https://platform.openai.com/docs/deprecations). Compatible servers go on; they have models of their own."""

DEFAULT_VOICE: Final = "alloy"
"""All of OpenAI's models have it, and most compatible servers answer to it."""

VOICES: Final = frozenset(
    (
        "alloy",
        "ash",
        "ballad",
        "cedar",
        "coral",
        "echo",
        "fable",
        "marin",
        "nova",
        "onyx",
        "sage",
        "shimmer",
        "verse",
    )
)
CUSTOM_VOICE: Final = "voice_"
"""How ids of voices begin that somebody made for himself."""

CLAUSES_AT_ONCE: Final = 2
"""The one that is heard, and the next. More would be paid for and thrown away whenever a caller interrupts."""


class SpeechVoice:
    """The `Voice` of this file."""

    formats: tuple[AudioFormat, ...] = (PCM_24K,)

    def __init__(self, source: Source) -> None:
        options = Options(source)
        self._client = Client(source)
        self._model = source.model or DEFAULT_MODEL
        self.name = source.label
        # Reached for now, because the SDK loads the module behind it when it is first reached for.
        self._create = self._client.sdk.audio.speech.with_streaming_response.create
        self._voice = options.text("voice") or DEFAULT_VOICE
        theirs = VOICES if self._client.is_openai else frozenset[str]()
        self._voices = frozenset(options.texts("voices") or theirs) | {self._voice}
        self._instructions = options.text("voice_instructions")

    async def prepare(self) -> None:
        """See `Prepares`."""
        await self._client.prepare()

    async def aclose(self) -> None:
        """See `Closes`."""
        await self._client.aclose()

    async def knows(self, voice: str) -> bool:
        """See `KnowsVoices`. There is no request that lists them."""
        return voice in self._voices or (self._client.is_openai and voice.startswith(CUSTOM_VOICE))

    async def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        """See `Voice`. A clause without a letter or a digit is not spoken."""
        if format not in self.formats:
            raise ProviderError(self.name, f"speaks {self.formats}, not {format}", retryable=False)
        asking = _Asking(self, clauses, voice or self._voice, speed)
        try:
            while (clause := await asking.next()) is not None:
                text = clause.text
                async with aclosing(clause.sounds()) as sounds:
                    async for sound in sounds:
                        yield Speech(sound, text)
                        text = ""
                asking.heard()
        except NotSpeech as error:
            raise self._client.failure(str(error)) from None
        finally:
            await asking.stop()

    async def sound(self, clause: str, voice: str, speed: float) -> AsyncGenerator[bytes, None]:
        """What the service makes of one clause. Raises `ProviderError`, and `NotSpeech` for a text."""
        with self._client.errors():
            async with self._create(
                model=self._model,
                input=clause,
                voice={"id": voice} if voice.startswith(CUSTOM_VOICE) and self._client.is_openai else voice,
                response_format="pcm",
                speed=openai.omit if speed == 1.0 else speed,  # not every server knows it
                instructions=self._instructions or openai.omit,
            ) as response:
                kind = response.headers.get("content-type", "")
                if kind.startswith(("text/", "application/json")):
                    raise NotSpeech(f"sent {kind} instead of sound")
                async with aclosing(body_of(response)) as body:
                    async for piece in body:
                        yield piece


class _Asking:
    """The requests of one answer: one clause after another, `CLAUSES_AT_ONCE` of them at a time."""

    def __init__(self, speech: SpeechVoice, clauses: AsyncIterator[str], voice: str, speed: float) -> None:
        self._speech = speech
        self._clauses = clauses
        self._voice = voice
        self._speed = speed
        self._slots = asyncio.Semaphore(CLAUSES_AT_ONCE)
        self._asked: asyncio.Queue[Clause | None] = asyncio.Queue(CLAUSES_AT_ONCE + 1)
        """In order; never full, for each clause in it has a slot, and the end of them is one."""
        # Bare tasks, as in `Clause.make`; `stop` waits for them.
        self._feeding = asyncio.create_task(self._feed())
        self._tasks: set[asyncio.Task[None]] = {self._feeding}

    async def next(self) -> Clause | None:
        """The clause to be heard next; None when there are no more."""
        clause = await self._asked.get()
        if clause is None:
            await self._feeding  # it may have ended because the words did not come
        return clause

    def heard(self) -> None:
        """The clause is over; another may be asked for."""
        self._slots.release()

    async def stop(self) -> None:
        """Give up whatever is still being made; its connections are closed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _feed(self) -> None:
        try:
            while True:
                await self._slots.acquire()
                if (text := await self._next_text()) is None:
                    return
                clause = Clause(text, PCM_24K, self._speed)
                self._tasks.add(clause.make(self._speech.sound(text, self._voice, self._speed)))
                self._asked.put_nowait(clause)
                # A server that does one thing at a time is to begin with what is heard first.
                await clause.begun.wait()
        finally:
            self._asked.put_nowait(None)

    async def _next_text(self) -> str | None:
        async for text in self._clauses:
            if any(letter.isalnum() for letter in text):
                return text
        return None
