"""Inworld speech to text: one utterance at a time, on connections that are open before they are needed
(https://docs.inworld.ai/api-reference/sttAPI/speechtotext/transcribe-stream-websocket).

    → transcribeConfig{modelId, audioEncoding, sampleRateHertz, language, …}    once a connection
    → audioChunk{content}                                                       as the caller speaks
    ← transcription{transcript, isFinal}                                        partial ones may be rewritten
    → endTurn                                                                   the caller's turn is over
    ← transcription, final

Who has finished is ours to say: Inworld's own model is told not to look for the end of a turn (`vadThreshold` 0).
Models of others that it passes on to may know no `endTurn`; they are told `closeStream`, give their last words, and
the connection ends. The service hears PCM only, best at 16 kHz.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, AudioFormat
from pipeline.provider import ProviderError, TranscriberSkills, Transcript
from pipeline.providers.full_duplex import received_while
from pipeline.providers.inworld.connection import OPTIONS, Endpoint, Line, text_option
from pipeline.providers.source import Source
from pipeline.providers.warm import Lease, WarmConnections

PATH: Final = "/stt/v1/transcribe:streamBidirectional"

OWN: Final = "inworld/"
"""Models are called `vendor/model`; a name without a vendor is one of Inworld's own."""

DEFAULT_MODEL: Final = "inworld-stt-1"

IDLE_S: Final = 30.0
"""How long a connection may wait. The service names no limit; half of what load balancers usually allow."""

PIECE_MS: Final = 1_000
"""Longest piece of sound in one message."""

REUSABLE_MS: Final = 25_000
"""A turn that is ended by hand may last about 30 seconds; what the service does with a longer one is not known, so
that a connection which heard more is not used again."""


@dataclass(slots=True)
class _Ear:
    """A connection, and what it was told to listen for. That can be said once."""

    line: Line
    config: Mapping[str, Any] | None = None


class InworldTranscriber:
    """The `Transcriber` of this file."""

    formats: tuple[AudioFormat, ...] = (PCM_16K, PCM_24K, PCM_8K)
    skills = TranscriberSkills(has_partials=True)

    def __init__(self, source: Source) -> None:
        source.no_options(*OPTIONS)
        self.name = source.label
        model = source.model or DEFAULT_MODEL
        self._model = model if "/" in model else OWN + model
        self._is_own = self._model.startswith(OWN)
        self._language = text_option(source, "language") or source.agent.language
        self._endpoint = Endpoint.of(source, PATH)
        self._connections = WarmConnections(
            self.name, self._open, is_open=lambda ear: ear.line.is_open, idle_s=IDLE_S
        )

    async def prepare(self) -> None:
        """See `Prepares`."""
        await self._connections.prepare()

    async def aclose(self) -> None:
        """See `Closes`."""
        await self._connections.aclose()

    async def transcribe(
        self, audio: AsyncIterator[bytes], *, format: AudioFormat, language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        """See `Transcriber`. Raises `ProviderError` for another format."""
        if format not in self.formats:
            raise ProviderError(self.name, f"hears {self.formats}, not {format}", retryable=False)
        config = self._config(format, language or self._language)
        async with self._ear_for(config) as lease:
            ear = lease.connection
            utterance = _Utterance(ear, format, closes=not self._is_own)
            telling = utterance.tell(config, audio)
            async with aclosing(received_while(telling, ear.line.hear)) as results:
                async for result in results:
                    said = utterance.take(result)
                    if utterance.is_over:
                        break
                    if said:
                        yield Transcript(utterance.text, is_final=False)
            lease.is_reusable = utterance.left_nothing
        yield Transcript(utterance.text, is_final=True)

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[_Ear, None]:
        async with self._endpoint.open() as line:
            yield _Ear(line)

    @asynccontextmanager
    async def _ear_for(self, config: Mapping[str, Any]) -> AsyncGenerator[Lease[_Ear], None]:
        """A connection that was told nothing yet, or the same."""
        while True:
            async with self._connections.lease() as lease:
                if lease.connection.config in (None, config):
                    yield lease
                    return

    def _config(self, format: AudioFormat, language: str | None) -> dict[str, Any]:
        config: dict[str, Any] = {
            "modelId": self._model,
            "audioEncoding": "LINEAR16",
            "sampleRateHertz": format.rate_hz,
            "numberOfChannels": 1,
        }
        if language:
            config["language"] = language
        if self._is_own:
            config["inworldSttV1Config"] = {"vadThreshold": 0}
        return config


class _Utterance:
    """One utterance on its way. `tell` and `take` run side by side."""

    def __init__(self, ear: _Ear, format: AudioFormat, *, closes: bool) -> None:
        self._ear = ear
        self._format = format
        self._closes = closes
        """It ends with the connection."""
        self._finals: list[str] = []
        self._partial = ""
        self._told = 0
        self._is_told = False
        """All of it; the next final transcript is the last."""
        self.is_over = False

    @property
    def text(self) -> str:
        """What was understood so far."""
        return " ".join(part for part in (*self._finals, self._partial) if part)

    @property
    def left_nothing(self) -> bool:
        """No word can still come that the next utterance would take for its own."""
        is_short = self._told <= self._format.bytes_in(REUSABLE_MS)
        return not self._closes and is_short and len(self._finals) <= 1

    async def tell(self, config: Mapping[str, Any], audio: AsyncIterator[bytes]) -> bool:
        """All of the sound. Without any, the service owes no answer."""
        async for sound in audio:
            for piece in self._pieces(sound):
                if self._ear.config is None:
                    self._ear.config = config
                    await self._ear.line.say({"transcribeConfig": config})
                self._told += len(piece)
                content = base64.b64encode(piece).decode("ascii")
                await self._ear.line.say({"audioChunk": {"content": content}})
        if self._told:
            self._is_told = True
            await self._ear.line.say({"closeStream": {}} if self._closes else {"endTurn": {}})
        return bool(self._told)

    def take(self, result: Mapping[str, Any] | None) -> bool:
        """One result; whether words came. Raises `ProviderError` for what makes no sense."""
        match result:
            case None if self._closes and self._is_told:
                self.is_over = True
            case None:
                raise ProviderError(self._ear.line.label, "left in the middle of an utterance", retryable=True)
            case {"transcription": {"transcript": str(words), **more}}:
                return self._take_words(words.strip(), is_final=more.get("isFinal") is True)
            case {"transcription": {"isFinal": True, **more}} if "transcript" not in more:
                return self._take_words("", is_final=True)  # JSON of protobuf leaves out what is empty
            case {"transcription": {**more}} if "transcript" not in more:
                return False
            case {"transcription": _}:
                raise self._ear.line.nonsense("a transcription without words")
            case {"usage": _} if self._closes and self._is_told:
                self.is_over = True  # it counts when it has heard everything
            case _:
                pass  # speechStarted, speechStopped, and whatever there may be in later years
        return False

    def _take_words(self, words: str, *, is_final: bool) -> bool:
        if not is_final:
            self._partial = words
            return bool(words)
        self._finals.append(words)
        self._partial = ""
        self.is_over = self._is_told and not self._closes
        return bool(words)

    def _pieces(self, sound: bytes) -> list[bytes]:
        size = self._format.bytes_in(PIECE_MS)
        return [sound[at : at + size] for at in range(0, len(sound), size)]
