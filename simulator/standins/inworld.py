"""A stand-in for Inworld: speech to text, text to speech and the router to language models, on loopback.

    WS   /stt/v1/transcribe:streamBidirectional     see `inworld_stt`
    WS   /tts/v1/voice:streamBidirectional          see `inworld_tts`
    POST /v1/chat/completions                       the OpenAI stand-in's
    GET  /voices/v1/voices                          the voices it knows

It understands nothing: it hears where there is voice and says what its script says. Any key is taken, as Basic or
Bearer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from simulator.standins import inworld_stt, inworld_tts
from simulator.standins.fault import HANDSHAKE_STATUS, Faults
from simulator.standins.inworld_stt import Listening
from simulator.standins.inworld_tts import Speaking
from simulator.standins.inworld_wire import DRIP_S, Heard, Wire
from simulator.standins.openai import OpenAIScript, OpenAIStandIn

SCRIPT: Final = ("What are your opening hours on Saturday?", "Thank you, goodbye.")

CHAT_PATH: Final = "/v1/chat/completions"
VOICES_PATH: Final = "/voices/v1/voices"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, in seconds."""

    transcript_s: float = 0.0
    """From the end of a turn to its final transcript."""
    first_byte_s: float = 0.0
    """From a text to its first sound."""
    drip_s: float = DRIP_S
    """Before each piece of a slow drip."""


def app(faults: Faults, *, delay_s: float = 0.0) -> ASGIApp:
    """The usual script; `delay_s` to a final transcript, the first token, the first sound."""
    pace = Pace(transcript_s=delay_s, first_byte_s=delay_s)
    return InworldStandIn(SCRIPT, faults, pace=pace, chat=OpenAIScript(first_token_s=delay_s))


class InworldStandIn:
    """An ASGI application. `heard` has what each connection sent, in the order they came; `router.asked` what the
    language model was asked.

    A handshake takes its fault when it comes; any other one waits for an utterance, a context or a request, so that
    spare connections take none.
    """

    def __init__(
        self,
        script: Sequence[str],
        faults: Faults,
        *,
        pace: Pace | None = None,
        chat: OpenAIScript | None = None,
    ) -> None:
        self.heard: list[Heard] = []
        self.router = OpenAIStandIn(chat or OpenAIScript(), faults)
        self._script = cycle(script)
        self._faults = faults
        self._pace = pace or Pace()
        self._app = Starlette(
            routes=[
                WebSocketRoute(inworld_stt.PATH, self._listen),
                WebSocketRoute(inworld_tts.PATH, self._speak),
                Route(VOICES_PATH, _voices),
                Mount("/", self._route),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def _listen(self, websocket: WebSocket) -> None:
        if (wire := await self._admit(websocket)) is not None:
            pace = self._pace
            listening = Listening(wire, self._faults, self._script, delay_s=pace.transcript_s, drip_s=pace.drip_s)
            await listening.serve()
            wire.heard.over.set()

    async def _speak(self, websocket: WebSocket) -> None:
        if (wire := await self._admit(websocket)) is not None:
            pace = self._pace
            await Speaking(wire, self._faults, delay_s=pace.first_byte_s, drip_s=pace.drip_s).serve()
            wire.heard.over.set()

    async def _admit(self, websocket: WebSocket) -> Wire | None:
        """Who is let in; who is not gets an HTTP answer."""
        fault = self._faults.take_at_handshake()
        # Browsers cannot set the header, and say the same in the query.
        said = websocket.headers.get("authorization") or websocket.query_params.get("authorization") or ""
        if fault is not None or not _is_key(said):
            status = HANDSHAKE_STATUS[fault] if fault is not None else 401
            await websocket.send_denial_response(_refusal(status, f"told to be {fault}" if fault else "no key"))
            return None
        await websocket.accept()
        heard = Heard(websocket.url.path, said)
        self.heard.append(heard)
        return Wire(websocket, heard)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        nowhere = _refusal(404, f"there is no {scope['path']}")
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(nowhere)
            return
        request = Request(scope, receive)
        if request.url.path != CHAT_PATH:
            await nowhere(scope, receive, send)
        elif not _is_key(request.headers.get("authorization", "")):
            await _refusal(401, "no key")(scope, receive, send)
        else:
            await self.router.app(scope, receive, send)


async def _voices(request: Request) -> Response:
    if not _is_key(request.headers.get("authorization", "")):
        return _refusal(401, "no key")
    return JSONResponse({"voices": [{"voiceId": name, "displayName": name} for name in inworld_tts.VOICES]})


def _is_key(authorization: str) -> bool:
    scheme, _, key = authorization.partition(" ")
    return scheme in ("Basic", "Bearer") and bool(key.strip())


def _refusal(status: int, message: str) -> JSONResponse:
    return JSONResponse({"code": 16 if status == 401 else 2, "message": message, "details": []}, status)
