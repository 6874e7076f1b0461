"""Cartesia's voices: one context per answer on a WebSocket that is open beforehand, with word timestamps.

By the official SDK, which brings the address, the headers and the API's version. Wire: Cartesia, "Text to Speech
(WebSocket)" and "Contexts", https://docs.cartesia.ai/api-reference/tts/websocket.

    tts = "cartesia/sonic-3.5"        # CARTESIA_API_KEY; what stands behind the slash is `model_id`
    [providers.cartesia]              # may be left out, and so may each line of it
    voice = "6ccbfb76-…"              # a voice's id
    volume = 1.0                      # 0.5 to 2.0
    trim_silence = true               # take off the silence in front of an answer
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from cartesia import AsyncCartesia
from cartesia.resources.tts import AsyncTTSResourceConnection
from cartesia.types.generation_request_param import GenerationRequestParam
from cartesia.types.raw_encoding import RawEncoding
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, PCMA, PCMU, AudioFormat, Encoding
from pipeline.provider import ProviderError, Speech, Voice, VoiceSkills
from pipeline.providers.full_duplex import received_while
from pipeline.providers.socket_faults import (
    MOST_MESSAGE_BYTES,
    garbage,
    is_retryable,
    json_object,
    quoted,
    say_goodbye,
    socket_faults,
    sound_of,
)
from pipeline.providers.source import Source
from pipeline.providers.spoken_answer import SpokenAnswer
from pipeline.providers.voice_options import flag, number, text
from pipeline.providers.warm import WarmConnections

KEY_SETTING: Final = "CARTESIA_API_KEY"
BASE_URL: Final = "https://api.cartesia.ai"
MODEL: Final = "sonic-3.5"
FAMILY: Final = "sonic"
"""Not a model of the service's, but what people call them all; the service has an alias for the newest."""
NEWEST: Final = "sonic-latest"
VOICE: Final = "6ccbfb76-1fc6-48f7-b71d-91ac6298247b"
"""The voice of the SDK's own examples."""

SLOWEST, FASTEST = 0.6, 1.5
"""Of `generation_config.speed`; the Realtime protocol allows 0.25 to 1.5."""

IDLE_S: Final = 240.0
"""The service closes a connection on which nothing was asked for five minutes."""

_ENCODINGS: Final[dict[Encoding, RawEncoding]] = {
    Encoding.PCM16: "pcm_s16le",
    Encoding.ULAW: "pcm_mulaw",
    Encoding.ALAW: "pcm_alaw",
}
_RATES_HZ: Final[dict[int, Literal[8000, 16000, 24000]]] = {8_000: 8000, 16_000: 16000, 24_000: 24000}


def voice(source: Source) -> Voice:
    """A new one. Raises `ProviderError` without a key, and for options that are not as they should be."""
    return CartesiaVoice(source)


@dataclass(slots=True)
class _Context:
    """A context of the service: as much of an answer as it speaks in one breath."""

    request: GenerationRequestParam
    """What every input of it repeats (Contexts: "Inputs on the same context must keep all fields except transcript,
    continue, and duration the same")."""
    clauses_before: int = 0
    """Of the answer, in earlier contexts."""
    clauses: int = 0
    begins_ms: float = 0.0
    """Into the answer: the service counts from the context's first sample."""
    is_ended: bool = False
    """Its last input was sent."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def input(self, transcript: str, *, goes_on: bool) -> GenerationRequestParam:
        return {**self.request, "context_id": self.id, "transcript": transcript, "continue": goes_on}

    def renew(self, begins_ms: float) -> None:
        """The next clause begins another one."""
        self.clauses_before += self.clauses
        self.clauses, self.begins_ms, self.id = 0, begins_ms, uuid.uuid4().hex


class CartesiaVoice:
    """The `Voice` of this file. `voice` is a voice's id, a UUID."""

    skills = VoiceSkills(joins_clauses=True, has_word_times=True)
    formats: tuple[AudioFormat, ...] = (PCMU, PCMA, PCM_24K, PCM_16K, PCM_8K)

    def __init__(self, source: Source) -> None:
        source.no_options("voice", "trim_silence", "volume")
        self.name = source.label
        self._key = source.key(KEY_SETTING)
        self._model = NEWEST if source.model == FAMILY else source.model or MODEL
        self._voice = text(source, "voice", VOICE)
        self._volume = number(source, "volume", least=0.5, most=2.0)
        self._trims_silence = flag(source, "trim_silence", True)
        self._language = (source.agent.language or "").partition("-")[0].lower()
        base_url = source.base_url or BASE_URL
        self._client = AsyncCartesia(
            api_key=self._key,
            base_url=base_url,  # else the SDK reads it from the environment
            websocket_base_url="ws" + base_url.removeprefix("http") if base_url.startswith("http") else base_url,
        )
        self._connections = WarmConnections(self.name, self._connect, is_open=_is_open, idle_s=IDLE_S)

    async def prepare(self) -> None:
        """See `Prepares`."""
        await self._connections.prepare()

    async def aclose(self) -> None:
        """See `Closes`."""
        await self._connections.aclose()
        await self._client.close()

    async def knows(self, voice: str) -> bool:
        """See `KnowsVoices`: whether it looks like an id. That it exists only the service knows."""
        try:
            return str(uuid.UUID(voice)) == voice.lower()
        except ValueError:
            return False

    async def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        """See `Voice`. Raises `ProviderError` for another format."""
        if format not in self.formats:
            raise ProviderError(self.name, f"speaks {self.formats}, not {format}", retryable=False)
        first = await anext(clauses, None)
        if first is None:
            return
        answer = SpokenAnswer(format, trims_silence=self._trims_silence)
        context = _Context(self._request(format, voice or self._voice, speed))
        async with self._connections.lease() as lease:
            connection = lease.connection
            telling = self._tell(connection, context, answer, first, clauses)
            try:
                async with aclosing(received_while(telling, lambda: self._receive(connection))) as messages:
                    async for message in messages:
                        is_over = self._take(message, context, answer)
                        if piece := answer.made():
                            yield piece
                        if is_over:
                            break
                if answer.lacks_sound:
                    raise ProviderError(self.name, "finished without a sample of sound", retryable=True)
                if piece := answer.end():
                    yield piece
                lease.is_reusable = True
            finally:
                if not lease.is_reusable:
                    # Closed as well: what the service has begun it goes on sending, and nobody would read it.
                    await say_goodbye(lambda: connection.send({"context_id": context.id, "cancel": True}))

    async def _tell(
        self,
        connection: AsyncTTSResourceConnection,
        context: _Context,
        answer: SpokenAnswer,
        first: str,
        clauses: AsyncIterator[str],
    ) -> bool:
        """Send each clause as it comes, then the end. Whether an answer is still owed."""
        clause: str | None = first
        try:
            while clause is not None:
                if clause.strip():
                    answer.tell(clause)
                    context.clauses += 1
                    # Contexts: "Transcripts are concatenated verbatim", so each ends with the space between.
                    await connection.send(context.input(clause.strip() + " ", goes_on=True))
                clause = await anext(clauses, None)
            if context.clauses:
                context.is_ended = True
                await connection.send(context.input("", goes_on=False))
        except ConnectionClosed:
            return True  # whoever receives learns why
        return bool(context.clauses)

    async def _receive(self, connection: AsyncTTSResourceConnection) -> dict[str, Any]:
        with self._faults():
            return json_object(self.name, await connection.recv_bytes())

    def _take(self, message: dict[str, Any], context: _Context, answer: SpokenAnswer) -> bool:
        """Put what came into `answer`. Whether that was the last of it."""
        kind = message.get("type")
        if message.get("context_id") != context.id and not (kind == "error" and not message.get("context_id")):
            return False  # of a context before this one
        match kind:
            case "chunk":
                answer.sound(sound_of(self.name, message.get("data")))
            case "timestamps":
                self._time(message.get("word_timestamps"), context, answer)
            case "flush_done":
                if isinstance(flush_id := message.get("flush_id"), int):
                    answer.end_clauses(context.clauses_before + min(flush_id, context.clauses))
            case "error":
                raise self._error(message)
            case "done":
                return self._is_over(context, answer)
            case "phoneme_timestamps":
                pass
            case _:
                raise garbage(self.name, f"a message of type {quoted(kind, self._key)!r}")
        return False

    def _is_over(self, context: _Context, answer: SpokenAnswer) -> bool:
        """The context is done: was it the last? Contexts: they "expire 1 second after the last audio output is
        streamed out", which a thinking model easily lets pass."""
        if not context.is_ended:
            context.renew(answer.received_ms)
        return context.is_ended

    def _time(self, words: object, context: _Context, answer: SpokenAnswer) -> None:
        match words:
            case {"words": list(pieces), "start": list(starts)} if len(pieces) == len(starts):
                for piece, start_s in zip(pieces, starts, strict=True):
                    if not isinstance(start_s, int | float):
                        raise garbage(self.name, "a word's time that is no number")
                    answer.time(str(piece), context.begins_ms + start_s * 1000)
            case None:
                pass
            case _:
                raise garbage(self.name, "word timestamps without words and times")

    def _request(self, format: AudioFormat, voice: str, speed: float) -> GenerationRequestParam:
        request: GenerationRequestParam = {
            "context_id": "",
            "model_id": self._model,
            "transcript": "",
            "voice": {"id": voice},
            "output_format": {
                "container": "raw",
                "encoding": _ENCODINGS[format.encoding],
                "sample_rate": _RATES_HZ[format.rate_hz],
            },
            "add_timestamps": True,
            # What was told, not how it is pronounced: the words are matched with those of the clauses.
            "use_normalized_timestamps": False,
            # Clauses are cut already; the service is not to wait for more.
            "max_buffer_delay_ms": 0,
        }
        if self._language:
            request["language"] = self._language
        if speed != 1.0:
            request["generation_config"] = {"speed": min(FASTEST, max(SLOWEST, speed))}
        if self._volume is not None:
            request["generation_config"] = {**request.get("generation_config", {}), "volume": self._volume}
        return request

    def _error(self, message: dict[str, Any]) -> ProviderError:
        status = message.get("status_code")
        said = " ".join(str(message[name]) for name in ("title", "message", "error") if message.get(name))
        code = message.get("error_code") or status or "without a code"
        retryable = is_retryable(status) if isinstance(status, int) else True
        return ProviderError(self.name, f"error {code}: {quoted(said, self._key)}", retryable=retryable)

    def _faults(self) -> AbstractContextManager[None]:
        return socket_faults(self.name, self._key)

    @asynccontextmanager
    async def _connect(self) -> AsyncGenerator[AsyncTTSResourceConnection, None]:
        async with AsyncExitStack() as stack:
            with self._faults():
                opening = self._client.tts.websocket_connect(
                    websocket_connection_options={"max_size": MOST_MESSAGE_BYTES, "compression": None}
                )
                connection = await stack.enter_async_context(opening)
            yield connection


def _is_open(connection: AsyncTTSResourceConnection) -> bool:
    # The SDK has no way to ask; its own `send` looks at the same attribute.
    return connection._connection.state is State.OPEN
