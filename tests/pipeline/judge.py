"""A judge of everything a session puts out: it keeps its own books from the outputs alone and knows the rules.

The rules are the Realtime reference's: the invariants of section D, one conversation response at a time (B.0),
playout events in pairs (E.1), transcription deltas that join (rule 10), and the ledger's: what is cut was made and,
where we play it, heard. Each book keeps one of them and raises AssertionError at the first output that breaks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline import commands
from pipeline.audio.formats import PCMU
from pipeline.commands import Command
from pipeline.events import conversation as conv
from pipeline.events import input_audio as heard
from pipeline.events import mcp
from pipeline.events import output_audio as played
from pipeline.events import response as resp
from pipeline.events import session as sess
from pipeline.events.config import ServerVad, SessionConfig
from pipeline.events.error import ErrorEvent
from pipeline.events.items import AnyItem, McpApprovalRequest, McpCall, McpListTools, Message
from pipeline.session import Output

DELTAS = {
    resp.OutputAudioDelta,
    resp.TranscriptDelta,
    resp.OutputTextDelta,
    resp.FunctionCallArgumentsDelta,
    mcp.McpCallArgumentsDelta,
}
CLOSERS: dict[type, tuple[type, ...]] = {
    resp.AudioPart: (resp.OutputAudioDone, resp.TranscriptDone, resp.ContentPartDone),
    resp.TextPart: (resp.OutputTextDone, resp.ContentPartDone),
}
"""Invariant 3, by what was opened; without a part it is a function's arguments."""
ARGUMENTS = (resp.FunctionCallArgumentsDone,)
MCP_ARGUMENTS = (mcp.McpCallArgumentsDone,)


@dataclass
class Open:
    """An item of a response between its `added` and its `done`."""

    index: int
    left: tuple[type, ...] = ARGUMENTS
    """Its closers still to come, in order."""


@dataclass
class Running:
    """A response between its `created` and its `done`."""

    created: resp.ResponseSnapshot
    has_begun: bool = False
    """Somebody was told to make it."""
    items: dict[str, Open] = field(default_factory=dict)
    output: dict[int, AnyItem] = field(default_factory=dict)

    @property
    def is_default(self) -> bool:
        return self.created.conversation_id is not None


@dataclass
class Responses:
    """Invariants 1 to 5."""

    running: dict[str, Running] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    aside_items: set[str] = field(default_factory=set)
    aside_calls: set[str] = field(default_factory=set)

    @property
    def active(self) -> str | None:
        return next((r.created.id for r in self.running.values() if r.is_default), None)

    def see(self, output: Output, before: Output | None) -> None:
        match output:
            case resp.ResponseCreated(response=response):
                assert response.id not in self.seen and (response.status, response.output) == ("in_progress", ())
                assert response.conversation_id is None or self.active is None, "one at a time"
                self.seen.add(response.id)
                self.running[response.id] = Running(response)
            case commands.Respond(response_id=response_id, prompt=prompt):
                assert not self.running[response_id].has_begun
                self.running[response_id].has_begun = True
                assert all(item.text or item.images for item in prompt.items if isinstance(item, Message))
            case resp.ResponseDone(response=response):
                self._see_done(response)
            case resp.OutputItemAdded(response_id=response_id, item=item, output_index=index):
                running = self.running[response_id]
                assert item.id not in running.items and index == len(running.items) + len(running.output)
                closers = MCP_ARGUMENTS if isinstance(item, McpCall) else ARGUMENTS
                running.items[item.id] = Open(index, () if isinstance(item, McpApprovalRequest) else closers)
                if not running.is_default:
                    self.aside_items.add(item.id)
            case resp.OutputItemDone(response_id=response_id, item=item, output_index=index):
                running = self.running[response_id]
                opened = running.items.pop(item.id)
                assert opened == Open(index, ()), "closed in order"
                running.output[index] = item
                if running.is_default and isinstance(before, conv.ConversationItemDone):
                    assert before.item == item
            case resp.OfItem():
                self._see_part(output, before)
            case commands.CallTool(call_id=call_id):
                assert call_id not in self.aside_calls, "the peer's to run"
            case _:
                pass

    def _see_done(self, response: resp.ResponseSnapshot) -> None:
        running = self.running.pop(response.id)  # a KeyError here: never created, or done twice
        assert not running.items, "what was opened is closed"
        assert response.output == tuple(running.output[at] for at in sorted(running.output))
        assert response.status != "in_progress" and response.usage is not None
        assert (response.status_details is None) == (response.status == "completed")
        assert (response.metadata, response.conversation_id) == (
            running.created.metadata,
            running.created.conversation_id,
        )

    def _see_part(self, event: resp.OfItem, before: Output | None) -> None:
        running = self.running[event.response_id]
        opened = running.items[event.item_id]
        if isinstance(event, resp.FunctionCallArgumentsDone) and not running.is_default:
            self.aside_calls.add(event.call_id)
        assert opened.index == event.output_index
        kind = type(event)
        if isinstance(event, resp.ContentPartAdded):
            assert opened.left == ARGUMENTS, "one part each"
            expected = conv.ConversationItemAdded if running.is_default else resp.OutputItemAdded
            assert isinstance(before, expected) and before.item.id == event.item_id
            opened.left = CLOSERS[type(event.part)]
        elif kind in DELTAS:
            assert opened.left and opened.left in (*CLOSERS.values(), ARGUMENTS, MCP_ARGUMENTS), (
                "no delta after its done"
            )
        else:
            assert kind is opened.left[0]
            opened.left = opened.left[1:]


@dataclass
class Items:
    """The conversation, by its events: whole, in order, each id once."""

    order: list[str] = field(default_factory=list)
    unfinished: set[str] = field(default_factory=set)

    def see(self, output: Output, before: Output | None) -> None:
        match output:
            case conv.ConversationItemAdded(previous_item_id=previous, item=item):
                assert item.id not in self.order
                self.order.insert(self.order.index(previous) + 1 if previous else 0, item.id)
                self.unfinished.add(item.id)
                if isinstance(before, resp.OutputItemAdded):
                    assert before.item == item
            case conv.ConversationItemDone(previous_item_id=previous, item=item):
                place = self.order.index(item.id)
                assert previous == (self.order[place - 1] if place else None)
                self.unfinished.remove(item.id)  # a KeyError here: done twice
            case conv.ConversationItemDeleted(item_id=item_id):
                self.order.remove(item_id)
                self.unfinished.discard(item_id)
            case _:
                assert not isinstance(before, resp.OutputItemAdded) or before.item.id not in self.order


@dataclass
class Servers:
    """MCP servers: section D.6. All is asked once, runs after its response, and ends once."""

    listing: set[str] = field(default_factory=set)
    calls: dict[str, str] = field(default_factory=dict)
    """Calls that responses under way have asked for, with the response."""
    may_run: set[str] = field(default_factory=set)
    """Their response is done, or somebody has agreed."""
    running: set[str] = field(default_factory=set)
    commanded: set[str] = field(default_factory=set)

    def see(self, output: Output, before: Output | None, order: list[str]) -> None:
        match output:
            case mcp.ListingInProgress(item_id=item_id):
                assert isinstance(before, conv.ConversationItemAdded) and before.item.id == item_id
                assert isinstance(before.item, McpListTools) and not before.item.tools
                self.listing.add(item_id)
            case commands.ListTools(item_id=item_id):
                assert isinstance(before, mcp.ListingInProgress) and before.item_id == item_id
            case mcp.ListingCompleted(item_id=item_id) | mcp.ListingFailed(item_id=item_id):
                self.listing.remove(item_id)
            case resp.OutputItemAdded(item=McpCall(id=item_id), response_id=response_id):
                self.calls[item_id] = response_id
            case resp.ResponseDone(response=response):
                asked = {item_id for item_id, its in self.calls.items() if its == response.id}
                if response.status in ("completed", "incomplete"):
                    self.may_run |= asked
                else:
                    assert not asked & set(order), "what was broken off leaves no call"
            case conv.ConversationItemAdded(item=McpCall(id=item_id, approval_request_id=str())):
                self.may_run.add(item_id)
            case mcp.McpCallInProgress(item_id=item_id):
                self.may_run.remove(item_id)  # a KeyError here: run twice, or before its time
                self.running.add(item_id)
            case commands.CallMcpTool(item_id=item_id):
                assert item_id in self.running and item_id not in self.commanded
                self.commanded.add(item_id)
            case mcp.McpCallCompleted(item_id=item_id) | mcp.McpCallFailed(item_id=item_id):
                self.running.remove(item_id)
            case conv.ConversationItemDone(item=McpCall(id=item_id) as item) if item_id in self.commanded:
                assert item_id not in self.running and (item.output is None) == isinstance(
                    before, mcp.McpCallFailed
                )
            case _:
                ends = (mcp.ListingCompleted, mcp.ListingFailed, mcp.McpCallCompleted, mcp.McpCallFailed)
                assert (
                    not isinstance(before, ends) or before.item_id not in order or _is_done(output, before.item_id)
                )

    @property
    def unfinished(self) -> set[str]:
        return self.listing | self.running


def _is_done(output: Output, item_id: str) -> bool:
    return isinstance(output, conv.ConversationItemDone) and output.item.id == item_id


@dataclass
class Caller:
    """Turns and their words: invariant 6, sequences D.3, D.4 and D.12."""

    speaking: str | None = None
    open: set[str] = field(default_factory=set)
    """Being transcribed, and not complete."""
    waiting: set[str] = field(default_factory=set)
    """Complete, and their words not known."""
    told: dict[str, str] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)
    """Their words are known, or never will be."""
    answered: set[str] = field(default_factory=set)
    """The peer was told so."""
    last_ms: int = 0
    """Where somebody was last heard."""

    def see(self, output: Output, before: Output | None, config: SessionConfig, is_busy: bool) -> None:
        match output:
            case heard.SpeechStarted(item_id=item_id):
                assert self.speaking is None
                self.speaking = item_id
            case heard.SpeechStopped(item_id=item_id):
                assert self.speaking == item_id
                self.last_ms = output.audio_end_ms
            case heard.InputAudioBufferCommitted(item_id=item_id):
                if isinstance(before, heard.SpeechStopped | heard.TimeoutTriggered):
                    assert before.item_id == item_id
                assert self.speaking in (None, item_id)
                self.speaking = None
            case heard.InputAudioBufferCleared():
                self.speaking = None
            case heard.TimeoutTriggered():
                rule = config.turn_detection
                assert isinstance(rule, ServerVad) and rule.idle_timeout_ms is not None
                assert output.audio_end_ms - output.audio_start_ms >= rule.idle_timeout_ms - 1
                assert self.speaking is None and not self.waiting and not is_busy
                assert output.audio_start_ms >= self.last_ms
            case commands.Transcribe(item_id=item_id):
                assert item_id not in self.open | self.waiting | self.over
                self.open.add(item_id)
            case commands.EndTranscription(item_id=item_id):
                self.open.remove(item_id)
                if item_id not in self.over:
                    self.waiting.add(item_id)
            case commands.DropTranscription(item_id=item_id):
                self.open.remove(item_id)
                self.over.add(item_id)
            case _:
                self._see_words(output, before, config)
        if isinstance(before, heard.SpeechStopped | heard.TimeoutTriggered):
            assert isinstance(output, heard.InputAudioBufferCommitted)
        if isinstance(before, heard.InputAudioBufferCommitted):
            assert isinstance(output, conv.ConversationItemAdded) and output.item.id == before.item_id

    def _see_words(self, output: Output, before: Output | None, config: SessionConfig) -> None:
        match output:
            case conv.TranscriptionDelta(item_id=item_id, delta=delta):
                assert config.transcription is not None and delta and item_id not in self.answered
                self.told[item_id] = self.told.get(item_id, "") + delta
            case conv.TranscriptionCompleted(item_id=item_id, transcript=transcript):
                assert config.transcription is not None and item_id not in self.answered
                self.answered.add(item_id)
                told = self.told.pop(item_id, "")
                is_rest = isinstance(before, conv.TranscriptionDelta) and before.item_id == item_id
                rest = before.delta if is_rest and isinstance(before, conv.TranscriptionDelta) else ""
                if transcript.startswith(told.removesuffix(rest)):
                    assert told == transcript
                else:
                    assert rest == "", "what was told is not taken back, nor told twice"
            case conv.TranscriptionFailedEvent(item_id=item_id):
                assert config.transcription is not None and item_id not in self.answered
                self.answered.add(item_id)
            case _:
                pass


@dataclass
class Stretch:
    """Sound on the output line, in samples of the session's output."""

    begins: int
    samples: int = 0


@dataclass
class Playout:
    """What was made, cut, and heard: section E.1."""

    plays: bool
    lines: dict[str, Stretch] = field(default_factory=dict)
    """By item."""
    sounds: dict[str, Stretch] = field(default_factory=dict)
    """By response."""
    sounding: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    end: int = 0
    position: int = 0

    def see(self, output: Output, responses: Responses, config: SessionConfig, is_flush: bool) -> None:
        match output:
            case resp.OutputAudioDelta(response_id=response_id, item_id=item_id, delta=delta):
                running = responses.running[response_id].created
                if running.conversation_id is not None:
                    format, rate_hz = running.output_format, config.output_format.rate_hz
                    samples = format.samples_in(delta) * rate_hz // format.rate_hz
                    for stretches, whose in ((self.lines, item_id), (self.sounds, response_id)):
                        stretches.setdefault(whose, Stretch(self.end)).samples += samples
                    self.end += samples
            case conv.ConversationItemTruncated(item_id=item_id, audio_end_ms=ms):
                line = self.lines.get(item_id, Stretch(self.end))
                assert 0 <= ms * config.output_format.rate_hz <= line.samples * 1000
                if is_flush:
                    assert ms * config.output_format.rate_hz <= max(0, self.position - line.begins) * 1000
            case played.OutputAudioBufferStarted(response_id=response_id):
                assert self.plays and response_id not in self.sounding | self.ended
                assert self.position > self.sounds[response_id].begins and self.sounds[response_id].samples
                self.sounding.add(response_id)
            case played.OutputAudioBufferStopped(response_id=response_id):
                assert response_id not in responses.running, "after response.done"
                assert self.position >= self.sounds[response_id].begins + self.sounds[response_id].samples
                self.sounding.remove(response_id)
                self.ended.add(response_id)
            case played.OutputAudioBufferCleared(response_id=response_id):
                assert is_flush
                self.sounding.remove(response_id)
                self.ended.add(response_id)
            case _:
                pass

    def move(self, position: int) -> None:
        self.position = max(self.position, min(position, self.end))


class Judge:
    """See the module's docstring. Tell it also what the session is told that no output shows."""

    def __init__(self, *, plays: bool) -> None:
        self.responses = Responses()
        self.items = Items()
        self.servers = Servers()
        self.caller = Caller()
        self.playout = Playout(plays)
        self.config = SessionConfig(output_format=PCMU)
        self.asked: dict[str, str] = {}
        """Responses asked for that were neither created nor refused so far: the event's id, and of the response
        that was under way."""
        self.has_hung_up = False

    def ask(self, event_id: str) -> None:
        """The peer asks for a response, with this as its metadata's `asked`."""
        self.asked[event_id] = self.responses.active or ""

    def see(self, outputs: Sequence[Output], *, event_id: str | None = None, is_flush: bool = False) -> None:
        """One list, as the session returned it. `event_id`: of the event it answers. `is_flush`: it answers a
        flush, so cuts are to what was heard."""
        has_begun, before = False, None
        for output in outputs:
            if isinstance(output, commands.Cancel | commands.Flush):
                assert not has_begun, "what stops sound stands first"
            has_begun |= not isinstance(output, Command)
            self._see_session(output, event_id)
            if isinstance(output, commands.Respond):
                is_new = isinstance(before, resp.ResponseCreated) and before.response.id == output.response_id
                assert is_new or not self.caller.waiting, "what was held waits for all that was said"
            self.caller.see(output, before, self.config, self.responses.active is not None)
            self.items.see(output, before)
            self.servers.see(output, before, self.items.order)
            self.responses.see(output, before)
            self.playout.see(output, self.responses, self.config, is_flush)
            before = output

    def _see_session(self, output: Output, event_id: str | None) -> None:
        match output:
            case sess.SessionCreated(session=config):
                self.config = config
            case sess.SessionUpdated(session=config):
                if self.caller.open | self.caller.over | self.caller.waiting:
                    assert config.input_format == self.config.input_format, "sound was heard in it"
                if self.playout.end:
                    assert config.output_format == self.config.output_format, "sound was made in it"
                self.config = config
            case commands.HangUp():
                assert not self.has_hung_up
                self.has_hung_up = True
            case ErrorEvent(error=error):
                assert error.event_id is not None and error.event_id in {event_id, *self.asked}
                self.asked.pop(error.event_id, None)
            case resp.ResponseCreated(response=response):
                assert self.config.type == "realtime"
                self.asked.pop((response.metadata or {}).get("asked", ""), None)
            case _:
                pass

    def verdict(self, item_id: str) -> None:
        """The words of an utterance are about to be reported, or that there are none."""
        if item_id in self.caller.open | self.caller.waiting:
            self.caller.waiting.discard(item_id)
            self.caller.over.add(item_id)

    def rest(self) -> None:
        """All that follows from one input has been seen."""
        active = self.responses.active
        if not self.caller.waiting and not self.servers.listing:
            assert all(r.has_begun for r in self.responses.running.values()), "a response that was held begins"
        assert list(self.asked.values()) in ([], [active]), "one may wait, for the one that runs"
        assert not self.responses.aside_items & set(self.items.order), "out of band is out of the conversation"

    def see_end(self, order: list[str]) -> None:
        """Nothing follows any more; the session says the conversation is in this order."""
        self.rest()
        assert not self.responses.running and not self.asked
        assert self.items.unfinished <= self.servers.unfinished, "what runs elsewhere may outlive the peer"
        assert not self.playout.sounding
        assert self.items.order == order
