"""One session of the Realtime stand-in: what it is told, what it must answer, and what it keeps of a conversation.

Pure: requests in, server events out, in the order the protocol's GA shape has them. It judges as the real service
does (a buffer too short to commit, a truncation past the end of the sound, a second answer beside the first) and
writes down all it was sent. How an answer is made over time is not its business.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

Event: TypeAlias = dict[str, Any]

SHORTEST_COMMIT_MS: Final = 100

FORMATS: Final = {"audio/pcm": (24_000, 2), "audio/pcmu": (8_000, 1), "audio/pcma": (8_000, 1)}
"""Samples a second, bytes a sample."""

BETA_FORMATS: Final = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}


class Refusal(Exception):
    """A request that cannot be done, as the service would say it."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


@dataclass(slots=True)
class Kept:
    """An item of the conversation."""

    item: Event
    ms: float = 0.0
    """Of its sound."""


@dataclass(slots=True)
class Heard:
    """All that a session was sent, for whoever wants to know afterwards."""

    requests: list[Event] = field(default_factory=list)
    sound: bytearray = field(default_factory=bytearray)
    """Every byte of every append."""
    commits: list[bytes] = field(default_factory=list)
    """The sound of each commit that was taken."""

    def of(self, kind: str) -> list[Event]:
        """The requests of one type, in order."""
        return [request for request in self.requests if request.get("type") == kind]


class RealtimeSession:
    """See the module's docstring. `id` tells it from others of the same stand-in."""

    def __init__(self, id: str, *, model: str, refuses: frozenset[str] = frozenset()) -> None:
        """`refuses`: fields of `session.update` (dotted, from `session.` on) that this service does not take."""
        self.id = id
        self.heard = Heard()
        self.config: Event = {"type": "realtime", "object": "realtime.session", "id": id, "model": model}
        self.active: str | None = None
        """The response that is being made in the conversation."""
        self._refuses = refuses
        self._items: dict[str, Kept] = {}
        self._buffer = bytearray()
        self._count = 0

    def make_id(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self.id}_{self._count}"

    @property
    def items(self) -> list[Event]:
        """The conversation."""
        return [kept.item for kept in self._items.values()]

    def format(self, side: str) -> str:
        """Of its `input` or `output`: a name of `FORMATS`."""
        flat = self.config.get(f"{side}_audio_format")
        if flat is not None:
            return BETA_FORMATS[flat]
        spelled = self.config.get("audio", {}).get(side, {}).get("format", {})
        return str(spelled.get("type", "audio/pcm"))

    def ms_of(self, size: int, side: str) -> float:
        rate_hz, width = FORMATS[self.format(side)]
        return size * 1000 / (rate_hz * width)

    def note(self, request: Event) -> None:
        """Write it down; sound by its length only."""
        if request.get("type") == "input_audio_buffer.append":
            request = {"type": request["type"], "bytes": len(str(request.get("audio", ""))) * 3 // 4}
        self.heard.requests.append(request)

    def take(self, request: Event) -> list[Event]:
        """What follows at once from a request that is not about a response. Raises `Refusal`."""
        match request.get("type"):
            case "session.update":
                return self._update(request.get("session"))
            case "input_audio_buffer.append":
                return self._append(request.get("audio"))
            case "input_audio_buffer.commit":
                return self._commit()
            case "input_audio_buffer.clear":
                self._buffer.clear()
                return [{"type": "input_audio_buffer.cleared"}]
            case "conversation.item.create":
                return self._create(request)
            case "conversation.item.delete":
                return self._delete(str(request.get("item_id")))
            case "conversation.item.truncate":
                return self._truncate(request)
            case None:
                raise Refusal("invalid_event", "The 'type' field is missing.")
            case kind:
                raise Refusal("invalid_value", f"Invalid value: {kind!r}.", "type")

    def add(self, item: Event, previous: str | None = None) -> list[Event]:
        """An item joins the conversation, at the end or after another."""
        ids = list(self._items)
        if previous == "root":
            ids.insert(0, item["id"])
        elif previous is not None:
            ids.insert(ids.index(previous) + 1, item["id"])
        else:
            ids.append(item["id"])
        self._items[item["id"]] = Kept(item)
        self._items = {each: self._items[each] for each in ids}
        before = ids[ids.index(item["id"]) - 1] if ids.index(item["id"]) else None
        return [{"type": "conversation.item.added", "previous_item_id": before, "item": item}]

    def done(self, item: Event) -> list[Event]:
        if item["id"] not in self._items:
            return []
        self._items[item["id"]].item = item
        return [{"type": "conversation.item.done", "previous_item_id": None, "item": item}]

    def sounded(self, item_id: str, ms: float) -> None:
        """An item has that much more sound."""
        if item_id in self._items:
            self._items[item_id].ms += ms

    def begin(self, response_id: str) -> None:
        """Raises `Refusal` while another answer is being made."""
        if self.active is not None:
            message = f"Conversation already has an active response in progress: {self.active}."
            raise Refusal("conversation_already_has_active_response", message)
        self.active = response_id

    def _update(self, session: Any) -> list[Event]:
        if not isinstance(session, dict):
            raise Refusal("missing_required_parameter", "Missing required parameter: 'session'.", "session")
        for path in sorted(self._refuses):
            at: Any = {"session": session}
            for name in path.split("."):
                at = at.get(name) if isinstance(at, dict) else None
            if at is not None:
                raise Refusal("invalid_value", f"Invalid value: {at!r}.", path)
        self.config = self.config | session
        return [{"type": "session.updated", "session": self.config}]

    def _append(self, audio: Any) -> list[Event]:
        try:
            sound = base64.b64decode(audio, validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise Refusal("invalid_value", "Invalid 'audio'. Expected base64-encoded audio.", "audio") from None
        self._buffer += sound
        self.heard.sound += sound
        return []

    def _commit(self) -> list[Event]:
        ms = self.ms_of(len(self._buffer), "input")
        if ms < SHORTEST_COMMIT_MS:
            message = f"Error committing input audio buffer: buffer too small. It has {ms:.2f}ms of audio."
            raise Refusal("input_audio_buffer_commit_empty", message)
        self.heard.commits.append(bytes(self._buffer))
        self._buffer.clear()
        previous = list(self._items)[-1] if self._items else None
        item = {
            "id": self.make_id("item"),
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        committed = {
            "type": "input_audio_buffer.committed",
            "previous_item_id": previous,
            "item_id": item["id"],
        }
        return [committed, *self.add(item), *self.done(item)]

    def _create(self, request: Event) -> list[Event]:
        item, previous = request.get("item"), request.get("previous_item_id")
        if not isinstance(item, dict):
            raise Refusal("missing_required_parameter", "Missing required parameter: 'item'.", "item")
        item = {"id": self.make_id("item"), "object": "realtime.item", "status": "completed", **item}
        if item["id"] in self._items:
            raise Refusal("item_create_duplicate_item_id", f"Item {item['id']!r} is there already.", "item.id")
        if previous not in (None, "root") and previous not in self._items:
            message = f"Item {previous!r} is not in the conversation."
            raise Refusal("item_create_invalid_previous_item_id", message, "previous_item_id")
        if item.get("type") == "function_call_output" and not any(
            kept.item.get("type") == "function_call" and kept.item.get("call_id") == item.get("call_id")
            for kept in self._items.values()
        ):
            message = f"No function call {item.get('call_id')!r} is in the conversation."
            raise Refusal("invalid_value", message, "item.call_id")
        return [*self.add(item, previous), *self.done(item)]

    def _delete(self, item_id: str) -> list[Event]:
        if self._items.pop(item_id, None) is None:
            message = f"Item {item_id!r} is not in the conversation."
            raise Refusal("item_delete_invalid_item_id", message, "item_id")
        return [{"type": "conversation.item.deleted", "item_id": item_id}]

    def _truncate(self, request: Event) -> list[Event]:
        item_id, end_ms = str(request.get("item_id")), request.get("audio_end_ms")
        kept = self._items.get(item_id)
        if kept is None:
            message = f"Item {item_id!r} is not in the conversation."
            raise Refusal("item_truncate_invalid_item_id", message, "item_id")
        if kept.item.get("role") != "assistant" or not kept.ms:
            raise Refusal("invalid_value", "Only model output audio messages can be truncated", "item_id")
        if not isinstance(end_ms, int) or not 0 <= end_ms <= kept.ms:
            message = f"Audio content of {kept.ms:.0f}ms is already shorter than {end_ms}ms"
            raise Refusal("invalid_value", message, "audio_end_ms")
        kept.ms = end_ms
        return [
            {
                "type": "conversation.item.truncated",
                "item_id": item_id,
                "content_index": request.get("content_index", 0),
                "audio_end_ms": end_ms,
            }
        ]
