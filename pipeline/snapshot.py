"""A snapshot: what whoever goes on with a conversation must know of it, at any instant of its life. Pure data.

`continuity.py` takes one, `resumption.py` says how to go on from it. As JSON it has three parts, so that what
seldom changes is seldom written: the configuration; each item by itself; and the rest, which names the items in
order. Knows neither where they are kept nor how often one is taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from pipeline.events.config import SessionConfig
from pipeline.events.items import AnyItem
from pipeline.kept_conversation import Unreadable, configured, kept_of
from pipeline.kept_conversation import decoded as decoded_kept
from pipeline.kept_conversation import encoded as encoded_kept
from pipeline.limits import USUAL, Limits
from pipeline.opening import Ending

__all__ = [
    "Snapshot",
    "Spoken",
    "Unreadable",
    "decoded",
    "decoded_config",
    "decoded_item",
    "encoded",
    "encoded_config",
    "encoded_item",
]


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the agent's whose sound is not yet heard to its end."""

    item_id: str
    heard: str
    """Whole words."""
    is_whole: bool
    """All its words are made; otherwise more were to come."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """See the module's docstring."""

    items: tuple[AnyItem, ...]
    """In order. What has not changed since the snapshot before is the very same object. A message under way has the
    words made so far, of the agent's or the caller's."""
    config: SessionConfig
    """The session's own; the same object until it is changed."""
    spoken: tuple[Spoken, ...] = ()
    """In the order they are to be heard."""
    promised: str = ""
    """Of words that are to be said word for word behind those, what is not made yet."""
    owes_answer: bool = False
    """The caller has finished and waits, a function of ours runs, or an answer is not thought out."""
    is_speaking: bool = False
    """The caller is, or has stopped so lately that it may be a pause."""
    remark: str = ""
    """With which the answer under way was asked for."""
    unreturned: tuple[str, ...] = ()
    """`call_id` of functions of ours whose result is not among the items."""
    keys: str = ""
    """Pressed, of an entry that was not finished."""
    ending: Ending | None = None
    """The call is about to end."""


class _Rest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All but items and configuration."""

    v: Literal[1]
    """Of this format."""
    order: tuple[str, ...]
    spoken: tuple[Spoken, ...] = ()
    promised: str = ""
    owes_answer: bool = False
    is_speaking: bool = False
    remark: str = ""
    unreturned: tuple[str, ...] = ()
    keys: str = ""
    ending: Ending | None = None


class _Item(msgspec.Struct, frozen=True, kw_only=True):
    v: Literal[1]
    item: AnyItem


_REST: Final = msgspec.json.Decoder(_Rest)
_ITEM: Final = msgspec.json.Decoder(_Item)


def encoded(snapshot: Snapshot) -> bytes:
    """All but the items themselves, whose ids it has, and the configuration."""
    rest = _Rest(
        v=1,
        order=tuple([item.id for item in snapshot.items]),
        spoken=snapshot.spoken,
        promised=snapshot.promised,
        owes_answer=snapshot.owes_answer,
        is_speaking=snapshot.is_speaking,
        remark=snapshot.remark,
        unreturned=snapshot.unreturned,
        keys=snapshot.keys,
        ending=snapshot.ending,
    )
    return msgspec.json.encode(rest)


def decoded(text: bytes, items: Iterable[AnyItem], config: SessionConfig) -> Snapshot:
    """What `encoded` was given, of `items` in any order, those it does not name left out. Raises `Unreadable`.

    An item that is missing is left out too: it is better to go on without a sentence than to begin anew.
    """
    try:
        rest = _REST.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Unreadable(f"No snapshot: {error}.") from error
    if len(set(rest.order)) < len(rest.order):
        raise Unreadable("No snapshot: it names an item twice.")
    known = {item.id: item for item in items}
    return Snapshot(
        items=tuple(known[item_id] for item_id in rest.order if item_id in known),
        config=config,
        spoken=rest.spoken,
        promised=rest.promised,
        owes_answer=rest.owes_answer,
        is_speaking=rest.is_speaking,
        remark=rest.remark,
        unreturned=rest.unreturned,
        keys=rest.keys,
        ending=rest.ending,
    )


def encoded_item(item: AnyItem) -> bytes:
    return msgspec.json.encode(_Item(v=1, item=item))


def decoded_item(text: bytes) -> AnyItem:
    """What `encoded_item` was given. Raises `Unreadable`."""
    try:
        return _ITEM.decode(text).item
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Unreadable(f"No item: {error}.") from error


def encoded_config(config: SessionConfig) -> bytes:
    """Without the secrets of MCP servers. Dear, and seldom needed: it is the same object until it changes."""
    return encoded_kept(kept_of((), config))


def decoded_config(
    text: bytes, base: SessionConfig, limits: Limits = USUAL, *, serves_mcp: bool = False
) -> SessionConfig:
    """`base`, which is what a new session would begin with, and above it what was kept. Raises `Unreadable`."""
    return configured(decoded_kept(text), base, limits, serves_mcp=serves_mcp)
