"""What a peer may ask of the conversation's items: create, retrieve, truncate, delete. Pure, like the session.

Each answer is the list of events that follows; what cannot be done is one `error` event with the reference's
code, and leaves everything as it was.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pipeline.conversation import Conversation, DuplicateItem, UnknownItem
from pipeline.events import conversation as wire
from pipeline.events.error import ErrorDetail, ErrorEvent
from pipeline.events.event import ServerEvent
from pipeline.events.items import (
    AnyItem,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    ItemReference,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    Message,
    OutputAudio,
)
from pipeline.events.refusal import BadEvent
from pipeline.limits import Limits
from pipeline.output_line import OutputLine
from pipeline.playback_ledger import Heard

TRUNCATE_SLACK_MS = 250
"""A peer's playback clock may run a little past the end of the sound; stock clients overshoot by up to 50 ms a
queued item. Within this, the position is clamped instead of refused."""


class ItemRequests:
    """The conversation as its peer may change it. `takes_images`: the model has eyes."""

    def __init__(
        self,
        conversation: Conversation,
        line: OutputLine,
        make_id: Callable[[str], str],
        limits: Limits,
        *,
        takes_images: bool,
    ) -> None:
        self._conversation = conversation
        self._line = line
        self._make_id = make_id
        self._limits = limits
        self._takes_images = takes_images
        self._created: dict[str, int] = {}
        """The size of each item the peer has put in, in bytes."""
        self._created_bytes = 0
        self._truncated: set[str] = set()

    def added(self, item: AnyItem, previous_item_id: str | None = None) -> list[ServerEvent]:
        """Put a whole item into the conversation. Raises `DuplicateItem` or `UnknownItem`."""
        previous = self._conversation.add(item, previous_item_id)
        return [
            wire.ConversationItemAdded(event_id=self._make_id("event"), previous_item_id=previous, item=item),
            wire.ConversationItemDone(event_id=self._make_id("event"), previous_item_id=previous, item=item),
        ]

    def begun(self, item: AnyItem) -> list[ServerEvent]:
        """Put an item into the conversation, at its end, of which more will be known; `done` follows."""
        previous = self._conversation.add(item)
        return [wire.ConversationItemAdded(event_id=self._make_id("event"), previous_item_id=previous, item=item)]

    def done(self, item: AnyItem) -> list[ServerEvent]:
        """The item as it stays, unless the peer has deleted it meanwhile."""
        if not self._conversation.holds(item.id):
            return []
        self._conversation.replace(item)
        previous = self._conversation.previous(item.id)
        return [wire.ConversationItemDone(event_id=self._make_id("event"), previous_item_id=previous, item=item)]

    def makes_room(self, item_id: str, size: int) -> bool:
        """Whether the conversation can take so many bytes that a stranger puts into an item; they count."""
        fits = (
            size <= self._limits.item_words_bytes and self._created_bytes + size <= self._limits.conversation_bytes
        )
        if fits and self._conversation.holds(item_id):
            self._created[item_id] = self._created.get(item_id, 0) + size
            self._created_bytes += size
        return fits

    def create(self, event: wire.ConversationItemCreate) -> tuple[AnyItem, bytes, list[ServerEvent]]:
        """The item as it now stands in the conversation, the sound that came with it, and the events.

        Raises `BadEvent`. The sound is kept for whoever retrieves it; its words are to be found out, unless the
        peer has told them.
        """
        item = event.item if event.item.id else msgspec.structs.replace(event.item, id=self._make_id("item"))
        self._check(item)
        item, sound = _without_sound(item)
        size = len(msgspec.json.encode(item))
        if self._created_bytes + size > self._limits.conversation_bytes:
            text = (
                f"The conversation would hold more than {self._limits.conversation_bytes} bytes of created items."
            )
            raise BadEvent("conversation_full", text, "item")
        try:
            events = self.added(item, event.previous_item_id)
        except DuplicateItem as error:
            raise BadEvent("item_create_duplicate_item_id", str(error), "item.id") from error
        except UnknownItem as error:
            code = "item_create_invalid_previous_item_id"
            raise BadEvent(code, str(error), "previous_item_id") from error
        self._created[item.id] = size
        self._created_bytes += size
        self._line.kept.write(item.id, sound)
        return item, sound, events

    def _check(self, item: AnyItem) -> None:
        if len(self._conversation) >= self._limits.items:
            text = f"The conversation has {self._limits.items} items already. Delete some first."
            raise BadEvent("conversation_full", text, "item")
        if isinstance(item, FunctionCallOutput) and not any(
            isinstance(other, FunctionCall) and other.call_id == item.call_id for other in self._conversation.items
        ):
            text = f"Invalid value: {item.call_id!r}. No function call with this call_id is in the conversation."
            raise BadEvent("invalid_value", text, "item.call_id")
        if _words_bytes(item) > self._limits.item_words_bytes:
            text = f"An item holds at most {self._limits.item_words_bytes} bytes of text. Split it into several."
            raise BadEvent("invalid_value", text, "item")
        if isinstance(item, Message):
            self._check_images(item, "item")

    def _check_images(self, item: Message, param: str) -> None:
        if item.images and not self._takes_images:
            place = item.content.index(item.images[0])
            text = "Invalid value: 'input_image'. The language model of this session does not take images."
            raise BadEvent("invalid_value", text, f"{param}.content[{place}].type")

    def resolve(self, asked: tuple[AnyItem | ItemReference, ...]) -> tuple[AnyItem, ...]:
        """The input of a response, with each reference replaced by its item. Raises `BadEvent`."""
        items: list[AnyItem] = []
        for place, item in enumerate(asked):
            param = f"response.input[{place}]"
            if isinstance(item, ItemReference):
                if not self._conversation.holds(item.id):
                    text = f"Invalid value: {item.id!r}. No item with this id is in the conversation."
                    raise BadEvent("invalid_value", text, f"{param}.id")
                item = self._conversation.find(item.id)
            elif isinstance(item, Message):
                self._check_images(item, param)
                if _without_sound(item)[1]:
                    text = "Sound must be put into the conversation first; refer to its item here."
                    raise BadEvent("invalid_value", text, f"{param}.content")
            items.append(item)
        return tuple(items)

    def retrieve(self, event: wire.ConversationItemRetrieve) -> list[ServerEvent]:
        try:
            item = self._conversation.find(event.item_id)
        except UnknownItem as error:
            return self.refused("item_retrieve_invalid_item_id", str(error), "item_id", event.event_id)
        if isinstance(item, Message):
            item = self._with_sound(item)
        return [wire.ConversationItemRetrieved(event_id=self._make_id("event"), item=item)]

    def _with_sound(self, item: Message) -> Message:
        """The item with what is kept of its sound. A truncated one has lost its transcript, as the protocol has it;
        the model is still told what of it was heard."""
        content, sound = [], self._line.kept.of(item.id)
        for part in item.content:
            if isinstance(part, OutputAudio) and item.id in self._truncated:
                part = OutputAudio()
            if sound is not None and isinstance(part, InputAudio | OutputAudio):
                part, sound = msgspec.structs.replace(part, audio=sound), None
            content.append(part)
        return msgspec.structs.replace(item, content=tuple(content))

    def delete(self, event: wire.ConversationItemDelete) -> list[ServerEvent]:
        try:
            self._conversation.delete(event.item_id)
        except UnknownItem as error:
            return self.refused("item_delete_invalid_item_id", str(error), "item_id", event.event_id)
        self._created_bytes -= self._created.pop(event.item_id, 0)
        self._line.kept.drop(event.item_id)
        return [wire.ConversationItemDeleted(event_id=self._make_id("event"), item_id=event.item_id)]

    def refusal_of(self, event: wire.ConversationItemTruncate, *, is_being_spoken: bool) -> list[ServerEvent]:
        """The error that a truncation deserves; empty if it can be done.

        `is_being_spoken`: of the item more sound will be made, and perhaps none was yet.
        """
        if not self._conversation.holds(event.item_id):
            text = str(UnknownItem(event.item_id))
            return self.refused("item_truncate_invalid_item_id", text, "item_id", event.event_id)
        kept_ms = self._line.ledger.kept_ms(event.item_id)
        if kept_ms is None and is_being_spoken:
            kept_ms = 0
        if kept_ms is None:
            text = "Only model output audio messages can be truncated"
            return self.refused("invalid_value", text, "item_id", event.event_id)
        if event.content_index != 0:
            text = f"Invalid value: {event.content_index}. A spoken item has one content part, 0."
            return self.refused("invalid_value", text, "content_index", event.event_id)
        most_ms = event.audio_end_ms if event.clamps else kept_ms + TRUNCATE_SLACK_MS
        if not 0 <= event.audio_end_ms <= most_ms:
            text = f"Audio content of {kept_ms}ms is already shorter than {event.audio_end_ms}ms"
            return self.refused("invalid_value", text, "audio_end_ms", event.event_id)
        return []

    def truncate(self, event: wire.ConversationItemTruncate) -> list[ServerEvent]:
        """Keep of an assistant's spoken item only what the peer says it has played. Ask `refusal_of` first."""
        ledger = self._line.ledger
        has_sound = ledger.holds(event.item_id)
        return self.cut(
            ledger.truncate(event.item_id, event.audio_end_ms) if has_sound else ledger.made(event.item_id)
        )

    def cut(self, heard: Heard) -> list[ServerEvent]:
        """Only this much of an item was heard: from now on, that is all it ever said."""
        self._line.kept.cut(heard.item_id, self._line.format.bytes_in(heard.ms))
        if not self._conversation.holds(heard.item_id):
            return []  # deleted while it was playing
        self._truncated.add(heard.item_id)
        self._conversation.replace(
            Message(
                id=heard.item_id,
                role="assistant",
                content=(OutputAudio(transcript=heard.text),),
                status="incomplete",
            )
        )
        return [
            wire.ConversationItemTruncated(
                event_id=self._make_id("event"),
                item_id=heard.item_id,
                content_index=0,
                audio_end_ms=heard.ms,
            )
        ]

    def refusal(self, bad: BadEvent, event_id: str | None) -> list[ServerEvent]:
        return self.refused(bad.code, bad.message, bad.param, event_id)

    def refused(
        self, code: str, message: str, param: str | None = None, event_id: str | None = None
    ) -> list[ServerEvent]:
        """The peer's mistake, told once; the session goes on."""
        detail = ErrorDetail(
            type="invalid_request_error", code=code, message=message, param=param, event_id=event_id
        )
        return [ErrorEvent(event_id=self._make_id("event"), error=detail)]


def _without_sound(item: AnyItem) -> tuple[AnyItem, bytes]:
    """The item as everybody sees it, and the sound it came with."""
    if not isinstance(item, Message):
        return item, b""
    sounds = [part.audio for part in item.content if isinstance(part, InputAudio) and part.audio]
    if not sounds:
        return item, b""
    content = tuple(
        InputAudio(transcript=part.transcript) if isinstance(part, InputAudio) else part for part in item.content
    )
    return msgspec.structs.replace(item, content=content), b"".join(sounds)


def lacks_words(item: AnyItem) -> bool:
    """It is sound, and the peer does not say what is said in it."""
    parts = item.content if isinstance(item, Message) else ()
    return any(isinstance(part, InputAudio) and not part.transcript for part in parts)


def _words_bytes(item: AnyItem) -> int:
    """Of all text in an item, as UTF-8."""
    match item:
        case Message():
            return len(item.text.encode())
        case FunctionCall(arguments=text) | FunctionCallOutput(output=text):
            return len(text.encode())
        case McpListTools() | McpCall() | McpApprovalRequest() | McpApprovalResponse():
            return len(msgspec.json.encode(item))
