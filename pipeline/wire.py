"""The codec of one connection: JSON text in, the session's events out, and back (Realtime reference, section B).

It knows how each dialect spells the protocol, and nothing of sockets, sessions or time. Items, responses and the
session object have their own files beside this one. Hot are `input_audio_buffer.append` and the deltas: each is one
call of the JSON library, which also does the base64.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import msgspec

from pipeline import wire_fields as read
from pipeline.audio.formats import PCM_24K
from pipeline.dialects import NAMES, UNSPOKEN, Dialect
from pipeline.events import conversation as conv
from pipeline.events import input_audio, output_audio
from pipeline.events import response as resp
from pipeline.events import session as sess
from pipeline.events.config import SessionConfig
from pipeline.events.event import ClientEvent, ServerEvent
from pipeline.events.input_audio import InputAudioBufferAppend
from pipeline.events.items import McpItem
from pipeline.events.refusal import BadEvent
from pipeline.json_text import Text, is_shallow, parsed
from pipeline.large_append import append_of
from pipeline.limits import USUAL, Limits
from pipeline.session_object import merged, takes_ga_shape
from pipeline.wire_fields import Fields
from pipeline.wire_items import item_of
from pipeline.wire_responses import create_of
from pipeline.wire_shapes import Told, shaped

LARGE_TEXT_BYTES = 64 * 1024
"""Above this, a transport decodes in a thread (`Wire.decode_large`)."""

BAREST_APPEND_BYTES = len(b'{"type":"input_audio_buffer.append","audio":""}')

DELTA_BYTES = 19_200
"""Of sound in one delta: 400 ms at 24 kHz (Realtime reference, section A.1)."""

CLIENT_EVENTS = tuple(event.__struct_config__.tag for event in get_args(ClientEvent))
TRANSCRIPTION_UPDATE = "transcription_session.update"
"""The beta dialect's own."""

INWORLDS = frozenset({Dialect.IW, Dialect.SEED})
_append_decoder = msgspec.json.Decoder(InputAudioBufferAppend)
_encoder = msgspec.json.Encoder()

_HOT: frozenset[type] = frozenset(
    {
        resp.OutputAudioDelta,
        resp.TranscriptDelta,
        resp.OutputTextDelta,
        resp.FunctionCallArgumentsDelta,
        conv.TranscriptionDelta,
    }
)
"""Go to the JSON library as they are."""


def _head(name: str) -> bytes:
    """How the text of every event begins: the library writes the tag first."""
    return b'{"type":"%s"' % name.encode()


_NAME_OF: dict[type, str] = {event: event.__struct_config__.tag for event in get_args(ServerEvent)}

_RENAMED: dict[Dialect, dict[type, tuple[int, bytes]]] = {
    dialect: {event: (len(_head(name)), _head(names[name])) for event, name in _NAME_OF.items() if name in names}
    for dialect, names in NAMES.items()
}
"""How long the head of the event's text is that is taken off, and what comes in its place."""

_UNSPOKEN: dict[Dialect, frozenset[type]] = {
    dialect: frozenset(event for event, name in _NAME_OF.items() if name in names)
    for dialect, names in UNSPOKEN.items()
}


def _without_costs(event: resp.ResponseDone) -> resp.ResponseDone:
    response = event.response
    if response.usage is None or not response.usage.used:
        return event
    usage = msgspec.structs.replace(response.usage, used=())
    return msgspec.structs.replace(event, response=msgspec.structs.replace(response, usage=usage))


def _is_of_mcp(event: ServerEvent) -> bool:
    """It tells of an item that the beta dialect does not have."""
    match event:
        case (
            conv.ConversationItemAdded(item=item)
            | conv.ConversationItemDone(item=item)
            | conv.ConversationItemRetrieved(item=item)
            | resp.OutputItemAdded(item=item)
            | resp.OutputItemDone(item=item)
        ):
            return isinstance(item, McpItem)
        case _:
            return False


class _Choice(enum.Enum):
    """Whether a connection of the seed's dialect may still turn out to be Inworld's (Realtime reference, A.4)."""

    OPEN = enum.auto()
    TURNING = enum.auto()
    """Its first update had GA shape; the `session.updated` that answers it is the first GA text."""
    MADE = enum.auto()


def split(event: resp.OutputAudioDelta, most_bytes: int = DELTA_BYTES) -> list[resp.OutputAudioDelta]:
    """The same sound in deltas of at most `most_bytes` (a multiple of 4, so that no sample is torn).

    The first keeps the event's id; the others have it with a number.
    """
    if len(event.delta) <= most_bytes:
        return [event]
    return [
        msgspec.structs.replace(
            event,
            delta=event.delta[begin : begin + most_bytes],
            event_id=event.event_id if begin == 0 else f"{event.event_id}_{begin // most_bytes}",
        )
        for begin in range(0, len(event.delta), most_bytes)
    ]


class Wire:
    """One connection's way of spelling. Pure but for remembering which dialect it speaks, and what it last showed.

    `opened_at_s` and `expires_at_s` are Unix times: of the session's first input sample, and of its end.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        opened_at_s: float,
        expires_at_s: float | None = None,
        limits: Limits = USUAL,
        serves_mcp: bool = False,
        tells_costs: bool = True,
    ) -> None:
        """`tells_costs`: the client may know which providers did a turn's work, and for how much."""
        self.dialect = dialect
        self._tells_costs = tells_costs
        self._limits = limits
        self._serves_mcp = serves_mcp
        self._choice = _Choice.OPEN if dialect is Dialect.SEED else _Choice.MADE
        self._told = Told(
            dialect=dialect,
            opened_at_s=opened_at_s,
            expires_at_s=None if expires_at_s is None else math.floor(expires_at_s),
            input_format=PCM_24K,
            output_format=PCM_24K,
        )

    # -- in ------------------------------------------------------------------------------------------------------

    def decode(self, text: Text, config: SessionConfig) -> ClientEvent:
        """What the client says with this text; `config` is the session's at present. Raises `BadEvent`."""
        if len(text) > LARGE_TEXT_BYTES:
            return self.decode_large(text, config)
        try:
            append = _append_decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._decode_slowly(text, config)
        # Depth takes two bytes a level. An append is nearly all sound, so mostly there is no room for it.
        beside_sound = len(text) - len(append.audio) * 4 // 3 - BAREST_APPEND_BYTES
        if beside_sound > 2 * self._limits.depth and not is_shallow(text, self._limits.depth):
            return self._decode_slowly(text, config)
        return self._within_limits(append)

    def decode_large(
        self, text: Text, config: SessionConfig, *, pause: Callable[[], None] = lambda: None
    ) -> ClientEvent:
        """`decode` for a worker thread: `pause` is called often, so that the event loop can have its turn.

        One event of a connection is decoded at a time. Raises `BadEvent`.
        """
        append = append_of(text, limits=self._limits, pause=pause)
        return self._decode_slowly(text, config) if append is None else append

    def _within_limits(self, event: InputAudioBufferAppend) -> InputAudioBufferAppend:
        if event.event_id is not None and len(event.event_id) > self._limits.event_id_chars:
            read.event_id_of({"event_id": event.event_id}, self._limits)
        if len(event.audio) > self._limits.append_bytes:
            refusal = read.too_long(len(event.audio), "audio", self._limits.append_bytes)
            refusal.event_id = event.event_id
            raise refusal
        return event

    def _decode_slowly(self, text: Text, config: SessionConfig) -> ClientEvent:
        event = parsed(text, depth=self._limits.depth)
        if not isinstance(event, dict):
            raise BadEvent("invalid_event", "An event is a JSON object.")
        event_id = read.event_id_of(event, self._limits)
        try:
            return self._read(event, event_id, config)
        except BadEvent as refusal:
            refusal.event_id = event_id
            raise

    def _read(self, event: Fields, event_id: str | None, config: SessionConfig) -> ClientEvent:
        match event.get("type"):
            case None:
                raise BadEvent("invalid_event", "The 'type' field is missing.")
            case "input_audio_buffer.append":
                audio = read.optional_audio(event, "audio", "", most_bytes=self._limits.append_bytes)
                if audio is None:
                    raise read.missing("audio")
                return InputAudioBufferAppend(audio=audio, event_id=event_id)
            case "input_audio_buffer.commit":
                return input_audio.InputAudioBufferCommit(event_id=event_id)
            case "input_audio_buffer.clear":
                return input_audio.InputAudioBufferClear(event_id=event_id)
            case "output_audio_buffer.clear":
                return output_audio.OutputAudioBufferClear(event_id=event_id)
            case "response.create":
                create = create_of(event, config, self.dialect, self._limits, serves_mcp=self._serves_mcp)
                return msgspec.structs.replace(create, event_id=event_id)
            case "response.cancel":
                return resp.ResponseCancel(response_id=read.optional_text(event, "response_id"), event_id=event_id)
            case "session.update":
                return self._update(event, event_id, config)
            case "transcription_session.update" if self.dialect is Dialect.BETA:
                return self._update(event, event_id, config, type="transcription")
            case str() as kind if kind.startswith("conversation.item."):
                return self._about_an_item(kind, event, event_id)
            case kind:
                raise self._unknown(kind)

    def _unknown(self, kind: object) -> BadEvent:
        own = (TRANSCRIPTION_UPDATE,) if self.dialect is Dialect.BETA else ()
        return read.unsupported(kind, "type", CLIENT_EVENTS + own)

    def _about_an_item(self, kind: str, event: Fields, event_id: str | None) -> ClientEvent:
        match kind:
            case "conversation.item.create":
                if event.get("item") is None:
                    raise read.missing("item")
                return conv.ConversationItemCreate(
                    item=item_of(event["item"], "item", self.dialect, self._limits, serves_mcp=self._serves_mcp),
                    previous_item_id=read.optional_text(event, "previous_item_id"),
                    event_id=event_id,
                )
            case "conversation.item.retrieve":
                return conv.ConversationItemRetrieve(item_id=read.text(event, "item_id"), event_id=event_id)
            case "conversation.item.delete":
                return conv.ConversationItemDelete(item_id=read.text(event, "item_id"), event_id=event_id)
            case "conversation.item.truncate":
                return self._truncate(event, event_id)
            case _:
                raise self._unknown(kind)

    def _truncate(self, event: Fields, event_id: str | None) -> ClientEvent:
        item_id = read.text(event, "item_id")
        audio_end_ms = read.optional_whole(event, "audio_end_ms")
        if audio_end_ms is None:
            raise read.missing("audio_end_ms")
        return conv.ConversationItemTruncate(
            item_id=item_id,
            audio_end_ms=audio_end_ms,
            content_index=read.optional_whole(event, "content_index") or 0,
            clamps=self.dialect in INWORLDS,
            event_id=event_id,
        )

    def _update(
        self, event: Fields, event_id: str | None, config: SessionConfig, **fixed: str
    ) -> sess.SessionUpdate:
        wanted = event.get("session")
        is_turning = self._choice is _Choice.OPEN and takes_ga_shape(wanted)
        dialect = Dialect.IW if is_turning else self.dialect
        if fixed and isinstance(wanted, dict):
            wanted = {**wanted, **fixed}
        session = merged(config, wanted, dialect, limits=self._limits, serves_mcp=self._serves_mcp)
        if self._choice is _Choice.OPEN:
            self._choice = _Choice.TURNING if is_turning else _Choice.MADE
        return sess.SessionUpdate(session=session, event_id=event_id)

    # -- out -----------------------------------------------------------------------------------------------------

    def encode(self, event: ServerEvent) -> bytes | None:
        """The event in this connection's spelling; None: its dialect has no such event."""
        kind = type(event)
        if kind not in _HOT:
            self._note(event)
        if kind in _UNSPOKEN[self.dialect] or (self.dialect is Dialect.BETA and _is_of_mcp(event)):
            return None
        if type(event) is resp.ResponseDone and not self._tells_costs:
            event = _without_costs(event)
        text = _encoder.encode(event if kind in _HOT else shaped(event, self._told))
        renamed = _RENAMED[self.dialect].get(kind)
        if renamed is None:
            return text
        head_bytes, own_head = renamed
        return own_head + text[head_bytes:]

    def _note(self, event: ServerEvent) -> None:
        """What this event changes for all after it."""
        match event:
            case sess.SessionCreated(session=session) | sess.SessionUpdated(session=session):
                if isinstance(event, sess.SessionUpdated) and self._choice is _Choice.TURNING:
                    self.dialect, self._choice = Dialect.IW, _Choice.MADE
                self._told = replace(
                    self._told,
                    dialect=self.dialect,
                    input_format=session.input_format,
                    output_format=session.output_format,
                )
            case resp.ResponseCreated():
                self._choice = _Choice.MADE  # names do not change under a response
            case _:
                pass
