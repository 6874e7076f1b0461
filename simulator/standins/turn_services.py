"""The three services of the benchmark of turns behind one port, as slow as real ones, and a ledger of their work.

/v1/listen              the Deepgram stand-in; it reads the subtitles of the sound
/v1/chat/completions    the OpenAI stand-in; tokens are counted as they are made, also those of cut streams
/tts/websocket          the Cartesia stand-in; what is no answer it hums an octave higher
/ledger                 what all of it came to
/readyz                 whether they are there
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator.standins.cartesia import CartesiaStandin
from simulator.standins.deepgram import deepgram_app
from simulator.standins.fault import Faults
from simulator.standins.latency import Latency
from simulator.standins.openai import OpenAIScript, openai_app
from simulator.standins.openai_chat import Json, Said, last_heard, words_of
from simulator.standins.subtitled_words import SubtitledWords
from simulator.standins.turn_ledger import Asked, TurnLedger, turn_of
from simulator.turn_call import ANSWER_HZ, FILLER_HZ

FIRST_CLAUSE: Final = "Thank you for asking, {turn}."
ANSWER: Final = f"{FIRST_CLAUSE} We are open from nine until half past five, and on Saturdays until noon."
"""It names the turn, so that what the voice is asked for is as much its own as what the model is."""

FIRST_CLAUSE_TOKENS: Final = len(FIRST_CLAUSE.split())
"""Gaps between tokens before the first clause is known to be whole: that it ends shows in the next word."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How slow the services are: medians, and their spread. Seconds."""

    stt_s: float = 0.150
    first_token_s: float = 0.300
    first_byte_s: float = 0.120
    token_s: float = 0.010
    stt_sigma: float = 0.2
    first_token_sigma: float = 0.25
    first_byte_sigma: float = 0.2
    slow_share: float = 0.05
    """Of requests to the model that take far longer."""
    slow_s: float = 1.5
    """At least; at most twice that."""

    @property
    def first_clause_s(self) -> float:
        """From the first token to the end of the first clause."""
        return self.token_s * FIRST_CLAUSE_TOKENS


class TurnServices:
    """An ASGI application. `texts` are the words of each turn by its number; `now` counts seconds."""

    def __init__(
        self, pace: Pace, texts: Mapping[int, str], fillers: Sequence[str], seed: int, now: Callable[[], float]
    ) -> None:
        self.ledger = TurnLedger()
        self._now = now
        self._fillers = tuple(fillers)
        partials = Latency(pace.stt_s, pace.stt_sigma, seed=seed)
        first_token = Latency(
            pace.first_token_s, pace.first_token_sigma, pace.slow_share, pace.slow_s, seed=seed + 1
        )
        script = OpenAIScript(answers=_answer, first_token_s=first_token, token_s=pace.token_s)
        self._apps: dict[str, ASGIApp] = {
            "/v1/listen": deepgram_app(
                ("",),
                Faults(),
                delay_s=Latency(pace.stt_s, pace.stt_sigma, seed=seed + 2),
                understand=lambda _: SubtitledWords(
                    texts, lag_ms=lambda text: 1000 * partials.draw_s(text), ended=self._ended
                ),
            ),
            "/v1/chat/completions": self._metered(openai_app(script, Faults())),
            "/v1/models": openai_app(script, Faults()),
            "/tts/websocket": CartesiaStandin(
                Faults(),
                delay_s=Latency(pace.first_byte_s, pace.first_byte_sigma, seed=seed + 3),
                lead_ms=0,
                pitch_hz=self._pitch_hz,
            ),
            "/ledger": self._tell,
            "/readyz": JSONResponse({"ok": True}),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        nowhere = JSONResponse({"error": f"there is no {scope['path']}"}, 404)
        await self._apps.get(scope["path"], nowhere)(scope, receive, send)

    def _ended(self, text: str) -> None:
        self.ledger.ended(text, self._now())

    def _pitch_hz(self, text: str) -> int:
        return FILLER_HZ if text.strip() in self._fillers else ANSWER_HZ

    async def _tell(self, scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse(asdict(self.ledger.bill()))(scope, receive, send)

    def _metered(self, app: ASGIApp) -> ASGIApp:
        """Every token counts from the moment it is made, and every client that leaves is noticed at once."""

        async def metered(scope: Scope, receive: Receive, send: Send) -> None:
            body = await _body_of(receive)
            asked = self._asked(json.loads(body))
            to_app: asyncio.Queue[Message] = asyncio.Queue()
            to_app.put_nowait({"type": "http.request", "body": body, "more_body": False})

            async def watch() -> None:
                message = await receive()
                if not asked.is_done:
                    asked.cut_s = self._now()
                to_app.put_nowait(message)
                answering.cancel()

            async def count(message: Message) -> None:
                if message["type"] == "http.response.body":
                    asked.output_tokens += _tokens_in(message.get("body", b""))
                    asked.is_done = asked.cut_s is None and not message.get("more_body", False)
                await send(message)

            answering = asyncio.ensure_future(app(scope, to_app.get, count))
            watching = asyncio.ensure_future(watch())
            try:
                await asyncio.wait((answering,))
            finally:
                answering.cancel()
                watching.cancel()

        return metered

    def _asked(self, body: Json) -> Asked:
        messages: list[Json] = body["messages"]
        read = sum(len(words_of(message).split()) for message in messages)
        self.ledger.asked.append(Asked(last_heard(messages), self._now(), read))
        return self.ledger.asked[-1]


def _answer(messages: list[Json]) -> Said:
    return Said(ANSWER.format(turn=turn_of(last_heard(messages))))


async def _body_of(receive: Receive) -> bytes:
    body, has_more = b"", True
    while has_more:
        message = await receive()
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
    return body


def _tokens_in(event: bytes) -> int:
    """Of one server-sent event, which carries a word at most."""
    data = event.removeprefix(b"data: ").strip()
    if not data.startswith(b"{"):
        return 0
    chunk: dict[str, Any] = json.loads(data)
    return sum(bool(choice["delta"].get("content")) for choice in chunk["choices"])
