"""The session: one conversation, as a pure state machine. It owns the order of everything a peer sees.

An event of the peer or a report of a worker goes in; all that follows comes out as one list of server events and
commands, in order. No I/O, no clock, no task, no random number: time is counted in samples heard, ids come from a
function handed in. What the outputs mean on a wire is the transports' business; carrying out commands is the
engine's. Commands that stop sound stand first in a list, because every millisecond of them is heard.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from pipeline import reports
from pipeline.answers import Answers
from pipeline.continuity import Continuity
from pipeline.conversation import Conversation
from pipeline.events import conversation as conv
from pipeline.events import input_audio as heard
from pipeline.events import output_audio as played
from pipeline.events import response as resp
from pipeline.events import session as sess
from pipeline.events.config import SessionConfig
from pipeline.events.event import ClientEvent, ServerEvent
from pipeline.events.items import AnyItem, FunctionCallOutput, McpApprovalResponse
from pipeline.events.refusal import BadEvent
from pipeline.fillers import Fillers
from pipeline.item_requests import ItemRequests, lacks_words
from pipeline.kept_audio import KeptAudio
from pipeline.kept_conversation import told_again
from pipeline.limits import USUAL, Limits
from pipeline.mcp_calls import McpCalls
from pipeline.mcp_listings import McpListings
from pipeline.murmurs import Murmurs
from pipeline.opening import Opening
from pipeline.output_line import OutputLine
from pipeline.output_requests import OutputRequests
from pipeline.phase import Phase
from pipeline.playback_ledger import PlaybackLedger
from pipeline.reports import Report
from pipeline.response_requests import ResponseRequests
from pipeline.snapshot import Snapshot
from pipeline.turns import Output, Turns

__all__ = ["Output", "Session"]


class Session:
    """See the module's docstring.

    `plays`: the transport plays the sound where the session can flush it and hear how far it came (a phone,
    WebRTC); a client that plays for itself sends `conversation.item.truncate` instead. `has_channel`: events go
    beside that sound, to a client that may choose formats and plays murmurs itself. `own_tools`: functions
    that are ours to run, `patient_tools` those of them that wait for the caller; all others are the client's.
    `history`: a conversation to go on with; `tells_history`: the peer is shown it. `takes_images`: the model has
    eyes. `hears_sound`: whoever answers hears the caller itself, so an answer waits for no words. `anticipates`:
    answers are begun in secret when the caller seems to have finished.
    """

    def __init__(
        self,
        config: SessionConfig,
        make_id: Callable[[str], str],
        *,
        id: str = "",
        plays: bool,
        has_channel: bool = False,
        own_tools: frozenset[str] = frozenset(),
        patient_tools: frozenset[str] = frozenset(),
        apology: str = "",
        history: tuple[AnyItem, ...] = (),
        tells_history: bool = False,
        limits: Limits = USUAL,
        takes_images: bool = False,
        hears_sound: bool = False,
        anticipates: bool = False,
    ) -> None:
        self.id = id or make_id("sess")
        self.config = config
        self.conversation = Conversation(make_id("conv"), history)
        self._untold = history if tells_history else ()
        self._make_id = make_id
        kept = KeptAudio(limits.kept_audio_bytes)
        self._line = OutputLine(config.output_format, kept, make_id, plays=plays, is_telephone=not has_channel)
        self._items = ItemRequests(self.conversation, self._line, make_id, limits, takes_images=takes_images)
        self._listings = McpListings(self.conversation, self._items, make_id, limits)
        self._mcp_calls = McpCalls(self.conversation, self._items, make_id, limits)
        self._answers = Answers(
            self.conversation,
            self._line,
            self._items,
            make_id,
            own_tools=own_tools,
            patient_tools=patient_tools,
            apology=apology,
            listings=self._listings,
            mcp_calls=self._mcp_calls,
        )
        self._output = OutputRequests(self._answers, self._items, self._line)
        self._responses = ResponseRequests(self._items, self._answers, self._line, limits, self._listings)
        self._turns = Turns(
            config,
            self.conversation,
            self._items,
            self._answers,
            self._line,
            make_id,
            limits,
            hears_sound=hears_sound,
            anticipates=anticipates,
        )
        self.murmurs = Murmurs(self._turns, self._answers, self._line, make_id)
        self._fillers = Fillers(self.conversation, self._turns, self._answers, self._line, make_id)
        self.continuity = Continuity(self.conversation, self._turns, self._answers, self._line, self._mcp_calls)

    @property
    def phase(self) -> Phase:
        return self._answers.phase

    @property
    def ledger(self) -> PlaybackLedger:
        """Which words were heard."""
        return self._line.ledger

    @property
    def heard(self) -> int:
        """Samples of the caller's sound since the session began."""
        return self._turns.listening.buffer.heard

    @property
    def unjudged_ms(self) -> float:
        """Sound heard in which turns are still to be looked for; 0 where the peer commits by itself."""
        return self._turns.listening.unjudged_ms if self.config.turn_detection is not None else 0.0

    @property
    def is_heard(self) -> bool:
        """The caller hears an answer just now."""
        return self._turns.is_over_answer

    @property
    def s_since_voice(self) -> float:
        """Seconds of the caller's sound since the voice last began or ended."""
        return self._turns.listening.s_since_voice

    def open(self) -> list[Output]:
        """The first events of every session."""
        return [
            sess.SessionCreated(event_id=self._event_id(), session_id=self.id, session=self.config),
            conv.ConversationCreated(event_id=self._event_id(), conversation_id=self.conversation.id),
            *told_again(self._untold, self._make_id),
            *self._listings.follow(self.config),
        ]

    def receive(self, event: ClientEvent) -> list[Output]:
        """All that follows from one event of the peer. A bad event becomes an `error` event; it never raises."""
        match event:
            case heard.InputAudioBufferAppend(audio=audio):
                outputs = self._turns.append(audio, event.event_id)
                return [*outputs, *self._what_is_due()] if outputs else outputs
            case heard.InputAudioBufferCommit():
                return [*self._turns.commit_by_hand(event.event_id), *self._what_is_due()]
            case heard.InputAudioBufferClear():
                return [*self._turns.clear(), *self._what_is_due()]
            case played.OutputAudioBufferClear():
                return self._output.clear()
            case conv.ConversationItemCreate():
                return self._create(event)
            case conv.ConversationItemRetrieve():
                return [*self._items.retrieve(event)]
            case conv.ConversationItemTruncate():
                return [*self._idly(self._output.truncate(event)), *self._what_is_due()]
            case conv.ConversationItemDelete():
                return [*self._items.delete(event)]
            case resp.ResponseCreate():
                return self._respond_by_hand(event)
            case resp.ResponseCancel():
                return [*self._idly(self._responses.cancel(event)), *self._what_is_due()]
            case sess.SessionUpdate(session=config):
                return self._update(config, event.event_id)
            case _:
                assert_never(event)

    def hear(self, audio: bytes) -> list[Output]:
        """More of the caller's sound, in the input format. The hot path: almost always nothing follows."""
        outputs = self._turns.hear(audio)
        return [*outputs, *self._what_is_due()] if outputs else outputs

    def report(self, report: Report) -> list[Output]:
        """All that follows from what a worker did. What belongs to a response no longer active is passed over."""
        match report:
            case reports.SpeechScored():
                outputs = self._turns.judge(report)
                return [*outputs, *self._what_is_due()] if outputs else outputs
            case reports.TurnJudged():
                self._turns.listening.judge_turn(report)
                return []
            case reports.Transcribed():
                if not report.is_final:
                    return self._turns.guess(report)
                return [*self._turns.understand(report), *self._what_is_due()]
            case reports.TranscriptionFailed():
                return [*self._turns.misunderstand(report), *self._what_is_due()]
            case reports.TextMade():
                return [*self._answers.think(report)]
            case reports.TextEnded():
                return [*self._answers.think_out(report)]
            case reports.AudioMade():
                self._turns.reckon(report)
                return [*self._answers.speak(report)]
            case reports.ToolRequested():
                return [*self._answers.request(report)]
            case reports.Finished():
                return [*self._idly(self._answers.finish(report)), *self._what_is_due()]
            case reports.Failed():
                return [*self._idly(self._answers.fail(report, self.config)), *self._what_is_due()]
            case reports.Played(position=position):
                return [*self._line.play(position), *self._answers.hang_up_if_due()]
            case reports.Flushed(position=position):
                cuts = [event for cut in self.ledger.flush(position) for event in self._items.cut(cut)]
                return [*self._line.flush(), *cuts]
            case reports.ToolReturned():
                return self._take_result(report)
            case reports.ToolsListed() | reports.ListingFailed():
                return [*self._listings.listed(report), *self._what_is_due()]
            case reports.McpReturned() | reports.McpFailed():
                return self._go_on(self._mcp_calls.finish(report))
            case reports.DigitPressed(digit=digit, is_collected=is_collected):
                return [*self._turns.press(digit, is_collected=is_collected), *self._what_is_due()]
            case _:
                assert_never(report)

    def begin(self, opening: Opening) -> list[Output]:
        """The first thing on our side, right behind `open`."""
        return self.continuity.begin(opening, self.config)

    def snapshot(self) -> Snapshot:
        """What whoever goes on with the conversation must know, at this instant; cheap enough to be taken often."""
        return self.continuity.snapshot(self.config)

    @property
    def is_quiet(self) -> bool:
        """Nobody speaks or is kept waiting: going on elsewhere would not be noticed."""
        return self.continuity.is_quiet(self.config)

    def say(self, script: str) -> list[Output]:
        """Speak these very words as the next answer, without asking a model: a greeting, an announcement."""
        may_speak = self.config.type == "realtime" and self._answers.is_free
        return self._answers.respond(self.config, script=script) if may_speak else []

    def fill(self, text: str, sound: bytes) -> list[Output]:
        """Let a caller who is kept waiting hear this, which is spoken already, in the session's output format.

        It joins the answer under way, if that has made no sound yet, or stands for itself. Nothing follows if
        nobody is kept waiting any more.
        """
        events = self._fillers.say(self.config, text, sound)
        return [*events, *self._what_is_due()] if events else []

    def play(self, sound: bytes) -> list[Output]:
        """Let the other end hear this sound, which says nothing: tones. Nothing follows while somebody speaks."""
        return [*self._fillers.play(self.config, sound)]

    @property
    def is_keeping_waiting(self) -> bool:
        """An answer is owed, the caller has finished, and hears nothing."""
        return self._fillers.are_welcome(self.config)

    def close(self) -> list[Output]:
        """The other end is gone: every response has its `done`, and items keep only what was heard of them."""
        self.continuity.close(self.config)
        return self._answers.close()

    # Our side

    def _create(self, event: conv.ConversationItemCreate) -> list[Output]:
        try:
            self._mcp_calls.check_answer(event.item)
            item, sound, events = self._items.create(event)
        except BadEvent as bad:
            return [*self._items.refusal(bad, event.event_id)]
        if sound and lacks_words(item):
            return [*events, *self._turns.expect(item.id, sound)]
        if isinstance(item, McpApprovalResponse):
            decided = self._mcp_calls.decide(item)
            return [*events, *decided] if item.approve else self._go_on(events)
        return self._go_on(events) if isinstance(item, FunctionCallOutput) else [*events]

    def _go_on(self, events: list[ServerEvent]) -> list[Output]:
        """A tool has come to its end; an answer follows where the session wants that by itself."""
        if events and self._answers.follow_outputs(self.config):
            self._turns.listening.has_unanswered = True
            return [*events, *self._what_is_due()]
        return [*events]

    def _idly(self, outputs: list[Output]) -> list[Output]:
        """What ends an answer begins the wait for the caller."""
        self._turns.wait()
        return outputs

    def _what_is_due(self) -> list[Output]:
        """An answer, once nobody speaks and all is understood; the end, once the farewell is heard."""
        listening = self._turns.listening
        due: list[Output] = [] if listening.is_waiting else [*self._answers.release()]
        if asked := self._responses.take_next():
            return [*due, *self._respond_by_hand(asked)]
        if listening.has_unanswered and listening.is_settled and self._answers.is_free:
            listening.has_unanswered = False
            is_held = self._listings.is_asking(self.config)
            return [*due, *self._answers.respond(self.config, is_held=is_held)]
        return [*due, *self._answers.hang_up_if_due()]

    def _respond_by_hand(self, event: resp.ResponseCreate) -> list[Output]:
        try:
            outputs = self._responses.create(event, self.config, is_held=self._turns.listening.is_waiting)
        except BadEvent as bad:
            return [*self._items.refusal(bad, event.event_id)]
        if outputs and not event.is_out_of_band:
            self._turns.listening.has_unanswered = False
        return outputs

    def _take_result(self, returned: reports.ToolReturned) -> list[Output]:
        """Who speaks while a farewell is being arranged has objected to it."""
        ends_call = returned.ends_call and self._turns.listening.is_settled
        events = self._answers.keep_result(returned, ends_call=ends_call)
        wants_answer = bool(events) and returned.wants_answer and not ends_call
        self._turns.listening.has_unanswered |= wants_answer
        return [*events, *self._what_is_due()]

    def _update(self, config: SessionConfig, event_id: str | None) -> list[Output]:
        old = self.config
        if config.input_format != old.input_format and (self._turns.listening.has_sound or self._line.is_telephone):
            text = "The input audio format cannot change once sound was heard in it."
            return [*self._items.refused("invalid_value", text, "session.audio.input.format", event_id)]
        if config.output_format != old.output_format and (self.ledger.end or self._line.is_telephone):
            text = "The output audio format cannot change once sound was made in it."
            return [*self._items.refused("invalid_value", text, "session.audio.output.format", event_id)]
        try:
            self._listings.check(config)
        except BadEvent as bad:
            return [*self._items.refusal(bad, event_id)]
        self.config = config
        if config.output_format != old.output_format:
            self._line.follow(config.output_format)
        self._turns.follow(config)
        updated = sess.SessionUpdated(event_id=self._event_id(), session_id=self.id, session=config)
        return [updated, *self._listings.follow(config)]

    def _event_id(self) -> str:
        return self._make_id("event")
