"""A judge of everything a session puts out: it keeps its own books from the events alone and knows the rules.

The rules are the Realtime reference's invariants of event order, and the ledger's: what is cut was sent and, where
we play it, heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.audio.formats import PCMU
from pipeline.commands import Cancel, Command, Flush, HangUp, Respond
from pipeline.events import conversation as conv
from pipeline.events import response as resp
from pipeline.events.items import Message
from pipeline.session import Output


@dataclass
class Line:
    """An item's stretch of the output, in samples."""

    begins: int
    samples: int = 0


@dataclass
class Judge:
    """Raises AssertionError at the first output that breaks a rule."""

    active: str | None = None
    seen: set[str] = field(default_factory=set)
    """Responses created so far."""
    order: list[str] = field(default_factory=list)
    """The conversation, by its events."""
    unfinished: set[str] = field(default_factory=set)
    """Items added to it and not yet done."""
    open_items: set[str] = field(default_factory=set)
    """Of the active response, between `output_item.added` and `.done`."""
    open_parts: set[str] = field(default_factory=set)
    lines: dict[str, Line] = field(default_factory=dict)
    end: int = 0
    position: int = 0
    has_hung_up: bool = False

    def see(self, outputs: Sequence[Output], *, is_flush: bool = False) -> None:
        """One list, as the session returned it. `is_flush`: it answers a flush, so cuts are to what was heard."""
        has_begun = False
        for place, output in enumerate(outputs):
            if isinstance(output, Cancel | Flush):
                assert not has_begun, "what stops sound stands first"
            has_begun |= not isinstance(output, Command)
            match output:
                case Respond(response_id=response_id):
                    before = outputs[place - 1]
                    assert isinstance(before, resp.ResponseCreated) and before.response.id == response_id
                    assert all(item.text for item in output.prompt.items if isinstance(item, Message))
                case HangUp():
                    assert not self.has_hung_up
                    self.has_hung_up = True
                case conv.ConversationItemTruncated():
                    self._see_cut(output, is_flush)
                case _:
                    self._see_response(output)
                    self._see_item(output)

    def flushed(self, position: int) -> None:
        self.position = max(self.position, min(position, self.end))
        self.end = self.position

    def played(self, position: int) -> None:
        self.position = max(self.position, min(position, self.end))

    def see_end(self, order: list[str]) -> None:
        """Nothing follows any more; the session says the conversation is in this order."""
        assert self.active is None, "every response that was created is done"
        assert not self.unfinished, "every item that was added is done, or deleted"
        assert self.order == order

    def _see_response(self, event: Output) -> None:
        match event:
            case resp.ResponseCreated(response=response):
                assert self.active is None, "one at a time"
                assert response.id not in self.seen
                assert (response.status, response.output) == ("in_progress", ())
                self.active = response.id
                self.seen.add(response.id)
            case resp.ResponseDone(response=response):
                assert response.id == self.active, "once, and nothing of it later"
                assert not self.open_items and not self.open_parts
                assert response.status != "in_progress" and response.usage is not None
                assert (response.status_details is None) == (response.status == "completed")
                self.active = None
            case resp.OutputItemAdded(response_id=response_id, item=item):
                assert response_id == self.active
                self.open_items.add(item.id)
            case resp.OutputItemDone(response_id=response_id, item=item):
                assert response_id == self.active and item.id not in self.open_parts
                self.open_items.remove(item.id)
            case resp.ContentPartAdded(response_id=response_id, item_id=item_id):
                assert response_id == self.active and item_id in self.open_items
                self.open_parts.add(item_id)
            case resp.ContentPartDone(response_id=response_id, item_id=item_id):
                assert response_id == self.active
                self.open_parts.remove(item_id)
            case resp.FunctionCallArgumentsDelta() | resp.FunctionCallArgumentsDone():
                assert event.response_id == self.active and event.item_id in self.open_items
            case (
                resp.OutputAudioDelta()
                | resp.OutputAudioDone()
                | resp.OutputTextDelta()
                | resp.OutputTextDone()
                | resp.TranscriptDelta()
                | resp.TranscriptDone()
            ):
                assert event.response_id == self.active and event.item_id in self.open_parts
                if isinstance(event, resp.OutputAudioDelta):
                    line = self.lines.setdefault(event.item_id, Line(self.end))
                    line.samples += len(event.delta)
                    self.end += len(event.delta)
            case _:
                pass

    def _see_item(self, event: Output) -> None:
        match event:
            case conv.ConversationItemAdded(previous_item_id=previous, item=item):
                assert item.id not in self.order
                self.order.insert(self.order.index(previous) + 1 if previous else 0, item.id)
                self.unfinished.add(item.id)
            case conv.ConversationItemDone(previous_item_id=previous, item=item):
                place = self.order.index(item.id)
                assert previous == (self.order[place - 1] if place else None)
                assert item.id in self.unfinished, "done once"
                self.unfinished.remove(item.id)
            case conv.ConversationItemDeleted(item_id=item_id):
                self.order.remove(item_id)
                self.unfinished.discard(item_id)
            case _:
                pass

    def _see_cut(self, cut: conv.ConversationItemTruncated, is_flush: bool) -> None:
        assert cut.item_id in self.order
        line = self.lines.get(cut.item_id, Line(self.end))
        assert 0 <= cut.audio_end_ms <= PCMU.ms_in(line.samples)
        if is_flush:
            assert cut.audio_end_ms <= max(0.0, PCMU.ms_in(self.position - line.begins))
