"""One response on its way: its states, its items, and the order in which its events leave.

The order is the Realtime reference's (sequences, invariants 1-4): created; item added, part added, deltas;
then for everything that was opened its closers; done, exactly once. Nothing of a response follows its done.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

import msgspec

from pipeline.conversation import Conversation
from pipeline.events import mcp as mcp_wire
from pipeline.events import response as wire
from pipeline.events.config import SessionConfig
from pipeline.events.conversation import ConversationItemAdded, ConversationItemDeleted, ConversationItemDone
from pipeline.events.event import ServerEvent
from pipeline.events.items import (
    AnyItem,
    FunctionCall,
    ItemStatus,
    McpApprovalRequest,
    McpCall,
    Message,
    OutputAudio,
    OutputText,
)
from pipeline.heard_text import parted
from pipeline.mcp_calls import Asked
from pipeline.mcp_offer import NOTHING, Offer, Offered
from pipeline.reports import Finished


class ResponseState(enum.Enum):
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    INCOMPLETE = "incomplete"


LEGAL_STEPS: dict[ResponseState, frozenset[ResponseState]] = {
    ResponseState.IN_PROGRESS: frozenset(ResponseState) - {ResponseState.IN_PROGRESS},
    ResponseState.COMPLETED: frozenset(),
    ResponseState.CANCELLED: frozenset(),
    ResponseState.FAILED: frozenset(),
    ResponseState.INCOMPLETE: frozenset(),
}


class IllegalStep(Exception):
    """A response was asked to leave a state for one that cannot follow it: a bug of ours."""


class _Where(TypedDict):
    """The ids that every event of an item carries."""

    response_id: str
    item_id: str
    output_index: int


@dataclass(slots=True)
class _Spoken:
    """The message item that is being written."""

    item_id: str
    output_index: int
    text: str = ""


class Response:
    """One answer, from `response.created` to `response.done`. Every method returns the events that follow.

    `conversation`: where its items go; None for an answer out of band, whose items its own events alone tell.
    """

    def __init__(
        self,
        conversation: Conversation | None,
        make_id: Callable[[str], str],
        config: SessionConfig,
        metadata: dict[str, str] | None = None,
    ) -> None:
        self.id = make_id("resp")
        self.state = ResponseState.IN_PROGRESS
        self.config = config
        self.speaks = config.output_modality == "audio"
        self.calls: list[FunctionCall] = []
        self.offer: Offer = NOTHING
        """The tools of MCP servers its model was told of."""
        self.mcp_calls: list[Asked] = []
        """To be made once it is done."""
        self.remark = ""
        """With which its model was asked."""
        self.promised: str | None = None
        """Of words it is to say word for word, those not made yet; None: a model finds its words."""
        self.is_thought_out = False
        """The model has made all its words."""
        self._conversation = conversation
        self._make_id = make_id
        self._metadata = metadata
        self._output: dict[int, AnyItem] = {}
        self._next_index = 0
        self._spoken: _Spoken | None = None

    @property
    def is_out_of_band(self) -> bool:
        """It joins no conversation."""
        return self._conversation is None

    @property
    def spoken_item_id(self) -> str | None:
        """The message being written, if one is open."""
        return self._spoken.item_id if self._spoken else None

    @property
    def spoken_text(self) -> str:
        """Its words so far."""
        return self._spoken.text if self._spoken else ""

    @property
    def has_all_words(self) -> bool:
        """What it has to say is known to the last word."""
        return self.is_thought_out or self.promised is not None

    def created(self) -> ServerEvent:
        return wire.ResponseCreated(event_id=self._make_id("event"), response=self._snapshot("in_progress"))

    def think(self, text: str) -> list[ServerEvent]:
        """Its worker has made these words."""
        if self.promised:
            self.promised = parted(self.promised, text)[1]
        return self.say(text)

    def say(self, text: str) -> list[ServerEvent]:
        """Words were thought: a transcript delta, or a text delta where nothing is spoken."""
        events: list[ServerEvent] = []
        spoken = self._open_message(events)
        spoken.text += text
        delta = wire.TranscriptDelta if self.speaks else wire.OutputTextDelta
        events.append(delta(event_id=self._make_id("event"), delta=text, **self._where(spoken)))
        return events

    def sound(self, audio: bytes) -> list[ServerEvent]:
        """Sound was made for the message."""
        events: list[ServerEvent] = []
        spoken = self._open_message(events)
        events.append(wire.OutputAudioDelta(event_id=self._make_id("event"), delta=audio, **self._where(spoken)))
        return events

    def settle(self) -> list[ServerEvent]:
        """What was said so far is an item of its own; what follows is another."""
        return self._close_message("completed")

    def call(self, call_id: str, name: str, arguments: str) -> list[ServerEvent]:
        """The model asked for a function, with all its arguments at once."""
        index, item_id = self._take_index(), self._make_id("item")
        opened = FunctionCall(id=item_id, call_id=call_id, name=name, arguments="", status="in_progress")
        item = FunctionCall(id=item_id, call_id=call_id, name=name, arguments=arguments)
        self.calls.append(item)
        where = _Where(response_id=self.id, item_id=item_id, output_index=index)
        return [
            *self._added(opened, index),
            wire.FunctionCallArgumentsDelta(
                event_id=self._make_id("event"), call_id=call_id, delta=arguments, **where
            ),
            wire.FunctionCallArgumentsDone(
                event_id=self._make_id("event"), call_id=call_id, name=name, arguments=arguments, **where
            ),
            *self._done(item, index),
        ]

    def call_mcp(self, offered: Offered, arguments: str) -> list[ServerEvent]:
        """The model asked for a tool of an MCP server. The item is done in the conversation once it has run."""
        index, item_id = self._take_index(), self._make_id("mcp")
        opened = McpCall(id=item_id, server_label=offered.server.server_label, name=offered.tool.name, arguments="")
        item = msgspec.structs.replace(opened, arguments=arguments)
        self.mcp_calls.append(Asked(item, index, offered.server))
        added = self._added(opened, index)
        if self._conversation is not None:
            self._conversation.replace(item)
        where = _Where(response_id=self.id, item_id=item_id, output_index=index)
        return [
            *added,
            mcp_wire.McpCallArgumentsDelta(event_id=self._make_id("event"), delta=arguments, **where),
            mcp_wire.McpCallArgumentsDone(event_id=self._make_id("event"), arguments=arguments, **where),
            self._put_out(item, index),
        ]

    def request_approval(self, offered: Offered, arguments: str) -> tuple[McpApprovalRequest, list[ServerEvent]]:
        """The same of a tool that somebody must agree to first."""
        index = self._take_index()
        item = McpApprovalRequest(
            id=self._make_id("mcpr"),
            server_label=offered.server.server_label,
            name=offered.tool.name,
            arguments=arguments,
        )
        return item, [*self._added(item, index), *self._done(item, index)]

    def end(
        self,
        state: ResponseState,
        details: wire.StatusDetails | None = None,
        usage: wire.Usage | None = None,
    ) -> list[ServerEvent]:
        """Close everything that was opened, then the response. `IllegalStep` if it has ended before."""
        if state not in LEGAL_STEPS[self.state]:
            raise IllegalStep(f"response {self.id}: {self.state.value} cannot become {state.value}")
        self.state = state
        events = self._close_message("completed" if state is ResponseState.COMPLETED else "incomplete")
        if state not in (ResponseState.COMPLETED, ResponseState.INCOMPLETE):
            events += self._take_back_calls()
        snapshot = self._snapshot(state.value, details, usage or wire.Usage())
        events.append(wire.ResponseDone(event_id=self._make_id("event"), response=snapshot))
        return events

    def _take_back_calls(self) -> list[ServerEvent]:
        """Of a response that was broken off nothing is run, so its calls leave the conversation again."""
        taken, self.mcp_calls = self.mcp_calls, []
        conversation, events = self._conversation, list[ServerEvent]()
        for item_id in (call.item.id for call in taken):
            if conversation is not None and conversation.holds(item_id):
                conversation.delete(item_id)
                events.append(ConversationItemDeleted(event_id=self._make_id("event"), item_id=item_id))
        return events

    def _open_message(self, events: list[ServerEvent]) -> _Spoken:
        if self._spoken is not None:
            return self._spoken
        index = self._take_index()
        self._spoken = _Spoken(item_id=self._make_id("item"), output_index=index)
        item = Message(id=self._spoken.item_id, role="assistant", content=(), status="in_progress")
        events += self._added(item, index)
        part: wire.Part = wire.AudioPart(transcript="") if self.speaks else wire.TextPart(text="")
        events.append(
            wire.ContentPartAdded(event_id=self._make_id("event"), part=part, **self._where(self._spoken))
        )
        return self._spoken

    def _close_message(self, status: ItemStatus) -> list[ServerEvent]:
        spoken, self._spoken = self._spoken, None
        if spoken is None:
            return []
        where, make_id = self._where(spoken), self._make_id
        events: list[ServerEvent] = []
        part: wire.Part
        content: OutputAudio | OutputText
        if self.speaks:
            events.append(wire.OutputAudioDone(event_id=make_id("event"), **where))
            events.append(wire.TranscriptDone(event_id=make_id("event"), transcript=spoken.text, **where))
            part, content = wire.AudioPart(transcript=spoken.text), OutputAudio(transcript=spoken.text)
        else:
            events.append(wire.OutputTextDone(event_id=make_id("event"), text=spoken.text, **where))
            part, content = wire.TextPart(text=spoken.text), OutputText(text=spoken.text)
        events.append(wire.ContentPartDone(event_id=make_id("event"), part=part, **where))
        item = Message(id=spoken.item_id, role="assistant", content=(content,), status=status)
        return events + self._done(item, spoken.output_index)

    def _where(self, spoken: _Spoken) -> _Where:
        return _Where(response_id=self.id, item_id=spoken.item_id, output_index=spoken.output_index)

    def _take_index(self) -> int:
        index, self._next_index = self._next_index, self._next_index + 1
        return index

    def _added(self, item: AnyItem, index: int) -> list[ServerEvent]:
        added: ServerEvent = wire.OutputItemAdded(
            event_id=self._make_id("event"), response_id=self.id, output_index=index, item=item
        )
        if self._conversation is None:
            return [added]
        previous = self._conversation.add(item)
        return [
            added,
            ConversationItemAdded(event_id=self._make_id("event"), previous_item_id=previous, item=item),
        ]

    def _done(self, item: AnyItem, index: int) -> list[ServerEvent]:
        done = self._put_out(item, index)
        if self._conversation is None or not self._conversation.holds(item.id):
            return [done]  # out of band, or the peer deleted it while it was being written
        self._conversation.replace(item)
        previous = self._conversation.previous(item.id)
        return [
            ConversationItemDone(event_id=self._make_id("event"), previous_item_id=previous, item=item),
            done,
        ]

    def _put_out(self, item: AnyItem, index: int) -> ServerEvent:
        self._output[index] = item
        return wire.OutputItemDone(
            event_id=self._make_id("event"), response_id=self.id, output_index=index, item=item
        )

    def _snapshot(
        self,
        status: wire.ResponseStatus,
        details: wire.StatusDetails | None = None,
        usage: wire.Usage | None = None,
    ) -> wire.ResponseSnapshot:
        return wire.ResponseSnapshot(
            id=self.id,
            status=status,
            conversation_id=None if self._conversation is None else self._conversation.id,
            output=tuple(self._output[index] for index in sorted(self._output)),
            status_details=details,
            metadata=self._metadata,
            usage=usage,
            output_modality=self.config.output_modality,
            max_output_tokens=self.config.max_output_tokens,
            voice=self.config.voice,
            output_format=self.config.output_format,
            temperature=self.config.temperature,
        )


def usage_of(finished: Finished) -> wire.Usage:
    """What an answer took, as its `response.done` says it."""
    return wire.Usage(
        input_tokens=finished.input_tokens,
        cached_tokens=finished.cached_tokens,
        output_tokens=finished.output_tokens,
        input_audio_tokens=finished.input_audio_tokens,
        cached_audio_tokens=finished.cached_audio_tokens,
        output_audio_tokens=finished.output_audio_tokens,
        used=finished.used,
    )


def already_active(response_id: str) -> str:
    """Why no other response may begin in the conversation."""
    return (
        f"Conversation already has an active response in progress: {response_id}. "
        "Wait until the response is finished before creating a new one."
    )
