"""A stand-in for OpenAI and the servers that speak as it does: chat, speech and transcriptions by script.

    POST /v1/chat/completions         streamed or not, with functions
    POST /v1/audio/speech             a hum as long as the words, 24 kHz PCM16; `wav` is refused
    POST /v1/audio/transcriptions     as JSON, or with stream=true as server-sent events
    GET  /v1/models

Any key is taken. What goes wrong is `http_answer.py`'s, and beyond it:

    zero-audio    a chat of no word, a speech of no sample, a transcript of no word
    garbage       an event of broken JSON; a text where sound should be; a transcript of broken JSON
    big-chunk     a delta, a piece of sound or a transcript of ten megabytes, beside all the rest
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from simulator.standins import openai_chat
from simulator.standins.fault import Fault, Faults
from simulator.standins.http_answer import BIG_BYTES, answer, error, refusal
from simulator.standins.latency import Latency, seconds_of
from simulator.standins.openai_chat import Answering, Json
from simulator.standins.tone import WORD_MS, hum

SPEECH_HZ: Final = 24_000
SPEECH_PIECE_BYTES: Final = 4_800
"""100 ms."""

MODELS: Final = ("gpt-6-luna", "gpt-transcribe", "gpt-4o-mini-tts")


@dataclass(slots=True)
class OpenAIScript:
    """What the stand-in says and hears, and how fast. It may be changed between two requests."""

    answers: Answering = openai_chat.echo
    transcripts: Sequence[str] = ("what are your opening hours",)
    """One after another; the last one again and again."""
    cached_tokens: int = 0
    first_token_s: float | Latency = 0.0
    token_s: float = 0.0
    """Between two tokens of a chat."""
    first_byte_s: float = 0.0
    """From a request for speech to its first sample."""
    transcript_s: float = 0.0
    """From a whole recording to its first word."""
    word_ms: int = WORD_MS


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that came. `body` is its JSON, or its fields if it is a form; `file` the recording."""

    path: str
    authorization: str
    body: Mapping[str, Any]
    fault: Fault
    file: bytes = field(default=b"", repr=False)


class OpenAIStandIn:
    """The application is `app`; what was asked of it, `asked`."""

    def __init__(self, script: OpenAIScript, faults: Faults) -> None:
        self.script = script
        self.faults = faults
        self.asked: list[Asked] = []
        self._heard = 0
        self.app = Starlette(
            routes=[
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/audio/speech", self._speech, methods=["POST"]),
                Route("/v1/audio/transcriptions", self._transcription, methods=["POST"]),
                Route("/v1/models", _models),
            ]
        )

    async def _chat(self, request: Request) -> Response:
        body = await _json_of(request)
        if body is None or not isinstance(body.get("messages"), list):
            return error(400, "invalid_request", "Expected a JSON object with `messages`.")
        fault = self._note(request, body)
        if (refused := await refusal(request, fault)) is not None:
            return refused
        messages, model, number = body["messages"], str(body.get("model")), len(self.asked)
        said = self.script.answers(messages)
        usage = openai_chat.usage_of(messages, said, self.script.cached_tokens)
        await asyncio.sleep(seconds_of(self.script.first_token_s, openai_chat.last_heard(messages)))
        if not body.get("stream"):
            return _json_answer(request, fault, openai_chat.completion(number, model, said, usage))
        wants_usage = (body.get("stream_options") or {}).get("include_usage")
        events = openai_chat.events(number, model, said, usage if wants_usage else None, fault)
        return answer(request, fault, events, kind="text/event-stream", gap_s=self.script.token_s)

    async def _speech(self, request: Request) -> Response:
        body = await _json_of(request)
        if body is None or not isinstance(body.get("input"), str):
            return error(400, "invalid_request", "Expected a JSON object with `input`.")
        if body.get("response_format") != "pcm":
            return error(400, "unsupported_value", "The stand-in speaks `pcm` only.")
        fault = self._note(request, body)
        if (refused := await refusal(request, fault)) is not None:
            return refused
        await asyncio.sleep(self.script.first_byte_s)
        if fault is Fault.GARBAGE:
            return answer(request, fault, [b'{"error": "the voice is out of order"}'], kind="audio/pcm")
        words = 0 if fault is Fault.ZERO_AUDIO else len(body["input"].split())
        word_ms = round(self.script.word_ms / float(body.get("speed", 1.0)))
        sound = hum(words, SPEECH_HZ, word_ms=word_ms)
        pieces = [sound[at : at + SPEECH_PIECE_BYTES] for at in range(0, len(sound), SPEECH_PIECE_BYTES)]
        if fault is Fault.BIG_CHUNK:
            pieces.append(bytes(BIG_BYTES))
        return answer(request, fault, pieces, kind="audio/pcm")

    async def _transcription(self, request: Request) -> Response:
        async with request.form() as form:
            file = form.get("file")
            recording = await file.read() if isinstance(file, UploadFile) else b""
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
        if not recording:
            return error(400, "invalid_request", "Expected a form with a `file`.")
        fault = self._note(request, fields, recording)
        if (refused := await refusal(request, fault)) is not None:
            return refused
        text = self._next_transcript(fault)
        await asyncio.sleep(self.script.transcript_s)
        if fields.get("stream") == "true":
            return answer(request, fault, _transcript_events(text, fault), kind="text/event-stream")
        return _json_answer(request, fault, {"text": text})

    def _next_transcript(self, fault: Fault) -> str:
        text = self.script.transcripts[min(self._heard, len(self.script.transcripts) - 1)]
        self._heard += 1
        return "" if fault is Fault.ZERO_AUDIO else text

    def _note(self, request: Request, body: Mapping[str, Any], file: bytes = b"") -> Fault:
        fault = self.faults.take()
        authorization = request.headers.get("authorization", "")
        self.asked.append(Asked(request.url.path, authorization, body, fault, file))
        return fault


def openai_app(script: OpenAIScript, faults: Faults) -> ASGIApp:
    """The application alone, for who wants to know nothing of what was asked."""
    return OpenAIStandIn(script, faults).app


def app(faults: Faults, *, delay_s: float = 0.0) -> ASGIApp:
    """The usual script; `delay_s` to the first token, the first sound, the first word of a transcript."""
    return openai_app(OpenAIScript(first_token_s=delay_s, first_byte_s=delay_s, transcript_s=delay_s), faults)


async def _models(_request: Request) -> Response:
    listed = [{"id": name, "object": "model", "created": 0, "owned_by": "switchboard"} for name in MODELS]
    return JSONResponse({"object": "list", "data": listed})


async def _json_of(request: Request) -> Json | None:
    try:
        body = json.loads(await request.body())
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _json_answer(request: Request, fault: Fault, value: Json) -> Response:
    body = json.dumps(value).encode()
    if fault is Fault.GARBAGE:
        body = body[:-2]
    elif fault is Fault.BIG_CHUNK:
        body = json.dumps(value | {"text": "ten megabytes " * (BIG_BYTES // 14)}).encode()
    return answer(request, fault, [body], kind="application/json")


def _transcript_events(text: str, fault: Fault) -> list[bytes]:
    words = text.split()
    said = [{"type": "transcript.text.delta", "delta": f"{' ' if at else ''}{one}"} for at, one in enumerate(words)]
    if fault is Fault.BIG_CHUNK:
        said.append({"type": "transcript.text.delta", "delta": "ten megabytes " * (BIG_BYTES // 14)})
    said.append({"type": "transcript.text.done", "text": text})
    wire = [f"data: {json.dumps(event)}\n\n".encode() for event in said]
    return [*wire[:-1], b'data: {"type": "transcript.text\n\n'] if fault is Fault.GARBAGE else wire
