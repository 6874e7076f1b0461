"""What was said in a call, as fields of its hash in Redis: one for each item, one for its configuration, one for
the rest. Pure.

Only what has changed since the last write is written again. Items and configurations never change, they are
replaced, so looking whether one is the very same object is enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pipeline.events.config import SessionConfig
from pipeline.events.items import AnyItem
from pipeline.limits import Limits
from pipeline.snapshot import (
    Snapshot,
    Unreadable,
    decoded,
    decoded_config,
    decoded_item,
    encoded,
    encoded_config,
    encoded_item,
)

ITEM: Final = b"item:"
"""Before the id of an item, as a field."""
CONFIG: Final = b"config"
REST: Final = b"talk"


@dataclass(slots=True)
class Written:
    """What stands in Redis of a conversation."""

    items: dict[str, AnyItem] = field(default_factory=dict)
    config: SessionConfig | None = None
    rest: bytes = b""


@dataclass(frozen=True, slots=True)
class Difference:
    """What is to be written."""

    set: tuple[bytes, ...]
    """Fields and their values, in turn."""
    gone: tuple[bytes, ...]
    after: Written

    @property
    def is_nothing(self) -> bool:
        return not (self.set or self.gone)


def difference(snapshot: Snapshot, before: Written) -> Difference:
    """What has to be written, so that Redis has what the snapshot has."""
    items = {item.id: item for item in snapshot.items}
    changed: list[bytes] = []
    for item_id, item in items.items():
        if before.items.get(item_id) is not item:
            changed += (ITEM + item_id.encode(), encoded_item(item))
    if snapshot.config is not before.config:
        changed += (CONFIG, encoded_config(snapshot.config))
    rest = encoded(snapshot)
    if rest != before.rest:
        changed += (REST, rest)
    gone = tuple(ITEM + item_id.encode() for item_id in before.items if item_id not in items)
    return Difference(tuple(changed), gone, Written(items, snapshot.config, rest))


@dataclass(frozen=True, slots=True)
class Talk:
    """What was said, as it was read."""

    items: tuple[AnyItem, ...]
    config: bytes
    rest: bytes

    def snapshot(self, base: SessionConfig, limits: Limits) -> Snapshot:
        """`base`: what a new session of this call would begin with. Raises `Unreadable`."""
        config = decoded_config(self.config, base, limits) if self.config else base
        return decoded(self.rest, self.items, config)


def talk_of(fields: Mapping[bytes, bytes]) -> Talk | None:
    """The conversation a hash holds; None if there is none. An item that cannot be read is left out."""
    rest = fields.get(REST)
    if rest is None:
        return None
    items = []
    for name, value in fields.items():
        if name.startswith(ITEM):
            try:
                items.append(decoded_item(value))
            except Unreadable:
                continue  # of another version; better a gap than a new beginning
    return Talk(tuple(items), fields.get(CONFIG, b""), rest)
