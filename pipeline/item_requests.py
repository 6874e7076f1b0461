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
from pipeline.events.items import Item, Message, OutputAudio
from pipeline.playback_ledger import Heard, PlaybackLedger

TRUNCATE_SLACK_MS = 250
"""A peer's playback clock may run a little past the end of the sound; stock clients overshoot by up to 50 ms a
queued item. Within this, the position is clamped instead of refused."""


class ItemRequests:
    """The conversation as its peer may change it."""

    def __init__(self, conversation: Conversation, ledger: PlaybackLedger, make_id: Callable[[str], str]) -> None:
        self._conversation = conversation
        self._ledger = ledger
        self._make_id = make_id

    def added(self, item: Item, previous_item_id: str | None = None) -> list[ServerEvent]:
        """Put a whole item into the conversation. Raises `DuplicateItem` or `UnknownItem`."""
        previous = self._conversation.add(item, previous_item_id)
        return [
            wire.ConversationItemAdded(event_id=self._make_id("event"), previous_item_id=previous, item=item),
            wire.ConversationItemDone(event_id=self._make_id("event"), previous_item_id=previous, item=item),
        ]

    def create(self, event: wire.ConversationItemCreate) -> list[ServerEvent]:
        item = event.item if event.item.id else msgspec.structs.replace(event.item, id=self._make_id("item"))
        try:
            return self.added(item, event.previous_item_id)
        except DuplicateItem as error:
            return self.refused("item_create_duplicate_item_id", str(error), "item.id", event.event_id)
        except UnknownItem as error:
            code = "item_create_invalid_previous_item_id"
            return self.refused(code, str(error), "previous_item_id", event.event_id)

    def retrieve(self, event: wire.ConversationItemRetrieve) -> list[ServerEvent]:
        try:
            item = self._conversation.find(event.item_id)
        except UnknownItem as error:
            return self.refused("item_retrieve_invalid_item_id", str(error), "item_id", event.event_id)
        return [wire.ConversationItemRetrieved(event_id=self._make_id("event"), item=item)]

    def delete(self, event: wire.ConversationItemDelete) -> list[ServerEvent]:
        try:
            self._conversation.delete(event.item_id)
        except UnknownItem as error:
            return self.refused("item_delete_invalid_item_id", str(error), "item_id", event.event_id)
        return [wire.ConversationItemDeleted(event_id=self._make_id("event"), item_id=event.item_id)]

    def refusal_of(self, event: wire.ConversationItemTruncate) -> list[ServerEvent]:
        """The error that a truncation deserves; empty if it can be done."""
        if not self._conversation.holds(event.item_id):
            text = str(UnknownItem(event.item_id))
            return self.refused("item_truncate_invalid_item_id", text, "item_id", event.event_id)
        kept_ms = self._ledger.kept_ms(event.item_id)
        if kept_ms is None:
            text = "Only model output audio messages can be truncated"
            return self.refused("invalid_value", text, "item_id", event.event_id)
        if event.content_index != 0:
            text = f"Invalid value: {event.content_index}. A spoken item has one content part, 0."
            return self.refused("invalid_value", text, "content_index", event.event_id)
        if not 0 <= event.audio_end_ms <= kept_ms + TRUNCATE_SLACK_MS:
            text = f"Audio content of {kept_ms}ms is already shorter than {event.audio_end_ms}ms"
            return self.refused("invalid_value", text, "audio_end_ms", event.event_id)
        return []

    def truncate(self, event: wire.ConversationItemTruncate) -> list[ServerEvent]:
        """Keep of an assistant's spoken item only what the peer says it has played. Ask `refusal_of` first."""
        return self.cut(self._ledger.truncate(event.item_id, event.audio_end_ms))

    def cut(self, heard: Heard) -> list[ServerEvent]:
        """Only this much of an item was heard: from now on, that is all it ever said."""
        if not self._conversation.holds(heard.item_id):
            return []  # deleted while it was playing
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

    def refused(
        self, code: str, message: str, param: str | None = None, event_id: str | None = None
    ) -> list[ServerEvent]:
        """The peer's mistake, told once; the session goes on."""
        detail = ErrorDetail(
            type="invalid_request_error", code=code, message=message, param=param, event_id=event_id
        )
        return [ErrorEvent(event_id=self._make_id("event"), error=detail)]
