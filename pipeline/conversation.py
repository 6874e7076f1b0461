"""The conversation: items in order, each found by its id. Knows nothing of sound, responses or the wire."""

from __future__ import annotations

import msgspec

from pipeline.events.items import AnyItem, FunctionCall, FunctionCallOutput, InputAudio, Message

ROOT = "root"
"""As `previous_item_id`: before every other item (Realtime reference, `conversation.item.create`)."""


class UnknownItem(Exception):
    """No item with this id is in the conversation."""

    def __init__(self, item_id: str) -> None:
        super().__init__(f"Item {item_id!r} is not in the conversation.")
        self.item_id = item_id


class DuplicateItem(Exception):
    """An item with this id is already in the conversation."""

    def __init__(self, item_id: str) -> None:
        super().__init__(f"Item {item_id!r} is already in the conversation.")
        self.item_id = item_id


class Conversation:
    """An ordered list of items with unique ids."""

    def __init__(self, conversation_id: str, items: tuple[AnyItem, ...] = ()) -> None:
        self.id = conversation_id
        self._order: list[str] = []
        self._items: dict[str, AnyItem] = {}
        for item in items:
            self.add(item)

    def add(self, item: AnyItem, previous_item_id: str | None = None) -> str | None:
        """Put `item` after `previous_item_id` (None: at the end) and return the id it now stands behind.

        Raises `DuplicateItem` or `UnknownItem`; the conversation is then unchanged.
        """
        if item.id in self._items:
            raise DuplicateItem(item.id)
        if previous_item_id is None:
            place = len(self._order)
        elif previous_item_id == ROOT:
            place = 0
        else:
            self.find(previous_item_id)
            place = self._order.index(previous_item_id) + 1
        self._order.insert(place, item.id)
        self._items[item.id] = item
        return self._order[place - 1] if place else None

    def holds(self, item_id: str) -> bool:
        return item_id in self._items

    def find(self, item_id: str) -> AnyItem:
        """The item, or `UnknownItem`."""
        try:
            return self._items[item_id]
        except KeyError:
            raise UnknownItem(item_id) from None

    def replace(self, item: AnyItem) -> None:
        """Put another version of an item in its place, or raise `UnknownItem`."""
        self.find(item.id)
        self._items[item.id] = item

    def delete(self, item_id: str) -> None:
        """Take the item out, or raise `UnknownItem`."""
        self.find(item_id)
        del self._items[item_id]
        self._order.remove(item_id)

    def previous(self, item_id: str) -> str | None:
        """The id before this one; None for the first."""
        place = self._order.index(item_id)
        return self._order[place - 1] if place else None

    @property
    def last_id(self) -> str | None:
        return self._order[-1] if self._order else None

    @property
    def awaits_output(self) -> bool:
        """A function was called, and what it returned is not here yet."""
        called = {item.call_id for item in self._items.values() if isinstance(item, FunctionCall)}
        returned = {item.call_id for item in self._items.values() if isinstance(item, FunctionCallOutput)}
        return bool(called - returned)

    @property
    def items(self) -> tuple[AnyItem, ...]:
        return tuple(map(self._items.__getitem__, self._order))

    def __len__(self) -> int:
        return len(self._order)

    def hear(self, item_id: str, transcript: str) -> None:
        """Write down what a user's audio item said; with several pieces of sound, all of it stands in the first."""
        item = self._items.get(item_id)
        if not isinstance(item, Message):
            return
        content, words = [], transcript
        for part in item.content:
            is_sound = isinstance(part, InputAudio)
            content.append(InputAudio(transcript=words) if is_sound else part)
            words = "" if is_sound else words
        self._items[item_id] = msgspec.structs.replace(item, content=tuple(content))


def telling(items: tuple[AnyItem, ...]) -> tuple[AnyItem, ...]:
    """Items that tell a model something. Words nobody heard and noise are not among them."""
    return tuple(item for item in items if not isinstance(item, Message) or item.text or item.images)
