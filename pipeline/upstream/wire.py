"""What a remote Realtime service tells us: the server events of the protocol that matter here, decoded. Pure.

GA's names and the beta's. Events and fields we do not know are passed over, because services add their own; a field
we need and that is not of its type is a `WireFault` (Realtime reference, section B.2).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

from pipeline.provider import CutOffReason
from pipeline.upstream.requests import ASKED


class WireFault(Exception):
    """The remote sent what the protocol does not allow."""


@dataclass(frozen=True, slots=True)
class Opened:
    """`session.created`."""

    expires_at_s: float | None
    """Unix time."""


@dataclass(frozen=True, slots=True)
class Updated:
    """`session.updated`."""


@dataclass(frozen=True, slots=True)
class Committed:
    item_id: str


@dataclass(frozen=True, slots=True)
class Words:
    """Of what the caller said, in one of the remote's items."""

    item_id: str
    text: str
    is_final: bool
    replaces: bool = False
    """It is all that is known, and not the next piece of it."""


@dataclass(frozen=True, slots=True)
class NoWords:
    item_id: str
    message: str


@dataclass(frozen=True, slots=True)
class Began:
    """`response.created`."""

    response_id: str
    asked: str | None
    """Our name for it, where the remote gives metadata back."""


@dataclass(frozen=True, slots=True)
class ItemBegan:
    """`response.output_item.added`."""

    response_id: str
    item_id: str
    is_call: bool


@dataclass(frozen=True, slots=True)
class Text:
    """Words of an answer: its transcript, or the text of one that is not spoken."""

    response_id: str
    item_id: str
    delta: str


@dataclass(frozen=True, slots=True)
class Sound:
    response_id: str
    item_id: str
    content_index: int
    audio: bytes


@dataclass(frozen=True, slots=True)
class SoundDone:
    """All sound of one part is here."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Called:
    """A function is asked for, with all its arguments."""

    response_id: str
    item_id: str
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    cached_audio_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """`response.done`."""

    response_id: str
    status: str
    """completed, cancelled, failed or incomplete."""
    reason: str = ""
    """Why it is not completed, for a person."""
    cut_off: CutOffReason | None = None
    usage: Usage = Usage()
    item_ids: tuple[str, ...] = ()
    calls: tuple[Called, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """`error`."""

    code: str
    message: str
    event_id: str | None
    """Of the request that it answers."""
    param: str | None


OfResponse: TypeAlias = ItemBegan | Text | Sound | SoundDone | Called | Ended
RemoteEvent: TypeAlias = Opened | Updated | Committed | Words | NoWords | Began | OfResponse | Refused

_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription."
_TEXT: Final = frozenset(
    {
        "response.output_audio_transcript.delta",
        "response.audio_transcript.delta",
        "response.output_text.delta",
        "response.text.delta",
    }
)
_SOUND: Final = frozenset({"response.output_audio.delta", "response.audio.delta"})
_SOUND_DONE: Final = frozenset({"response.output_audio.done", "response.audio.done"})

Fields: TypeAlias = dict[str, Any]


def decode(message: str | bytes, *, rewrites_words: bool = False) -> RemoteEvent | None:
    """One event; None: nothing to us. `rewrites_words`: its transcription deltas replace one another."""
    try:
        event = msgspec.json.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireFault(f"not JSON: {error}") from None
    if not isinstance(event, dict):
        raise WireFault("an event is a JSON object")
    kind = _text(event, "type")
    if kind in _SOUND:
        return _sound(event)
    if kind in _TEXT:
        return Text(_text(event, "response_id"), _text(event, "item_id"), _text(event, "delta"))
    if kind in _SOUND_DONE:
        return SoundDone(_text(event, "response_id"))
    if kind.startswith(_TRANSCRIPTION):
        return _words(kind.removeprefix(_TRANSCRIPTION), event, rewrites=rewrites_words)
    match kind:
        case "session.created":
            expires_at = _object(event, "session").get("expires_at")
            is_time = isinstance(expires_at, int | float) and not isinstance(expires_at, bool)
            return Opened(float(expires_at) if is_time and expires_at else None)
        case "session.updated":
            return Updated()
        case "input_audio_buffer.committed":
            return Committed(_text(event, "item_id"))
        case "response.output_item.added":
            item = _object(event, "item")
            return ItemBegan(_text(event, "response_id"), _text(item, "id"), item.get("type") == "function_call")
        case "response.output_item.done":
            return _call(_text(event, "response_id"), _object(event, "item"))
        case "response.created":
            response = _object(event, "response")
            return Began(_text(response, "id"), _asked(response))
        case "response.done":
            return _ended(_object(event, "response"))
        case "error":
            return _refused(_object(event, "error"))
        case _:
            return None


def _sound(event: Fields) -> Sound:
    try:
        audio = base64.b64decode(_text(event, "delta"), validate=True)
    except binascii.Error as error:
        raise WireFault(f"sound that is not base64: {error}") from None
    index = event.get("content_index", 0)
    return Sound(_text(event, "response_id"), _text(event, "item_id"), index if type(index) is int else 0, audio)


def _words(kind: str, event: Fields, *, rewrites: bool) -> Words | NoWords | None:
    match kind:
        case "delta":
            delta = event.get("delta")
            if not isinstance(delta, str):
                return None
            return Words(_text(event, "item_id"), delta, is_final=False, replaces=rewrites)
        case "updated":
            return Words(_text(event, "item_id"), _text(event, "transcript"), is_final=False, replaces=True)
        case "completed":
            return Words(_text(event, "item_id"), _text(event, "transcript"), is_final=True, replaces=True)
        case "failed":
            error = event.get("error")
            message = error.get("message") if isinstance(error, dict) else None
            return NoWords(_text(event, "item_id"), str(message or "no reason was given"))
        case _:
            return None


def _call(response_id: str, item: Fields) -> Called | None:
    if item.get("type") != "function_call" or item.get("status", "completed") != "completed":
        return None
    call_id, name, arguments = (_text(item, key) for key in ("call_id", "name", "arguments"))
    return Called(response_id, _text(item, "id"), call_id, name, arguments)


def _asked(response: Fields) -> str | None:
    metadata = response.get("metadata")
    asked = metadata.get(ASKED) if isinstance(metadata, dict) else None
    return asked if isinstance(asked, str) else None


def _ended(response: Fields) -> Ended:
    response_id, status = _text(response, "id"), _text(response, "status")
    output = [item for item in _list(response, "output") if isinstance(item, dict)]
    details = response.get("status_details")
    details = details if isinstance(details, dict) else {}
    error = details.get("error")
    error = error if isinstance(error, dict) else {}
    reasons = (details.get("reason"), error.get("code"), error.get("type"), error.get("message"))
    reason = ", ".join(dict.fromkeys(part for part in reasons if isinstance(part, str) and part))
    cut_off: CutOffReason | None = None
    if status == "incomplete":
        cut_off = "content_filter" if details.get("reason") == "content_filter" else "max_output_tokens"
    calls = (_call(response_id, item) for item in output)
    return Ended(
        response_id,
        status,
        reason,
        cut_off,
        _usage(response.get("usage")),
        tuple(item["id"] for item in output if isinstance(item.get("id"), str)),
        tuple(call for call in calls if call is not None),
    )


def _usage(usage: Any) -> Usage:
    """What a service does not count, counts as nothing: no answer is lost for its bill. No part is more than its
    whole, whatever the service says."""
    if not isinstance(usage, dict):
        return Usage()
    of_input, of_output = usage.get("input_token_details"), usage.get("output_token_details")
    of_cached = of_input.get("cached_tokens_details") if isinstance(of_input, dict) else None
    came, went = _count(usage, "input_tokens"), _count(usage, "output_tokens")
    cached, heard = min(came, _count(of_input, "cached_tokens")), min(came, _count(of_input, "audio_tokens"))
    return Usage(
        came,
        went,
        cached,
        heard,
        min(went, _count(of_output, "audio_tokens")),
        min(cached, heard, _count(of_cached, "audio_tokens")),
    )


def _count(fields: Any, key: str) -> int:
    value = fields.get(key) if isinstance(fields, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _refused(error: Fields) -> Refused:
    texts = {key: error.get(key) for key in ("code", "type", "message", "event_id", "param")}
    known = {key: value for key, value in texts.items() if isinstance(value, str)}
    code = known.get("code") or known.get("type") or "unknown"
    return Refused(code, known.get("message", ""), known.get("event_id"), known.get("param"))


def _text(fields: Fields, key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str):
        raise WireFault(f"{fields.get('type', 'an object')}: expected a string as {key!r}, got {value!r:.40}")
    return value


def _object(fields: Fields, key: str) -> Fields:
    value = fields.get(key)
    if not isinstance(value, dict):
        raise WireFault(f"{fields.get('type', 'an object')}: expected an object as {key!r}, got {value!r:.40}")
    return value


def _list(fields: Fields, key: str) -> list[Any]:
    value = fields.get(key, [])
    return value if isinstance(value, list) else []
