"""What the OpenAI stand-in says in a chat, and how its wire spells it
(https://platform.openai.com/docs/api-reference/chat-streaming). No I/O.

Tokens are words: what it counts is only ever compared with itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from simulator.standins.fault import Fault
from simulator.standins.http_answer import BIG_BYTES

Json: TypeAlias = dict[str, Any]

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]

ARGUMENTS_PIECE_CHARS: Final = 8
"""Arguments of a function come in pieces of this length."""

_CREATED: Final = 1_700_000_000  # nobody asks when


@dataclass(frozen=True, slots=True)
class Called:
    """A function the model asks for. `arguments` is JSON, as text."""

    name: str
    arguments: str = "{}"
    id: str = ""
    """Empty: one is made up, different in each answer."""


@dataclass(frozen=True, slots=True)
class Said:
    """One answer of the model."""

    text: str = ""
    calls: tuple[Called, ...] = ()
    finish: FinishReason | None = None
    """None: `tool_calls` if it asks for functions, else `stop`."""
    reasoning: str = ""
    """What it thinks beside the answer, as some compatible servers send it."""

    @property
    def finish_reason(self) -> FinishReason:
        return self.finish or ("tool_calls" if self.calls else "stop")


Answering: TypeAlias = Callable[[list[Json]], Said]
"""From the messages of a request to the answer."""


def echo(messages: list[Json]) -> Said:
    """A small conversation for people who try things out: it greets, tells what it heard, and says goodbye."""
    heard = last_heard(messages)
    if messages and messages[-1].get("role") == "tool":
        return Said(f"I looked that up for you. The answer is: {words_of(messages[-1])}")
    if not heard:
        return Said("Hello! This is the stand-in speaking. What can I do for you?")
    if re.search(r"\b(bye|goodbye)\b", heard, re.IGNORECASE):
        return Said("Thank you for calling. Goodbye!")
    return Said(f"You said: {heard.rstrip('.!?')}. Is there anything else I can do for you?")


def in_turn(*answers: Said | str) -> Answering:
    """One answer after another; the last one again and again."""
    said = [Said(answer) if isinstance(answer, str) else answer for answer in answers]
    asked = iter(range(len(said) - 1))

    def answer(_messages: list[Json]) -> Said:
        return said[next(asked, -1)]

    return answer


def last_heard(messages: list[Json]) -> str:
    """What the user said last; empty if nothing."""
    return next((words_of(message) for message in reversed(messages) if message.get("role") == "user"), "")


def words_of(message: Json) -> str:
    """The words of a message, whose content is a text or a list of parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", "")) for part in content if part.get("type") == "text")


def usage_of(messages: list[Json], said: Said, cached_tokens: int) -> Json:
    read = sum(len(words_of(message).split()) for message in messages)
    written = len(said.text.split()) + sum(len(call.arguments) // ARGUMENTS_PIECE_CHARS + 1 for call in said.calls)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": min(cached_tokens, read)},
    }


def completion(number: int, model: str, said: Said, usage: Json) -> Json:
    """The whole answer, for who does not want it streamed."""
    message: Json = {"role": "assistant", "content": said.text or None}
    if said.calls:
        message["tool_calls"] = [_call(number, at, call) for at, call in enumerate(said.calls)]
    choice = {"index": 0, "message": message, "finish_reason": said.finish_reason}
    return _frame(number, model, "chat.completion") | {"choices": [choice], "usage": usage}


def events(number: int, model: str, said: Said, usage: Json | None, fault: Fault) -> list[bytes]:
    """The answer as server-sent events, a token each. `usage` is told if it was asked for."""
    if fault is Fault.ZERO_AUDIO:
        said = Said()
    deltas = list(_deltas(number, said))
    if fault is Fault.GARBAGE:
        deltas = deltas[: len(deltas) // 2 + 1]
    chunks = [_chunk(number, model, delta) for delta in deltas]
    if fault is Fault.BIG_CHUNK:
        chunks.append(_chunk(number, model, {"content": "ten megabytes " * (BIG_BYTES // 14)}))
    chunks.append(_chunk(number, model, {}, said.finish_reason))
    if usage is not None:
        chunks.append(_frame(number, model, "chat.completion.chunk") | {"choices": [], "usage": usage})
    wire = [f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode() for chunk in chunks]
    if fault is Fault.GARBAGE:
        return [*wire[: len(deltas)], b'data: {"choices": [{"delta": {"content": "and then\n\n']
    return [*wire, b"data: [DONE]\n\n"]


def _deltas(number: int, said: Said) -> Iterator[Json]:
    yield {"role": "assistant", "content": ""}
    for thought in said.reasoning.split():
        yield {"reasoning_content": f"{thought} "}
    for word in re.findall(r"\s*\S+", said.text):
        yield {"content": word}
    for at, call in enumerate(said.calls):
        opened = _call(number, at, call)
        opened["function"]["arguments"] = ""
        yield {"tool_calls": [{"index": at} | opened]}
        for piece in _pieces(call.arguments):
            yield {"tool_calls": [{"index": at, "function": {"arguments": piece}}]}


def _pieces(text: str) -> Sequence[str]:
    return [text[at : at + ARGUMENTS_PIECE_CHARS] for at in range(0, len(text), ARGUMENTS_PIECE_CHARS)]


def _call(number: int, at: int, call: Called) -> Json:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id or f"call_{number}_{at}", "type": "function", "function": function}


def _chunk(number: int, model: str, delta: Json, finish: str | None = None) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _frame(number, model, "chat.completion.chunk") | {"choices": [choice], "usage": None}


def _frame(number: int, model: str, kind: str) -> Json:
    return {"id": f"chatcmpl-{number}", "object": kind, "created": _CREATED, "model": model}
