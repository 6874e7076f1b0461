"""One answer of a chat model, put together from its chunks
(https://platform.openai.com/docs/api-reference/chat-streaming). No I/O.

Compatible servers leave out what they like and send null for the rest, so every field may be absent. Reasoning,
which some send beside the answer, is not for the caller's ears and is left where it is.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pipeline.provider import CutOff, CutOffReason, ModelOutput, ProviderError, TokensUsed, ToolRequest
from pipeline.providers.openai.errors import PASSING, excuse_of
from pipeline.providers.openai.messages import is_object

MAX_ARGUMENTS_BYTES: Final = 1024 * 1024
"""Of all calls of one answer. A model that goes on for ever is cut off before the memory is full."""

MOST_CALLS: Final = 128
"""Functions asked for in one answer; a service offers no more tools than that."""

_CUT_OFF: Final[dict[str, CutOffReason]] = {"length": "max_output_tokens", "content_filter": "content_filter"}


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _CallPiece(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_CallPiece] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _InputDetails | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


_decoder: Final = msgspec.json.Decoder(_Chunk)


@dataclass(slots=True)
class _Call:
    id: str
    index: int | None
    name: str = ""
    arguments: str = ""


class Answer:
    """Chunks go in by `take`, which gives the words at once; when there are no more, `outcome` gives the rest."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._calls: list[_Call] = []
        self._arguments_bytes = 0
        self._finish: str | None = None
        self._used: TokensUsed | None = None

    def take(self, data: bytes) -> Iterator[str]:
        """Words, none of them empty. Raises `ProviderError` for what is no chunk, and for an error told by one."""
        try:
            chunk = _decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._failure(f"sent a chunk that makes no sense ({error})") from None
        if chunk.error is not None:
            raise self._told(chunk.error)
        if chunk.usage is not None:
            self._used = _used(chunk.usage)
        for choice in (chunk.choices or ())[:1]:
            self._finish = choice.finish_reason or self._finish
            if (delta := choice.delta) is not None:
                yield from filter(None, (delta.content, delta.refusal))
                for piece in delta.tool_calls or ():
                    self._add(piece)

    def outcome(self) -> list[ModelOutput]:
        """The functions asked for, how it was cut off, what it cost. Raises `ProviderError` if it broke off."""
        if self._finish is None:
            raise self._failure("broke off in the middle of its answer")
        outputs: list[ModelOutput] = []
        cut_off = _CUT_OFF.get(self._finish)
        for call in self._calls:
            arguments = call.arguments.strip() or "{}"
            # Cut off within its arguments, a call was never made; a whole object is a whole call.
            if cut_off is None or is_object(call.arguments):
                outputs.append(ToolRequest(call.id, call.name, arguments))
        if cut_off is not None:
            outputs.append(CutOff(cut_off))
        if self._used is not None:
            outputs.append(self._used)
        return outputs

    def _add(self, piece: _CallPiece) -> None:
        call = self._call_of(piece)
        function = piece.function or _Function()
        call.name = call.name or function.name or ""
        more = function.arguments or ""
        self._arguments_bytes += len(more)
        if self._arguments_bytes > MAX_ARGUMENTS_BYTES or len(self._calls) > MOST_CALLS:
            raise self._failure("asks for functions with more than anybody would read")
        call.arguments += more

    def _call_of(self, piece: _CallPiece) -> _Call:
        """The call a piece belongs to. Some servers give all calls one index, or none, but each its id."""
        for call in reversed(self._calls):
            is_same = call.id == piece.id if piece.id else True
            if is_same and piece.index in (None, call.index):
                return call
        self._calls.append(_Call(piece.id or f"call_{uuid.uuid4().hex}", piece.index))
        return self._calls[-1]

    def _told(self, error: Any) -> ProviderError:
        code = error.get("code") if isinstance(error, dict) else None
        is_final = isinstance(code, int) and 400 <= code < 500 and code not in PASSING
        message = f"broke off with an error of its own{excuse_of(error)}"
        return ProviderError(self._label, message, retryable=not is_final)

    def _failure(self, message: str) -> ProviderError:
        return ProviderError(self._label, message, retryable=True)


def _used(usage: _Usage) -> TokensUsed:
    details = usage.prompt_tokens_details or _InputDetails()
    return TokensUsed(usage.prompt_tokens or 0, usage.completion_tokens or 0, details.cached_tokens or 0)
