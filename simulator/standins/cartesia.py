"""A stand-in for Cartesia's speech on a WebSocket: `/tts/websocket`, on loopback. It hums instead of speaking.

Cartesia's own SDK talks to it unmodified (`AsyncCartesia(base_url="http://127.0.0.1:…",
websocket_base_url="ws://127.0.0.1:…")`). Wire: https://docs.cartesia.ai/api-reference/tts/websocket.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from simulator.standins.fault import Faults
from simulator.standins.latency import Latency, seconds_of
from simulator.standins.recital import Chunk, Recital, SoundForm, TimedText
from simulator.standins.tone import HUM_HZ, WORD_MS
from simulator.standins.voice_contexts import PACE, SpokenSocket, VoiceContext, refusal_at_handshake

PATH: Final = "/tts/websocket"

EXPIRES_S: Final = 1.0
"""Contexts: they "expire 1 second after the last audio output is streamed out"."""

LEAD_MS: Final = 150
"""Silence in front of a context's first word."""

_ENCODINGS: Final = {"pcm_s16le": "pcm", "pcm_mulaw": "ulaw", "pcm_alaw": "alaw"}
_RATES_HZ: Final = frozenset({8_000, 16_000, 22_050, 24_000, 44_100, 48_000})
_MAY_CHANGE: Final = frozenset({"transcript", "continue", "duration", "flush"})


def app(faults: Faults, *, delay_s: float = 0.0) -> ASGIApp:
    """One whose contexts make their first sound after `delay_s`."""
    return CartesiaStandin(faults, delay_s=delay_s)


@dataclass(frozen=True, slots=True)
class Wording:
    """See `voice_contexts.Wording`."""

    context_id: str
    has_times: bool
    has_flushes: bool
    """Without buffering each transcript is a flush of its own."""
    flushes: list[int] = field(default_factory=lambda: [0])

    def chunk(self, chunk: Chunk) -> list[dict[str, Any]]:
        data = base64.b64encode(chunk.audio).decode()
        return [self._message("chunk", data=data, step_time=1.0)]

    def words(self, words: list[TimedText]) -> list[dict[str, Any]]:
        if not self.has_times:
            return []
        times = {
            "words": [word.text for word in words],
            "start": [word.start_ms / 1000 for word in words],
            "end": [word.end_ms / 1000 for word in words],
        }
        return [self._message("timestamps", word_timestamps=times)]

    def text_is_spoken(self) -> list[dict[str, Any]]:
        if not self.has_flushes:
            return []
        self.flushes[0] += 1
        return [self._message("flush_done", flush_done=True, flush_id=self.flushes[0])]

    def end(self) -> list[dict[str, Any]]:
        return [{"type": "done", "done": True, "status_code": 200, "context_id": self.context_id}]

    def _message(self, kind: str, **more: object) -> dict[str, Any]:
        return {"type": kind, "done": False, "status_code": 206, "context_id": self.context_id, **more}


@dataclass(slots=True)
class _Running:
    request: dict[str, Any]
    context: VoiceContext
    speaking: asyncio.Task[None]


class CartesiaStandin:
    """An ASGI application. `sent` has every message it was sent, in the order they came; `cancelled` and `expired`,
    the contexts that ended before they were told to; `keys`, what each connection authorised itself with."""

    def __init__(
        self,
        faults: Faults,
        *,
        delay_s: float | Latency = 0.0,
        word_ms: int = WORD_MS,
        pace: float = PACE,
        expires_s: float = EXPIRES_S,
        lead_ms: int = LEAD_MS,
        pitch_hz: Callable[[str], int] = lambda _: HUM_HZ,
    ) -> None:
        """`pitch_hz`: how high it hums what begins with this text."""
        self._faults = faults
        self._delay_s = delay_s
        self._word_ms = word_ms
        self._pace = pace
        self._expires_s = expires_s
        self._lead_ms = lead_ms
        self._pitch_hz = pitch_hz
        self.sent: list[dict[str, Any]] = []
        self.cancelled: list[str] = []
        self.expired: list[str] = []
        self.keys: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await JSONResponse({"title": "Not found"}, 404)(scope, receive, send)
            return
        websocket = WebSocket(scope, receive, send)
        await websocket.receive()  # `websocket.connect`
        if refusal := self._refusal(websocket):
            await websocket.send_denial_response(refusal)
            return
        await websocket.accept()
        async with asyncio.TaskGroup() as contexts:
            await self._serve(SpokenSocket(websocket), contexts)

    def _refusal(self, websocket: WebSocket) -> JSONResponse | None:
        headers, query = websocket.headers, websocket.query_params
        key = headers.get("authorization", "").removeprefix("Bearer ").strip()
        key = key or headers.get("x-api-key", "") or query.get("api_key", "")
        if websocket.scope["path"] != PATH:
            return JSONResponse({"title": "Not found"}, 404)
        if refusal := refusal_at_handshake(self._faults):
            return refusal
        if not key:
            return JSONResponse({"title": "Unauthorized"}, 401)
        if not (headers.get("cartesia-version") or query.get("cartesia_version")):
            return JSONResponse({"title": "No version", "message": "expected the header cartesia-version"}, 400)
        self.keys.append(key)
        return None

    async def _serve(self, socket: SpokenSocket, contexts: asyncio.TaskGroup) -> None:
        running: dict[str, _Running] = {}
        while (message := await socket.receive()) is not None:
            self.sent.append(message)
            if fault := _fault_of(message, running):
                await socket.say(_error(message, fault))
            elif message.get("cancel"):
                self._cancel(str(message["context_id"]), running)
            else:
                await self._hear(message, socket, contexts, running)
        for one in running.values():
            one.speaking.cancel()

    def _cancel(self, context_id: str, running: dict[str, _Running]) -> None:
        one = running.get(context_id)
        if one is not None and not one.speaking.done():
            one.speaking.cancel()
            self.cancelled.append(context_id)

    async def _hear(
        self,
        message: dict[str, Any],
        socket: SpokenSocket,
        contexts: asyncio.TaskGroup,
        running: dict[str, _Running],
    ) -> None:
        context_id = message["context_id"]
        one = running.get(context_id)
        if one is None:
            context = self._context(message, socket)
            speaking = contexts.create_task(self._speak(context_id, context))
            one = running[context_id] = _Running(message, context, speaking)
        if message["transcript"]:
            await one.context.tell(message["transcript"])
        if not message.get("continue"):
            await one.context.tell(None)

    async def _speak(self, context_id: str, context: VoiceContext) -> None:
        await context.speak(expires_s=self._expires_s)
        if context.has_expired:
            self.expired.append(context_id)

    def _context(self, message: dict[str, Any], socket: SpokenSocket) -> VoiceContext:
        fault, asked = self._faults.take(), message["output_format"]
        form = SoundForm(_ENCODINGS[asked["encoding"]], asked["sample_rate"])
        speed = (message.get("generation_config") or {}).get("speed") or 1.0
        text = message["transcript"]
        recital = Recital(
            form,
            fault,
            word_ms=self._word_ms,
            lead_ms=self._lead_ms,
            speed=speed,
            hum_hz=self._pitch_hz(text),
        )
        has_flushes = message.get("max_buffer_delay_ms") == 0
        wording = Wording(message["context_id"], bool(message.get("add_timestamps")), has_flushes)
        delay_s = seconds_of(self._delay_s, text)
        return VoiceContext(socket, wording, recital, fault, delay_s=delay_s, pace=self._pace)


def _fault_of(message: dict[str, Any], running: dict[str, _Running]) -> str:
    """What is wrong with a message; empty if nothing is."""
    context_id = message.get("context_id")
    if not isinstance(context_id, str) or not context_id:
        return "context_id is required"
    if message.get("cancel"):
        return ""
    asked = message.get("output_format") or {}
    voice = message.get("voice")
    for name, is_right in {
        "model_id": bool(message.get("model_id")),
        "transcript": isinstance(message.get("transcript"), str),
        "voice": bool(voice.get("id") if isinstance(voice, dict) else voice),
        "output_format.container": asked.get("container") == "raw",
        "output_format.encoding": asked.get("encoding") in _ENCODINGS,
        "output_format.sample_rate": asked.get("sample_rate") in _RATES_HZ,
    }.items():
        if not is_right:
            return f"{name} is missing or not supported"
    return _changed(message, running.get(context_id))


def _changed(message: dict[str, Any], one: _Running | None) -> str:
    if one is None:
        return ""
    if one.speaking.done() or one.context.is_over:
        return "the context has expired"
    names = (one.request.keys() | message.keys()) - _MAY_CHANGE
    changed = sorted(name for name in names if one.request.get(name) != message.get(name))
    return f"inputs of one context differ in {', '.join(changed)}" if changed else ""


def _error(message: dict[str, Any], what: str) -> dict[str, Any]:
    return {
        "type": "error",
        "done": True,
        "title": "Invalid request",
        "message": what,
        "error_code": "invalid_request",
        "status_code": 400,
        "context_id": message.get("context_id"),
    }
