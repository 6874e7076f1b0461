"""Inworld text to speech: one context for each answer, on connections that are open before they are needed
(https://docs.inworld.ai/api-reference/ttsAPI/texttospeech/synthesize-speech-websocket).

    → create{voiceId, modelId, audioConfig, timestampType, autoMode}    at once, while the model still thinks
    → send_text, for each clause as it comes                            in auto mode each is spoken at once
    → flush_context, close_context                                      after the last
    ← audioChunk{audioContent, timestampInfo}, flushCompleted           as often as it likes
    ← contextClosed                                                     after the last of its sound

Sound comes in µ-law or A-law where the line speaks it, else as bare PCM. Times of words count from the beginning of
one synthesis; `flushCompleted` ends it, and the next begins where the sound has come to.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import enum
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final

from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, PCMA, PCMU, AudioFormat, Encoding
from pipeline.provider import ProviderError, Speech, VoiceSkills
from pipeline.providers.full_duplex import received_while
from pipeline.providers.inworld.connection import GOODBYE_LIMIT_S, OPTIONS, Endpoint, Line, text_option
from pipeline.providers.inworld.voices import KnownVoices
from pipeline.providers.source import Source
from pipeline.providers.spoken_answer import SpokenAnswer
from pipeline.providers.warm import WarmConnections

PATH: Final = "/tts/v1/voice:streamBidirectional"

DEFAULT_MODEL: Final = "inworld-tts-2"
DEFAULT_VOICE: Final = "Dennis"

DELIVERIES: Final = ("STABLE", "BALANCED", "CREATIVE")

IDLE_S: Final = 300.0
"""The service closes a connection after ten minutes without a word on any context."""

LONGEST_TEXT_CHARS: Final = 1_000
"""Of one `send_text`."""

SLOWEST, FASTEST = 0.5, 1.5
"""`speakingRate` as the service takes it. A caller who asks for less hears half the pace."""

_ENCODINGS: Final = {Encoding.PCM16: "PCM", Encoding.ULAW: "MULAW", Encoding.ALAW: "ALAW"}
"""`LINEAR16` would put the header of a WAV file in front of every piece."""

_RIFF_HEAD: Final = 12
_RIFF_CHUNK_HEAD: Final = 8


class InworldVoice:
    """The `Voice` of this file. `voice` is a voice's id: `Dennis`, or one of the workspace's own."""

    formats: tuple[AudioFormat, ...] = (PCM_24K, PCMU, PCMA, PCM_16K, PCM_8K)
    skills = VoiceSkills(has_word_times=True)

    def __init__(self, source: Source) -> None:
        source.no_options(*OPTIONS)
        self.name = source.label
        self._model = source.model or DEFAULT_MODEL
        self._language = text_option(source, "language") or source.agent.language
        self._delivery = text_option(source, "delivery", *DELIVERIES)
        endpoint = Endpoint.of(source, PATH)
        self._connections = WarmConnections(
            self.name, endpoint.open, is_open=lambda line: line.is_open, idle_s=IDLE_S
        )
        self._voices = KnownVoices(source)
        self._numbers = itertools.count(1)

    async def prepare(self) -> None:
        """See `Prepares`."""
        await self._connections.prepare()

    async def aclose(self) -> None:
        """See `Closes`."""
        await self._connections.aclose()

    async def knows(self, voice: str) -> bool:
        """See `KnowsVoices`."""
        return voice == DEFAULT_VOICE or await self._voices.has(voice)

    async def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        """See `Voice`. Raises `ProviderError` for another format, and if no sound comes of words."""
        if format not in self.formats:
            raise ProviderError(self.name, f"speaks {self.formats}, not {format}", retryable=False)
        async with self._connections.lease() as lease:
            context = _Context(lease.connection, f"answer-{next(self._numbers)}", format)
            try:
                telling = context.tell(self._settings(format, voice or DEFAULT_VOICE, speed), clauses)
                async with aclosing(received_while(telling, lease.connection.hear)) as results:
                    async for result in results:
                        context.take(result)
                        if context.is_closed:
                            break
                        if speech := context.answer.made():
                            yield speech
            finally:
                await context.leave()
            if context.answer.lacks_sound:
                # Whoever tries again is better off with another connection.
                raise ProviderError(self.name, "made no sound of its words", retryable=True)
            lease.is_reusable = True
        if speech := context.answer.end():
            yield speech

    def _settings(self, format: AudioFormat, voice: str, speed: float) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "voiceId": voice,
            "modelId": self._model,
            "audioConfig": {
                "audioEncoding": _ENCODINGS[format.encoding],
                "sampleRateHertz": format.rate_hz,
                "speakingRate": min(FASTEST, max(SLOWEST, speed)),
            },
            "timestampType": "WORD",
            # Times that trail their sound would be read too late: sound is read only as fast as it is played.
            "timestampTransportStrategy": "SYNC",
            "autoMode": True,
        }
        if self._language:
            settings["language"] = self._language
        if self._delivery:
            settings["deliveryMode"] = self._delivery
        return settings


class _Stage(enum.Enum):
    NEW = "nothing of it was said"
    TOLD = "it may make sound"
    CLOSING = "we have said that nothing more follows"
    CLOSED = "the service has said so"


_LEGAL_STEPS: Final[Mapping[_Stage, frozenset[_Stage]]] = {
    _Stage.NEW: frozenset({_Stage.TOLD}),
    _Stage.TOLD: frozenset({_Stage.CLOSING}),
    _Stage.CLOSING: frozenset({_Stage.CLOSED}),
    _Stage.CLOSED: frozenset(),
}


class _Context:
    """One answer on the line. `tell` it and `take` what comes, side by side; `leave` it in the end."""

    def __init__(self, line: Line, id: str, format: AudioFormat) -> None:
        self.answer = SpokenAnswer(format)
        self._line = line
        self._id = id
        self._stage = _Stage.NEW
        self._synthesis_ms = 0.0
        """Where in the answer's sound the synthesis begins whose times come."""
        self._syntheses = 0
        self._has_times = False

    @property
    def is_closed(self) -> bool:
        return self._stage is _Stage.CLOSED

    async def tell(self, settings: Mapping[str, Any], clauses: AsyncIterator[str]) -> bool:
        """All there is to say. The context is closed by the service in any case, which is an answer."""
        self._step(_Stage.TOLD)
        await self._say({"create": settings})
        async for clause in clauses:
            for text in _portions(clause):
                self.answer.tell(text)
                await self._say({"send_text": {"text": f"{text} "}})  # one clause may be joined to the next
        await self._say({"flush_context": {}})
        self._step(_Stage.CLOSING)
        await self._say({"close_context": {}})
        return True

    def take(self, result: Mapping[str, Any] | None) -> None:
        """One result. Raises `ProviderError` for what makes no sense."""
        match result:
            case None:
                raise ProviderError(self._line.label, "left in the middle of an answer", retryable=True)
            case {"contextId": str(other)} if other != self._id:
                return
            case {"audioChunk": dict(chunk)}:
                self._take_chunk(chunk)
            case {"audioChunk": _}:
                raise self._line.nonsense("a chunk that is not an object")
            case {"flushCompleted": _}:
                self._end_synthesis()
            case {"contextClosed": _} if self._stage is _Stage.CLOSING:
                self._step(_Stage.CLOSED)
            case {"contextClosed": _}:
                raise ProviderError(self._line.label, "closed the context of an unfinished answer", retryable=True)
            case _:
                return  # contextCreated, and whatever there may be in later years

    async def leave(self) -> None:
        """Nobody listens any more. An open context would go on speaking, to nobody."""
        if self._stage is _Stage.TOLD and self._line.is_open:
            self._step(_Stage.CLOSING)
            with suppress(ProviderError, TimeoutError):
                async with asyncio.timeout(GOODBYE_LIMIT_S):
                    await self._say({"close_context": {}})

    def _take_chunk(self, chunk: Mapping[str, Any]) -> None:
        # Words first: their times count from where this synthesis began, whatever sound came since.
        for word, start_s in _timed_words(self._line, chunk):
            self._has_times = True
            self.answer.time(word, self._synthesis_ms + start_s * 1000)
        content = chunk.get("audioContent") or ""
        try:
            self.answer.sound(_samples(base64.b64decode(content, validate=True)))
        except (binascii.Error, TypeError, ValueError):
            raise self._line.nonsense("sound that is not base64") from None

    def _end_synthesis(self) -> None:
        if self.answer.received_ms <= self._synthesis_ms:
            return  # there was nothing left to flush
        self._syntheses += 1
        if not self._has_times:
            # In a language it cannot align. A synthesis holds one clause, or more: never words unsaid.
            self.answer.end_clauses(self._syntheses)
        self._synthesis_ms = self.answer.received_ms

    async def _say(self, message: Mapping[str, Any]) -> None:
        await self._line.say({**message, "contextId": self._id})

    def _step(self, stage: _Stage) -> None:
        assert stage in _LEGAL_STEPS[self._stage], f"from {self._stage} to {stage}"
        self._stage = stage


def _portions(clause: str) -> list[str]:
    """`clause`, cut between words where it is too long for one message."""
    portions: list[str] = []
    start = 0
    while len(clause) - start > LONGEST_TEXT_CHARS - 1:
        space = clause.rfind(" ", start + 1, start + LONGEST_TEXT_CHARS)
        end = space if space > start else start + LONGEST_TEXT_CHARS - 1
        portions.append(clause[start:end])
        start = end + 1 if space > start else end
    return [portion for portion in (*portions, clause[start:]) if portion.strip()]


def _timed_words(line: Line, chunk: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Words, punctuation and spaces, each with where it begins, in seconds of its synthesis."""
    match chunk.get("timestampInfo"):
        case {"wordAlignment": {"words": list(words), "wordStartTimeSeconds": list(starts)}}:
            timed = list(zip(words, starts, strict=False))
        case _:
            return []
    for word, start_s in timed:
        if not isinstance(word, str) or isinstance(start_s, bool) or not isinstance(start_s, int | float):
            raise line.nonsense("times of words that are none")
    return timed


def _samples(chunk: bytes) -> bytes:
    """The bare sound of a chunk, which may be a WAV file of its own (Microsoft's RIFF, "WAVE File Format")."""
    if chunk[:4] != b"RIFF" or chunk[8:_RIFF_HEAD] != b"WAVE":
        return chunk
    at = _RIFF_HEAD
    while at + _RIFF_CHUNK_HEAD <= len(chunk):
        size = int.from_bytes(chunk[at + 4 : at + _RIFF_CHUNK_HEAD], "little")
        if chunk[at : at + 4] == b"data":
            # A header written before the sound was made does not know its length.
            return chunk[at + _RIFF_CHUNK_HEAD :]
        at += _RIFF_CHUNK_HEAD + size + size % 2
    return b""
