"""What a peer asks of sound that is made: to play no more of it, or to count no more of it as heard. Pure."""

from __future__ import annotations

from typing import TypeAlias

from pipeline import commands
from pipeline.answers import Answers
from pipeline.events import conversation as conv
from pipeline.events.event import ServerEvent
from pipeline.item_requests import ItemRequests
from pipeline.output_line import OutputLine

Output: TypeAlias = ServerEvent | commands.Command


class OutputRequests:
    """Of one session."""

    def __init__(self, answers: Answers, items: ItemRequests, line: OutputLine) -> None:
        self._answers = answers
        self._items = items
        self._line = line

    def clear(self) -> list[Output]:
        """Nothing of what we play is to be heard any more, and what speaks stops; a client that plays for itself
        clears its own buffer."""
        if not self._line.is_sounding:
            return []
        active = self._answers.active
        if active is not None and not active.speaks:
            return [commands.Flush()]
        stops, closers = self._answers.interrupt("client_cancelled")
        return [*stops, *closers]

    def truncate(self, event: conv.ConversationItemTruncate) -> list[Output]:
        """A client that plays for itself says how much of an item was heard; what is being spoken stops."""
        active = self._answers.active
        is_being_spoken = active is not None and active.speaks and active.spoken_item_id == event.item_id
        if refusal := self._items.refusal_of(event, is_being_spoken=is_being_spoken):
            return [*refusal]
        if self._line.is_sounding:
            text = (
                "This session's sound is played on a line of its own. output_audio_buffer.clear stops it, and "
                "truncates what was not heard to its end."
            )
            return [*self._items.refused("invalid_value", text, "item_id", event.event_id)]
        stops, closers = self._answers.cancel("client_cancelled", cut_follows=True) if is_being_spoken else ([], [])
        return [*stops, *closers, *self._items.truncate(event)]
