"""A stand-in for ElevenLabs' speech on WebSockets, on loopback. It hums instead of speaking.

It has `/v1/text-to-speech/{voice}/multi-stream-input`, and `/stream-input`, which ElevenLabs' own SDK speaks.

Wire: https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input.
"""

from __future__ import annotations

import asyncio
import base64
import re
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from simulator.standins.fault import Faults
from simulator.standins.recital import Chunk, Recital, SoundForm, TimedText
from simulator.standins.tone import WORD_MS
from simulator.standins.voice_contexts import PACE, SpokenSocket, VoiceContext, refusal_at_handshake

MOST_CONTEXTS: Final = 5
"""At once on one connection; who opens a sixth is closed with 1008."""

BUFFER_CHARS: Final = 120
"""Without `auto_mode` text waits for so many characters or a flush (`chunk_length_schedule`, its first default)."""

INACTIVITY_S: Final = 20
LEAD_MS: Final = 200
"""Silence in front of a context's first word."""

_PATH: Final = re.compile(r"/v1/text-to-speech/(?P<voice>[^/]+)/(?P<kind>multi-stream-input|stream-input)")
_FORM: Final = re.compile(r"(?P<encoding>pcm|ulaw|alaw)_(?P<rate>8000|16000|22050|24000|44100|48000)")
_FIRST_ONLY: Final = ("voice_settings", "generation_config", "pronunciation_dictionary_locators")
_ONLY_CONTEXT: Final = ""
"""The id of the context of `/stream-input`, which has no other."""


def app(faults: Faults, *, delay_s: float = 0.0) -> ASGIApp:
    """One whose contexts make their first sound after `delay_s`."""
    return ElevenLabsStandin(faults, delay_s=delay_s)


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection as it was asked for, for whoever wants to know afterwards."""

    voice: str
    query: dict[str, str]
    key: str


@dataclass(frozen=True, slots=True)
class Wording:
    """See `voice_contexts.Wording`."""

    context_id: str

    def chunk(self, chunk: Chunk) -> list[dict[str, Any]]:
        times = {
            "chars": [char.text for char in chunk.chars],
            # "relative to the returned chunk from the model, and not the full audio response"
            "charStartTimesMs": [round(char.start_ms - chunk.start_ms) for char in chunk.chars],
            "charDurationsMs": [round(char.end_ms - char.start_ms) for char in chunk.chars],
        }
        alignment = times if chunk.chars else None
        audio = base64.b64encode(chunk.audio).decode()
        return [self._message(audio=audio, alignment=alignment, normalizedAlignment=alignment, isFinal=None)]

    def words(self, words: list[TimedText]) -> list[dict[str, Any]]:
        return []

    def text_is_spoken(self) -> list[dict[str, Any]]:
        return []

    def end(self) -> list[dict[str, Any]]:
        return [self._message(audio=None, isFinal=True)]

    def _message(self, **what: object) -> dict[str, Any]:
        return {**what, "contextId": self.context_id} if self.context_id else what


@dataclass(slots=True)
class _Running:
    context: VoiceContext
    speaking: asyncio.Task[None]
    waiting: str = ""
    """Text that is not yet enough to be spoken."""
    is_flushed: bool = False
    """All that it was told is to be spoken, even if it is closed."""


class ElevenLabsStandin:
    """An ASGI application. `sent` has every message it was sent, in the order they came; `opened`, how each
    connection was; `cut_short`, the contexts that were closed while they might have had something to say."""

    def __init__(
        self,
        faults: Faults,
        *,
        delay_s: float = 0.0,
        word_ms: int = WORD_MS,
        pace: float = PACE,
        lead_ms: int = LEAD_MS,
    ) -> None:
        self._faults = faults
        self._delay_s = delay_s
        self._word_ms = word_ms
        self._pace = pace
        self._lead_ms = lead_ms
        self.sent: list[dict[str, Any]] = []
        self.opened: list[Opened] = []
        self.cut_short: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await JSONResponse({"detail": "Not Found"}, 404)(scope, receive, send)
            return
        websocket = WebSocket(scope, receive, send)
        await websocket.receive()  # `websocket.connect`
        path = _PATH.fullmatch(websocket.scope["path"])
        if path is None:
            await websocket.send_denial_response(JSONResponse({"detail": "Not Found"}, 404))
            return
        admitted = self._admit(websocket, path["voice"])
        if isinstance(admitted, JSONResponse):
            await websocket.send_denial_response(admitted)
            return
        await websocket.accept()
        async with asyncio.TaskGroup() as contexts:
            connection = _Connection(
                self, SpokenSocket(websocket), contexts, admitted, dict(websocket.query_params)
            )
            await (connection.serve_many() if path["kind"] == "multi-stream-input" else connection.serve_one())

    def _admit(self, websocket: WebSocket, voice: str) -> SoundForm | JSONResponse:
        """The form of sound that a connection is let in for, or the HTTP answer to who is not."""
        if refusal := refusal_at_handshake(self._faults):
            return refusal
        key = websocket.headers.get("xi-api-key", "") or websocket.query_params.get("authorization", "")
        if not key:
            return JSONResponse({"detail": {"status": "needs_authorization"}}, 401)
        form = _FORM.fullmatch(websocket.query_params.get("output_format", "mp3_44100_128"))
        if form is None:
            return JSONResponse({"detail": "output_format: this stand-in has pcm, ulaw and alaw only"}, 400)
        self.opened.append(Opened(voice, dict(websocket.query_params), key))
        return SoundForm(form["encoding"], int(form["rate"]))

    def context(
        self, context_id: str, message: dict[str, Any], form: SoundForm, socket: SpokenSocket
    ) -> VoiceContext:
        """The context that `message` opens, with a fault of its own."""
        fault = self._faults.take()
        speed = (message.get("voice_settings") or {}).get("speed") or 1.0
        recital = Recital(form, fault, word_ms=self._word_ms, lead_ms=self._lead_ms, speed=speed)
        return VoiceContext(socket, Wording(context_id), recital, fault, delay_s=self._delay_s, pace=self._pace)


class _Connection:
    """One connection of the stand-in's."""

    def __init__(
        self,
        standin: ElevenLabsStandin,
        socket: SpokenSocket,
        tasks: asyncio.TaskGroup,
        form: SoundForm,
        query: dict[str, str],
    ) -> None:
        self._standin = standin
        self._socket = socket
        self._tasks = tasks
        self._form = form
        self._speaks_at_once = query.get("auto_mode", "false").lower() == "true"
        self._idle_s = float(query.get("inactivity_timeout", INACTIVITY_S))
        self._running: dict[str, _Running] = {}
        self._speaking: set[asyncio.Task[None]] = set()
        """Those that were closed among them: told all there is, they speak on until the connection ends."""

    async def serve_many(self) -> None:
        """`/multi-stream-input`."""
        while (message := await self._message()) is not None:
            context_id = str(message.get("context_id") or message.get("contextId") or "default")
            if message.get("close_socket"):
                await self._end_all()
                break
            if message.get("close_context"):
                await self._close(context_id)
            elif not await self._hear(context_id, message):
                break
        self._stop()

    async def serve_one(self) -> None:
        """`/stream-input`: an empty text ends it."""
        while (message := await self._message()) is not None:
            if message.get("text") == "":
                await self._end_all()
                break
            if not await self._hear(_ONLY_CONTEXT, message):
                break
        self._stop()

    async def _message(self) -> dict[str, Any] | None:
        try:
            message = await self._socket.receive(self._idle_s)
        except TimeoutError:
            await self._refuse("input_timeout_exceeded", f"no text for {self._idle_s:g} seconds")
            return None
        if message is not None:
            self._standin.sent.append(message)
        if message == {}:
            await self._refuse("invalid_input_message", "that was no JSON object")
            return None
        return message

    async def _hear(self, context_id: str, message: dict[str, Any]) -> bool:
        """A text or a flush. Whether the connection goes on."""
        one, text = self._running.get(context_id), message.get("text")
        if text is not None and not isinstance(text, str):
            return await self._refuse("invalid_input_message", "text is no string")
        if one is None:
            if not text:
                return True  # keeps alive, or flushes what is not there
            one = await self._open(context_id, message)
        elif any(message.get(name) for name in _FIRST_ONLY):
            return await self._refuse("invalid_voice_settings", "settings belong to a context's first message")
        if one is None:
            return False
        one.waiting += text or ""
        one.is_flushed = bool(message.get("flush"))
        if one.is_flushed or self._speaks_at_once or len(one.waiting) >= BUFFER_CHARS:
            await self._speak(one)
        return True

    async def _open(self, context_id: str, message: dict[str, Any]) -> _Running | None:
        open_ones = [one for one in self._running.values() if not one.speaking.done()]
        if len(open_ones) >= MOST_CONTEXTS:
            await self._refuse("max_active_conversations", f"more than {MOST_CONTEXTS} contexts at once")
            return None
        context = self._standin.context(context_id, message, self._form, self._socket)
        speaking = self._tasks.create_task(context.speak())
        self._speaking.add(speaking)
        speaking.add_done_callback(self._speaking.discard)
        one = self._running[context_id] = _Running(context, speaking)
        return one

    async def _speak(self, one: _Running) -> None:
        text, one.waiting = one.waiting, ""
        if text.strip():
            await one.context.tell(text)

    async def _close(self, context_id: str) -> None:
        one = self._running.pop(context_id, None)
        if one is None or one.speaking.done():
            return
        if one.is_flushed:
            await one.context.tell(None)
            return
        one.speaking.cancel()
        self._standin.cut_short.append(context_id)
        for message in Wording(context_id).end():
            await self._socket.say(message)

    async def _end_all(self) -> None:
        """Let every context say what it has, then close."""
        for one in self._running.values():
            await self._speak(one)
            await one.context.tell(None)
        await asyncio.gather(*(one.speaking for one in self._running.values()))
        await self._socket.close(1000)

    async def _refuse(self, error: str, why: str) -> bool:
        await self._socket.say({"message": why, "error": error, "code": 1008})
        await self._socket.close(1008, why)
        return False

    def _stop(self) -> None:
        for speaking in self._speaking:
            speaking.cancel()
