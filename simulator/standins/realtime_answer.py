"""An answer of the Realtime stand-in on its way: words, a hum for each, functions; and what a fault makes of it."""

from __future__ import annotations

import asyncio
import audioop
import base64
import re
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from simulator.standins.fault import Fault
from simulator.standins.realtime_session import FORMATS, Event, RealtimeSession
from simulator.standins.tone import WORD_MS, hum

VERBATIM: Final = re.compile(r"\n---\n(.*)\n---", re.DOTALL)
"""How an instruction marks words that are to be said exactly."""

BIG_BYTES: Final = 10 * 1024 * 1024
DRIP_S: Final = 0.1
DRIP_MS: Final = 10


@dataclass(frozen=True, slots=True)
class Call:
    """A function it asks for."""

    name: str
    arguments: str = "{}"


Part: TypeAlias = str | Call
"""Words of an answer, or a function."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long an answer takes: before its first event, and after each of its words."""

    delay_s: float = 0.0
    gap_s: float = 0.0


class Line(Protocol):
    """The connection it is told on."""

    async def tell(self, event: Event) -> None: ...
    async def send(self, message: Any) -> None: ...
    def cut(self) -> None: ...


def verbatim_parts(asked: Event) -> tuple[Part, ...]:
    """The words that a request wants said exactly; none, if it wants an answer."""
    found = VERBATIM.search(asked.get("instructions") or "")
    return (found[1],) if found else ()


class Making:
    """One answer on its way."""

    def __init__(
        self,
        session: RealtimeSession,
        line: Line,
        response_id: str,
        asked: Event,
        parts: tuple[Part, ...],
        fault: Fault,
        pace: Pace,
    ) -> None:
        self._session = session
        self._line = line
        self._id = response_id
        self._asked = asked
        self._parts = parts
        self._fault = fault
        self._pace = pace
        self._is_aside = asked.get("conversation") == "none"
        self._output: list[Event] = []
        modalities = asked.get("output_modalities") or self._session.config.get("output_modalities") or ["audio"]
        self._speaks = "audio" in modalities

    async def run(self) -> None:
        try:
            if self._fault is Fault.HANG:
                await asyncio.Event().wait()
            await asyncio.sleep(self._pace.delay_s)
            await self._line.tell({"type": "response.created", "response": self._shown("in_progress")})
            for part in self._parts:
                await (self._call(part) if isinstance(part, Call) else self._say(part))
        except asyncio.CancelledError:
            details = {"type": "cancelled", "reason": "client_cancelled"}
            await self._end("cancelled", details)
            raise
        await self._end("completed")

    async def _end(self, status: str, details: Event | None = None) -> None:
        if self._session.active == self._id:
            self._session.active = None
        shown = self._shown(status) | {"status_details": details, "usage": _usage(len(self._output))}
        await self._line.tell({"type": "response.done", "response": shown})

    async def _say(self, text: str) -> None:
        words = text.split()
        item = self._item({"type": "message", "role": "assistant", "content": []})
        await self._open(item)
        where = {
            "response_id": self._id,
            "item_id": item["id"],
            "output_index": len(self._output),
            "content_index": 0,
        }
        said: list[str] = []
        try:
            for number, word in enumerate(words):
                await self._misbehave(number >= len(words) // 2)
                spaced = f" {word}" if number else word
                said.append(spaced)
                kind = "output_audio_transcript" if self._speaks else "output_text"
                await self._line.tell({"type": f"response.{kind}.delta", **where, "delta": spaced})
                if self._speaks and self._fault is not Fault.ZERO_AUDIO:
                    await self._hum(where)
                await asyncio.sleep(self._pace.gap_s)
            if self._fault is Fault.BIG_CHUNK:
                await self._sound(where, bytes(BIG_BYTES))
        finally:
            is_whole = len(said) == len(words)
            await self._close(item, "".join(said), where, "completed" if is_whole else "incomplete")

    async def _close(self, item: Event, text: str, where: Event, status: str) -> None:
        if self._speaks:
            await self._line.tell({"type": "response.output_audio.done", **where})
            await self._line.tell({"type": "response.output_audio_transcript.done", **where, "transcript": text})
            content = {"type": "output_audio", "transcript": text}
        else:
            await self._line.tell({"type": "response.output_text.done", **where, "text": text})
            content = {"type": "output_text", "text": text}
        await self._finish(item | {"status": status, "content": [content]})

    async def _call(self, call: Call) -> None:
        call_id = self._session.make_id("call")
        item = self._item({"type": "function_call", "call_id": call_id, "name": call.name, "arguments": ""})
        await self._open(item)
        where = {
            "response_id": self._id,
            "item_id": item["id"],
            "output_index": len(self._output),
            "call_id": call_id,
        }
        await self._line.tell({"type": "response.function_call_arguments.delta", **where, "delta": call.arguments})
        done = {"type": "response.function_call_arguments.done", **where, "name": call.name}
        await self._line.tell(done | {"arguments": call.arguments})
        await self._finish(item | {"status": "completed", "arguments": call.arguments})

    async def _hum(self, where: Event) -> None:
        sound = _spelled(hum(1, self._rate_hz), self._format)
        if self._fault is Fault.SLOW_DRIP:
            step = len(sound) * DRIP_MS // WORD_MS
            for at in range(0, len(sound), step):
                await self._sound(where, sound[at : at + step])
                await asyncio.sleep(DRIP_S)
        elif self._fault is Fault.ODD_PCM:
            for piece in (sound[:101], sound[101:]):
                await self._sound(where, piece)
        else:
            await self._sound(where, sound)

    async def _sound(self, where: Event, sound: bytes) -> None:
        rate_hz, width = FORMATS[self._format]
        self._session.sounded(where["item_id"], len(sound) * 1000 / (rate_hz * width))
        delta = base64.b64encode(sound).decode()
        await self._line.tell({"type": "response.output_audio.delta", **where, "delta": delta})

    @property
    def _format(self) -> str:
        own = self._asked.get("audio", {}).get("output", {}).get("format", {})
        return str(own.get("type") or self._session.format("output"))

    @property
    def _rate_hz(self) -> int:
        return FORMATS[self._format][0]

    async def _misbehave(self, is_half_way: bool) -> None:
        """What the fault has in store, once half of the words are said."""
        if not is_half_way:
            return
        match self._fault:
            case Fault.STALL:
                await asyncio.Event().wait()
            case Fault.CLOSE_1006:
                self._line.cut()
                await asyncio.Event().wait()
            case Fault.CLOSE_1011:
                await self._line.send({"type": "websocket.close", "code": 1011, "reason": "internal"})
                await asyncio.Event().wait()
            case Fault.GARBAGE:
                await self._line.send({"type": "websocket.send", "text": '{"type": "response.'})
            case _:
                pass

    def _item(self, fields: Event) -> Event:
        item_id = self._session.make_id("item")
        return {"id": item_id, "object": "realtime.item", "status": "in_progress", **fields}

    async def _open(self, item: Event) -> None:
        where = {"response_id": self._id, "output_index": len(self._output)}
        await self._line.tell({"type": "response.output_item.added", **where, "item": item})
        if not self._is_aside:
            for event in self._session.add(item):
                await self._line.tell(event)

    async def _finish(self, item: Event) -> None:
        where = {"response_id": self._id, "output_index": len(self._output)}
        self._output.append(item)
        if not self._is_aside:
            for event in self._session.done(item):
                await self._line.tell(event)
        await self._line.tell({"type": "response.output_item.done", **where, "item": item})

    def _shown(self, status: str) -> Event:
        return {
            "id": self._id,
            "object": "realtime.response",
            "status": status,
            "status_details": None,
            "output": list(self._output),
            "conversation_id": None if self._is_aside else "conv_1",
            "metadata": self._asked.get("metadata"),
            "usage": None,
        }


def _spelled(pcm16: bytes, format: str) -> bytes:
    match format:
        case "audio/pcmu":
            return audioop.lin2ulaw(pcm16, 2)
        case "audio/pcma":
            return audioop.lin2alaw(pcm16, 2)
        case _:
            return pcm16


def _usage(outputs: int) -> Event:
    return {
        "total_tokens": 15 * outputs,
        "input_tokens": 10 * outputs,
        "output_tokens": 5 * outputs,
        "input_token_details": {
            "text_tokens": 4 * outputs,
            "audio_tokens": 6 * outputs,
            "cached_tokens": 2 * outputs,
        },
        "output_token_details": {"text_tokens": outputs, "audio_tokens": 4 * outputs},
    }
