"""ElevenLabs' voices: one context per answer on the multi-context WebSocket, with the times of its characters.

The SDK has the messages but no client for this socket, so it is spoken here with `websockets`. Wire: ElevenLabs,
"Multi-Context WebSocket", https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input.

    tts = "elevenlabs/eleven_flash_v2_5"   # ELEVENLABS_API_KEY; what stands behind the slash is `model_id`
    [providers.elevenlabs]                 # may be left out, and so may each line of it
    voice = "JBFqnCBsd6RMkjVDRZzb"         # a voice's id
    stability = 0.5                        # as well as similarity_boost and style, 0 to 1
    trim_silence = true                    # take off the silence in front of an answer
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any, Final
from urllib.parse import quote, urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, PCMA, PCMU, AudioFormat
from pipeline.provider import ProviderError, Speech, Voice, VoiceSkills
from pipeline.providers.full_duplex import received_while
from pipeline.providers.socket_faults import (
    MOST_MESSAGE_BYTES,
    garbage,
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

_frames: Final = logging.getLogger(f"{__name__}.frames")
_frames.setLevel(logging.WARNING)  # below, the library writes down every header, the key's too

KEY_SETTING: Final = "ELEVENLABS_API_KEY"
BASE_URL: Final = "https://api.elevenlabs.io"
MODEL: Final = "eleven_flash_v2_5"
"""The service's fastest."""
VOICE: Final = "JBFqnCBsd6RMkjVDRZzb"
"""The voice of the SDK's own examples."""

SLOWEST, FASTEST = 0.7, 1.2
"""Of `voice_settings.speed`; the Realtime protocol allows 0.25 to 1.5."""

INACTIVITY_S: Final = 180
"""The longest `inactivity_timeout` that the service accepts; its own is 20."""
IDLE_S: Final = 170.0

MOST_ROUTES: Final = 8
"""Voices and formats for which connections are kept: both stand in the address, and a client may name any voice."""

_FORMATS: Final = {
    PCMU: "ulaw_8000",
    PCMA: "alaw_8000",
    PCM_24K: "pcm_24000",
    PCM_16K: "pcm_16000",
    PCM_8K: "pcm_8000",
}
_SETTINGS: Final = ("stability", "similarity_boost", "style")

_TELLS_LANGUAGE: Final = re.compile(r"eleven_(flash|turbo)_v2_5|eleven_v3.*")
"""Other models find the language by themselves and refuse to be told."""

_LOOKS_LIKE_ID: Final = re.compile(r"[A-Za-z0-9]{16,40}")

_NO_SECOND_TRY: Final = frozenset(
    {
        "invalid_api_key",
        "invalid_input_message",
        "invalid_voice_settings",
        "missing_permissions",
        "model_not_found",
        "payment_required",
        "quota_exceeded",
        "unusual_activity",
        "voice_id_does_not_exist",
        "voice_not_found",
    }
)
"""Names of errors that stay what they are; any other may pass."""


def voice(source: Source) -> Voice:
    """A new one. Raises `ProviderError` without a key, and for options that are not as they should be."""
    return ElevenLabsVoice(source)


@dataclass(slots=True)
class _Context:
    """A context of the service: one answer."""

    connection: ClientConnection
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    is_ended: bool = False
    """It was told that there is no more."""

    async def send(self, **message: object) -> None:
        await self.connection.send(json.dumps({**message, "context_id": self.id}))


class ElevenLabsVoice:
    """The `Voice` of this file. `voice` is a voice's id: letters and digits."""

    skills = VoiceSkills(joins_clauses=True, has_word_times=True)
    formats: tuple[AudioFormat, ...] = tuple(_FORMATS)

    def __init__(self, source: Source) -> None:
        source.no_options("voice", "trim_silence", *_SETTINGS)
        self.name = source.label
        self._key = source.key(KEY_SETTING)
        self._model = source.model or MODEL
        self._voice = text(source, "voice", VOICE)
        self._trims_silence = flag(source, "trim_silence", True)
        asked = {name: number(source, name, least=0.0, most=1.0) for name in _SETTINGS}
        self._settings = {name: value for name, value in asked.items() if value is not None}
        self._language = (source.agent.language or "").partition("-")[0].lower()
        base_url = (source.base_url or BASE_URL).rstrip("/")
        self._base_url = "ws" + base_url.removeprefix("http") if base_url.startswith("http") else base_url
        self._routes: OrderedDict[str, WarmConnections[ClientConnection]] = OrderedDict()

    async def prepare(self) -> None:
        """See `Prepares`. Opens one for the telephone's format, the voice's own."""
        route = await self._route(self._voice, self.formats[0])
        await route.prepare()

    async def aclose(self) -> None:
        """See `Closes`."""
        while self._routes:
            await self._routes.popitem()[1].aclose()

    async def knows(self, voice: str) -> bool:
        """See `KnowsVoices`: whether it looks like an id. That it exists only the service knows."""
        return _LOOKS_LIKE_ID.fullmatch(voice) is not None

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
        route = await self._route(voice or self._voice, format)
        async with route.lease() as lease:
            context = _Context(lease.connection)
            telling = self._tell(context, answer, speed, first, clauses)
            try:
                receive = partial(self._receive, context.connection)
                async with aclosing(received_while(telling, receive)) as messages:
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
                    # Closed as well: a context that was told to flush goes on, and nobody would read it.
                    await say_goodbye(partial(context.send, close_context=True))

    async def _tell(
        self, context: _Context, answer: SpokenAnswer, speed: float, first: str, clauses: AsyncIterator[str]
    ) -> bool:
        """Send each clause as it comes, then the end. An answer is owed in any case."""
        clause: str | None = first
        try:
            # The first message of a context is a single space, and the only one that may have settings.
            await context.send(text=" ", voice_settings=self._voice_settings(speed))
            while clause is not None:
                if clause.strip():
                    answer.tell(clause)
                    await context.send(text=clause.strip() + " ")
                clause = await anext(clauses, None)
            context.is_ended = True
            # A context that is closed says no more, unless it was told to flush before.
            await context.send(flush=True)
            await context.send(close_context=True)
        except ConnectionClosed:
            pass  # whoever receives learns why
        return True

    async def _receive(self, connection: ClientConnection) -> dict[str, Any]:
        with socket_faults(self.name, self._key):
            return json_object(self.name, await connection.recv())

    def _take(self, message: dict[str, Any], context: _Context, answer: SpokenAnswer) -> bool:
        """Put what came into `answer`. Whether that was the last of it."""
        whose = message.get("contextId")
        if whose is not None and whose != context.id:
            return False
        if message.get("error"):
            raise self._error(message)
        if audio := message.get("audio"):
            # Alignment: "these times are relative to the returned chunk", which begins where all sound so far ends.
            begins_ms = answer.received_ms
            answer.sound(sound_of(self.name, audio))
            self._time(message.get("alignment"), begins_ms, answer)
        if not message.get("isFinal"):
            return False
        if not context.is_ended:
            raise ProviderError(self.name, "ended before it was told everything", retryable=True)
        return True

    def _time(self, alignment: object, begins_ms: float, answer: SpokenAnswer) -> None:
        match alignment:
            case None:
                return
            case {"chars": list(chars), "charStartTimesMs": list(starts)} if len(chars) == len(starts):
                pass
            case _:
                raise garbage(self.name, "an alignment without characters and times")
        if not all(isinstance(start, int | float) for start in starts):
            raise garbage(self.name, "a character's time that is no number")
        if starts and starts[0] > answer.received_ms - begins_ms:
            begins_ms = 0.0  # it lies behind its own sound: this model counts from the beginning of the answer
        for is_space, group in groupby(zip(chars, starts, strict=True), key=lambda timed: str(timed[0]).isspace()):
            piece = list(group)
            if not is_space:
                answer.time("".join(str(char) for char, _ in piece), begins_ms + piece[0][1])

    def _voice_settings(self, speed: float) -> dict[str, float]:
        return {**self._settings, "speed": min(FASTEST, max(SLOWEST, speed))}

    def _error(self, message: dict[str, Any]) -> ProviderError:
        name = str(message["error"])
        said = quoted(f"{name} {message.get('message') or ''}".strip(), self._key)
        return ProviderError(self.name, f"error {said}", retryable=name not in _NO_SECOND_TRY)

    async def _route(self, voice: str, format: AudioFormat) -> WarmConnections[ClientConnection]:
        """The connections that speak with this voice in this format; the one not used for longest makes room."""
        address = self._address(voice, format)
        route = self._routes.get(address)
        if route is None:
            connecting = partial(self._connect, address)
            route = WarmConnections(self.name, connecting, is_open=_is_open, idle_s=IDLE_S)
            self._routes[address] = route
        self._routes.move_to_end(address)
        if len(self._routes) > MOST_ROUTES:
            await self._routes.popitem(last=False)[1].aclose()
        return route

    def _address(self, voice: str, format: AudioFormat) -> str:
        query = {
            "model_id": self._model,
            "output_format": _FORMATS[format],
            # It speaks each text at once: clauses are cut already.
            "auto_mode": "true",
            "inactivity_timeout": str(INACTIVITY_S),
        }
        if self._language and _TELLS_LANGUAGE.fullmatch(self._model):
            query["language_code"] = self._language
        path = f"v1/text-to-speech/{quote(voice, safe='')}/multi-stream-input"
        return f"{self._base_url}/{path}?{urlencode(query)}"

    @asynccontextmanager
    async def _connect(self, address: str) -> AsyncGenerator[ClientConnection, None]:
        async with AsyncExitStack() as stack:
            with socket_faults(self.name, self._key):
                opening = connect(
                    address,
                    additional_headers={"xi-api-key": self._key},
                    logger=_frames,
                    max_size=MOST_MESSAGE_BYTES,
                    compression=None,
                )
                connection = await stack.enter_async_context(opening)
            yield connection


def _is_open(connection: ClientConnection) -> bool:
    return connection.state is State.OPEN
