"""A stand-in for a remote Realtime service: GA server events in the right order, on OpenAI's, Azure's and Inworld's
paths, with scripted answers hummed in the format that was asked for.

It never detects turns by itself, as a session whose client commits. An answer that is told to say words exactly
says those; any other takes the next of `answers`. A fault befalls one answer; those of the handshake befall a
connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator.standins.fault import HANDSHAKE_STATUS, Faults
from simulator.standins.realtime_answer import Making, Pace, Part, verbatim_parts
from simulator.standins.realtime_session import Event, RealtimeSession, Refusal
from simulator.standins.serving import cut

PATHS: Final = ("/v1/realtime", "/openai/v1/realtime", "/openai/realtime", "/api/v1/realtime/session")
BETA_PATH: Final = "/openai/realtime"
"""Azure's previews speak the beta's names."""

BETA_NAMES: Final = {
    "conversation.item.added": "conversation.item.created",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
}
UNSPOKEN_IN_BETA: Final = "conversation.item.done"

USUAL_ANSWER: Final = "I am a stand-in, and this is what I say."
USUAL_WORDS: Final = "something was said"


class RealtimeStandin:
    """An ASGI application. `answers` and `words` are what it says and understands, an entry each; then the usual.

    `delay_s`: before the first event of each answer. `gap_s`: after each word of one. `lives_s`: after so long a
    session ends as the real one does. `answering`: what it says is made of the session instead of the two rows.
    """

    def __init__(
        self,
        faults: Faults | None = None,
        *,
        delay_s: float = 0.0,
        gap_s: float = 0.0,
        lives_s: float | None = None,
        answers: Iterable[Part | tuple[Part, ...]] = (),
        words: Iterable[str] = (),
        refuses: Iterable[str] = (),
        answering: Callable[[RealtimeSession], Part] | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.delay_s = delay_s
        self.gap_s = gap_s
        self.lives_s = lives_s
        self.answers: deque[Part | tuple[Part, ...]] = deque(answers)
        self.words = deque(words)
        self.sessions: list[RealtimeSession] = []
        """All that ever were, in order, with what they heard."""
        self.handshakes: list[Scope] = []
        self.open = 0
        """Connections that are open now."""
        self.refuses = frozenset(refuses)
        self._answering = answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket" or scope["path"] not in PATHS:
            raise NotImplementedError(f"the stand-in has no {scope['type']} {scope.get('path')}")
        self.handshakes.append(scope)
        fault = self.faults.take_at_handshake()
        await receive()
        if fault is not None:
            await send({"type": "websocket.http.response.start", "status": HANDSHAKE_STATUS[fault], "headers": []})
            await send({"type": "websocket.http.response.body", "body": b""})
            return
        await send({"type": "websocket.accept"})
        session = RealtimeSession(f"s{len(self.sessions)}", model="stand-in", refuses=self.refuses)
        self.sessions.append(session)
        self.open += 1
        try:
            await _Connection(self, session, scope, send).run(receive)
        finally:
            self.open -= 1

    def next_answer(self, session: RealtimeSession) -> tuple[Part, ...]:
        if self._answering is not None:
            return (self._answering(session),)
        answer = self.answers.popleft() if self.answers else USUAL_ANSWER
        return answer if isinstance(answer, tuple) else (answer,)

    def next_words(self) -> str:
        return self.words.popleft() if self.words else USUAL_WORDS


def app(faults: Faults, *, delay_s: float = 0.0) -> ASGIApp:
    """The stand-in as everybody makes one."""
    return RealtimeStandin(faults, delay_s=delay_s)


class _Connection:
    def __init__(self, house: RealtimeStandin, session: RealtimeSession, scope: Scope, send: Send) -> None:
        self._house = house
        self._session = session
        self._scope = scope
        self._send = send
        self._is_beta = scope["path"] == BETA_PATH
        self._making: dict[str, asyncio.Task[None]] = {}
        self._events = 0

    async def run(self, receive: Receive) -> None:
        config = dict(self._session.config)
        if self._house.lives_s is not None:
            config["expires_at"] = int(time.time() + self._house.lives_s)
        await self.tell({"type": "session.created", "session": config})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._house.lives_s), asyncio.TaskGroup() as tasks:
                await self._listen(receive, tasks)
                for task in self._making.values():
                    task.cancel()
                return
        error = {"type": "invalid_request_error", "code": "session_expired", "message": "Your session hit its end."}
        await self.tell({"type": "error", "error": error})
        await self._send({"type": "websocket.close", "code": 1001, "reason": "session_expired"})

    async def _listen(self, receive: Receive, tasks: asyncio.TaskGroup) -> None:
        while (message := await receive())["type"] == "websocket.receive":
            request = _request(message)
            self._session.note(request)
            try:
                await self._take(request, tasks)
            except Refusal as refusal:
                error = {
                    "type": "invalid_request_error",
                    "code": refusal.code,
                    "message": refusal.message,
                    "param": refusal.param,
                    "event_id": request.get("event_id"),
                }
                await self.tell({"type": "error", "error": error})

    async def _take(self, request: Event, tasks: asyncio.TaskGroup) -> None:
        match request.get("type"):
            case "response.create":
                self._answer(request.get("response") or {}, tasks)
            case "response.cancel":
                wanted = request.get("response_id") or self._session.active
                if wanted not in self._making:
                    raise Refusal(
                        "response_cancel_not_active", "Cancellation failed: no active response found", None
                    )
                self._making[wanted].cancel()
            case kind:
                for event in self._session.take(request):
                    await self.tell(event)
                if kind == "input_audio_buffer.commit":
                    await self._transcribe()

    async def _transcribe(self) -> None:
        item_id, text = self._session.items[-1]["id"], self._house.next_words()
        head = "conversation.item.input_audio_transcription."
        where = {"item_id": item_id, "content_index": 0}
        await self.tell({"type": f"{head}delta", **where, "delta": text[: len(text) // 2]})
        await self.tell({"type": f"{head}delta", **where, "delta": text[len(text) // 2 :]})
        usage = {"type": "duration", "seconds": 1.0}
        await self.tell({"type": f"{head}completed", **where, "transcript": text, "usage": usage})

    def _answer(self, asked: Event, tasks: asyncio.TaskGroup) -> None:
        response_id = self._session.make_id("resp")
        is_aside = asked.get("conversation") == "none"
        if not is_aside:
            self._session.begin(response_id)
        fault = self._house.faults.take()
        parts = verbatim_parts(asked) or self._house.next_answer(self._session)
        pace = Pace(self._house.delay_s, self._house.gap_s)
        making = Making(self._session, self, response_id, asked, parts, fault, pace)
        task = self._making[response_id] = tasks.create_task(making.run())
        task.add_done_callback(lambda _: self._making.pop(response_id, None))

    async def send(self, message: Message) -> None:
        await self._send(message)

    def cut(self) -> None:
        """The connection is gone without a goodbye."""
        cut(self._scope)

    async def tell(self, event: Event) -> None:
        """An event, as this connection names it."""
        if self._is_beta and event["type"] == UNSPOKEN_IN_BETA:
            return
        kind = BETA_NAMES.get(event["type"], event["type"]) if self._is_beta else event["type"]
        self._events += 1
        text = json.dumps({"event_id": f"event_{self._events}", **event, "type": kind})
        await self._send({"type": "websocket.send", "text": text})


def _request(message: Message) -> Event:
    text = message.get("text") or (message.get("bytes") or b"").decode()
    request: Any = json.loads(text)
    return request if isinstance(request, dict) else {}
