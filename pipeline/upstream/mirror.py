"""The mirror: which item of ours is which of the remote's, and what the remote must be told so that both
conversations stay the same. Pure; one for each session with the remote.

The session here is the authority. What the remote made itself (the caller's committed sound, its own answers) is
only noted; everything else it is told, as text. An answer here is one item; the remote may have spoken it in
several.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from pipeline.conversation import ROOT
from pipeline.events import conversation as conv
from pipeline.events.event import ServerEvent
from pipeline.events.items import AnyItem, FunctionCall, FunctionCallOutput, InputAudio, Item, Message
from pipeline.events.response import OutputItemAdded
from pipeline.upstream import requests
from pipeline.upstream.requests import Request


@dataclass(slots=True)
class _Piece:
    """One item of the remote's that is part of one of our answers."""

    item_id: str
    content_index: int
    ms: float = 0.0
    """Of its sound, as far as it has come."""


class Mirror:
    """See the module's docstring. `beta`: the remote names parts of items as the beta did."""

    def __init__(self, *, beta: bool = False) -> None:
        self._beta = beta
        self._theirs: dict[str, str] = {}
        """The remote's item, by ours."""
        self._told: set[str] = set()
        """Those of them that `sync` has told it of."""
        self._versions: Counter[str] = Counter()
        """How often an item was told: a service may not take an id twice."""
        self._pieces: dict[str, list[_Piece]] = {}
        """By response id of ours."""
        self._response_of: dict[str, str] = {}
        """The response that made a message of ours."""
        self._calls: dict[str, str] = {}
        """The remote's item, by its `call_id`."""
        self._call_ids: dict[str, str] = {}
        """The remote's `call_id`, by ours: a tool of an MCP server has one of our own."""
        self._asking: str | None = None
        self._uttered: set[str] = set()
        """What the caller said, by its item here: the remote makes that item itself."""
        self._soundless: dict[str, Message] = {}
        """Items that came with sound, which is still to be brought."""

    # What the remote made

    def utter(self, item_id: str) -> None:
        """The remote will make this item from the sound it is sent."""
        self._uttered.add(item_id)

    def commit(self, item_id: str, theirs: str) -> None:
        """The caller's sound has become an item on both sides."""
        self._theirs[item_id] = theirs

    def write(self, response_id: str, theirs: str, content_index: int = 0, ms: float = 0.0) -> None:
        """The remote has made more of an answer: `ms` of sound, or words alone."""
        pieces = self._pieces.setdefault(response_id, [])
        if not pieces or pieces[-1].item_id != theirs:
            pieces.append(_Piece(theirs, content_index))
        pieces[-1].ms += ms
        if ms:
            pieces[-1].content_index = content_index

    def call(self, call_id: str, theirs: str) -> None:
        """The remote has asked for a function."""
        self._calls[call_id] = theirs

    def asking(self, call_id: str) -> None:
        """The session is told of that call next, and makes an item of it."""
        self._asking = call_id

    def knows(self, theirs: str) -> bool:
        """Whether something here stands for this item of the remote's."""
        pieces = (piece.item_id for answer in self._pieces.values() for piece in answer)
        return theirs in self._calls.values() or theirs in self._theirs.values() or theirs in pieces

    def forget(self, response_id: str) -> list[Request]:
        """Nobody heard anything of this answer: the remote should not believe that it has said it."""
        return [requests.delete(piece.item_id) for piece in self._pieces.pop(response_id, ())]

    def response_of(self, item_id: str) -> str | None:
        """The response of ours that made a message."""
        return self._response_of.get(item_id)

    # What the remote is told

    def see(self, event: ServerEvent) -> list[Request]:
        """What follows for the remote from an event of the session; where only items were added, see `sync`."""
        match event:
            case OutputItemAdded(item=item, response_id=response_id):
                self._bind(item, response_id)
            case conv.ConversationItemAdded(item=Message() as item):
                if item.id not in self._uttered and item.id not in self._response_of and _lacks_words(item):
                    self._soundless[item.id] = item
            case conv.ConversationItemTruncated(item_id=item_id, audio_end_ms=audio_end_ms):
                if item_id not in self._told:
                    return _cut(self._pieces.get(self._response_of.get(item_id, ""), []), audio_end_ms)
                return self._take(item_id)  # it was told as text; what is left of it is told anew
            case conv.ConversationItemDeleted(item_id=item_id):
                return self._take(item_id)
            case _:
                pass
        return []

    def sync(self, items: tuple[Item, ...]) -> list[Request]:
        """Tell the remote what of the conversation it does not have, and take from it what is no more."""
        present = {item.id for item in items}
        told = [request for gone in sorted(self._told - present) for request in self._take(gone)]
        has = [self._has(item) for item in items]
        last_known = max((at for at, one in enumerate(has) if one), default=-1)
        after = ROOT
        for at, item in enumerate(items):
            if not has[at] and _tells(item):
                request = self._create(item)
                if at < last_known:
                    request["previous_item_id"] = after
                told.append(request)
            after = (self._all_of(item) or [after])[-1]
        return told

    def bring(self, item_id: str, sound: bytes) -> Request | None:
        """The sound of an item that came with some; None: the item came without, and is being said."""
        item = self._soundless.pop(item_id, None)
        if item is None:
            return None
        self._uttered.add(item_id)
        self._theirs[item_id] = requests.far_id(item_id)
        return requests.create(item, self._theirs[item_id], sound=sound, beta=self._beta)

    def references(self, items: tuple[Item, ...]) -> list[dict[str, Any]]:
        """Items as the input of a response: those that the remote has by their id, the others whole."""
        told: list[dict[str, Any]] = []
        for item in items:
            if theirs := self._all_of(item):
                told += [{"type": "item_reference", "id": one} for one in theirs]
            elif _tells(item):
                told.append(requests.told(item, beta=self._beta))
        return told

    def _bind(self, item: AnyItem, response_id: str) -> None:
        if isinstance(item, Message):
            self._response_of[item.id] = response_id
        elif self._asking is not None:
            ours = item.call_id if isinstance(item, FunctionCall) else item.id
            self._call_ids[ours], self._asking = self._asking, None

    def _create(self, item: Item) -> Request:
        version = self._versions[item.id]
        self._versions[item.id] += 1
        theirs = requests.far_id(
            f"{item.id} {version}".ljust(requests.LONGEST_ID_CHARS + 1) if version else item.id
        )
        self._theirs[item.id] = theirs
        self._told.add(item.id)
        if isinstance(item, FunctionCall):
            self._calls[item.call_id] = theirs
        elif isinstance(item, FunctionCallOutput):
            call_id = self._call_ids.get(item.call_id, item.call_id)
            return requests.create(
                FunctionCallOutput(id=item.id, call_id=call_id, output=item.output), theirs, beta=self._beta
            )
        return requests.create(item, theirs, beta=self._beta)

    def _has(self, item: Item) -> bool:
        return bool(self._all_of(item)) or item.id in self._uttered

    def _all_of(self, item: Item) -> list[str]:
        if item.id in self._theirs:
            return [self._theirs[item.id]]
        if isinstance(item, FunctionCall):
            call_id = self._call_ids.get(item.call_id, item.call_id)
            return [self._calls[call_id]] if call_id in self._calls else []
        return [piece.item_id for piece in self._pieces.get(self._response_of.get(item.id, ""), ())]

    def _take(self, item_id: str) -> list[Request]:
        """An item is gone here."""
        theirs = [self._theirs.pop(item_id)] if item_id in self._theirs else []
        pieces = self._pieces.pop(self._response_of.pop(item_id, ""), [])
        self._told.discard(item_id)
        self._soundless.pop(item_id, None)
        return [requests.delete(one) for one in (*theirs, *(piece.item_id for piece in pieces))]


def _cut(pieces: list[_Piece], audio_end_ms: int) -> list[Request]:
    """Only so much was heard of an answer; a position past what the remote has sent is its end."""
    told: list[Request] = []
    begins_ms = 0.0
    for piece in pieces:
        kept_ms = min(max(0, int(audio_end_ms - begins_ms)), int(piece.ms))
        if kept_ms == 0 and begins_ms > 0:
            told.append(requests.delete(piece.item_id))
        elif kept_ms < int(piece.ms) or piece is pieces[-1]:
            told.append(requests.truncate(piece.item_id, piece.content_index, kept_ms))
        begins_ms += piece.ms
    return told


def _lacks_words(item: Message) -> bool:
    """The caller said it, and nobody knows what it was."""
    return any(isinstance(part, InputAudio) and not part.transcript for part in item.content)


def _tells(item: Item) -> bool:
    """There is something in it to be told."""
    return not isinstance(item, Message) or bool(item.text or item.images)
