"""A stand-in for Deepgram's live speech-to-text: `/v1/listen` (Nova) and `/v2/listen` (Flux), on loopback.

It understands nothing: it hears where there is voice, and says what its script says, as the service would say it.
Deepgram's own SDK talks to it unmodified (`DeepgramClientEnvironment(production="ws://127.0.0.1:…")`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from simulator.standins.deepgram_flux import FluxTurns
from simulator.standins.deepgram_query import BadQueryError, Query, read_v1, read_v2
from simulator.standins.deepgram_v1 import LiveResults
from simulator.standins.deepgram_wire import DRIP_S, Heard, Wire
from simulator.standins.deepgram_words import ScriptedWords, Words
from simulator.standins.fault import HANDSHAKE_STATUS, Fault, Faults
from simulator.standins.latency import Latency

SCRIPT: Final = ("What are your opening hours on Saturday?", "Thank you, goodbye.")

IDLE_S: Final = 10.0
"""After this time without sound or `KeepAlive`, `/v1/listen` is closed (Deepgram's "Audio Keep Alive").
Flux counts pings too, which WebSocket libraries send by themselves, so here it waits for ever."""


_READERS: Final = {"/v1/listen": read_v1, "/v2/listen": read_v2}


def app(faults: Faults, *, delay_s: float = 0.0) -> ASGIApp:
    """One that says `SCRIPT`; its final results take `delay_s`."""
    return deepgram_app(SCRIPT, faults, delay_s=delay_s)


def deepgram_app(
    script: Sequence[str],
    faults: Faults,
    *,
    delay_s: float | Latency = 0.0,
    drip_s: float = DRIP_S,
    idle_s: float = IDLE_S,
    understand: Callable[[str], Words] = ScriptedWords,
) -> DeepgramStandin:
    """One that says the transcripts of `script` in order, one for each utterance (Flux: each turn), over and over.

    A handshake takes its fault when it comes, anything else when its voice begins: spare connections take none.
    `understand` makes of a transcript what says it as it hears; on `/v1/listen` only.
    """
    return DeepgramStandin(script, faults, delay_s=delay_s, drip_s=drip_s, idle_s=idle_s, understand=understand)


class DeepgramStandin:
    """An ASGI application. `heard` has what each connection sent, in the order they came."""

    def __init__(
        self,
        script: Sequence[str],
        faults: Faults,
        *,
        delay_s: float | Latency,
        drip_s: float,
        idle_s: float,
        understand: Callable[[str], Words] = ScriptedWords,
    ) -> None:
        self._script = cycle(script)
        self._faults = faults
        self._delay_s = delay_s
        self._drip_s = drip_s
        self._idle_s = idle_s
        self._understand = understand
        self.heard: list[Heard] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _refusal(404, "INVALID_URI", "this stand-in speaks WebSocket only")(scope, receive, send)
            return
        websocket = WebSocket(scope, receive, send)
        await websocket.receive()  # `websocket.connect`
        query = await self._admit(websocket)
        if query is not None:
            await self._serve(websocket, query)

    async def _admit(self, websocket: WebSocket) -> Query | None:
        """The query of a connection that is let in; who is not gets an HTTP answer."""
        path = websocket.url.path
        fault = self._faults.take_at_handshake()
        scheme, _, key = websocket.headers.get("authorization", "").partition(" ")
        if path not in _READERS:
            refusal = _refusal(404, "INVALID_URI", f"there is no {path}")
        elif fault is not None:
            refusal = _refusal(HANDSHAKE_STATUS[fault], "FAULT", f"told to be {fault.value}")
        elif scheme.lower() not in ("token", "bearer") or not key.strip():
            refusal = _refusal(401, "INVALID_AUTH", "expected Authorization: Token …")
        else:
            try:
                return _READERS[path](websocket.query_params.multi_items())
            except BadQueryError as error:
                refusal = _refusal(400, "INVALID_QUERY_PARAMETER", str(error))
        await websocket.send_denial_response(refusal)
        return None

    async def _serve(self, websocket: WebSocket, query: Query) -> None:
        path = websocket.url.path
        asked: dict[str, list[str]] = {}
        for name, value in websocket.query_params.multi_items():
            asked.setdefault(name, []).append(value)
        heard = Heard(path, asked, websocket.headers["authorization"])
        self.heard.append(heard)
        await websocket.accept()
        wire = Wire(websocket, heard, delay_s=self._delay_s, drip_s=self._drip_s)
        if path == "/v1/listen":
            results = LiveResults(query, wire, self._next_utterance, self._understand)
            await self._listen(results, wire, self._idle_s)
        else:
            turns = FluxTurns(query, wire, self._next_utterance)
            await turns.greet()
            await self._listen(turns, wire, None)

    async def _listen(self, listener: LiveResults | FluxTurns, wire: Wire, idle_s: float | None) -> None:
        while True:
            try:
                message = await wire.receive(idle_s)
            except TimeoutError:
                await wire.close(1011, "NET-0001: neither audio nor a text message within the timeout window")
                return
            match message:
                case None:
                    return
                case bytes():
                    await listener.hear(message)
                case _:
                    await listener.obey(message)

    def _next_utterance(self) -> tuple[str, Fault]:
        fault = self._faults.take()
        return ("" if fault is Fault.ZERO_AUDIO else next(self._script)), fault


def _refusal(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"err_code": code, "err_msg": message, "request_id": "stand-in"}, status)
