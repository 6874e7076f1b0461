"""The session: one conversation, as a pure state machine. It owns the order of everything a peer sees.

An event of the peer or a report of a worker goes in; all that follows comes out as one list of server events and
commands, in order. No I/O, no clock, no task, no random number: time is counted in samples heard, ids come from a
function handed in. What the outputs mean on a wire is the transports' business; carrying out commands is the
engine's. Commands that stop sound stand first in a list, because every millisecond of them is heard.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, assert_never

from pipeline import commands, reports
from pipeline.answers import Answers, Phase
from pipeline.commands import Command
from pipeline.conversation import Conversation
from pipeline.events import conversation as conv
from pipeline.events import input_audio as heard
from pipeline.events import response as resp
from pipeline.events import session as sess
from pipeline.events.config import SessionConfig
from pipeline.events.event import ClientEvent, ServerEvent
from pipeline.events.items import InputAudio, InputText, Item, Message
from pipeline.item_requests import ItemRequests
from pipeline.playback_ledger import PlaybackLedger
from pipeline.reports import Report
from pipeline.turn.listening import Listening, Utterance

Output: TypeAlias = ServerEvent | Command

SHORTEST_COMMIT_MS = 100
"""Realtime reference: a manual commit of less is `input_audio_buffer_commit_empty`."""


class Session:
    """See the module's docstring.

    `plays`: the transport plays the sound where the session can flush it and hear how far it came (a phone,
    WebRTC); a client that plays for itself sends `conversation.item.truncate` instead. `own_tools`: functions
    that are ours to run; all others are the client's. `history`: a conversation to go on with.
    """

    def __init__(
        self,
        config: SessionConfig,
        make_id: Callable[[str], str],
        *,
        plays: bool,
        own_tools: frozenset[str] = frozenset(),
        apology: str = "",
        history: tuple[Item, ...] = (),
    ) -> None:
        self.id = make_id("sess")
        self.config = config
        self.conversation = Conversation(make_id("conv"), history)
        self.ledger = PlaybackLedger(config.output_format.rate_hz)
        self._make_id = make_id
        self._items = ItemRequests(self.conversation, self.ledger, make_id)
        self._listening = Listening(config.input_format, config.turn_detection, make_id)
        self._answers = Answers(
            self.conversation,
            self.ledger,
            self._items,
            make_id,
            plays=plays,
            own_tools=own_tools,
            apology=apology,
        )

    @property
    def phase(self) -> Phase:
        return self._answers.phase

    @property
    def s_since_voice(self) -> float:
        """Seconds of the caller's sound since the voice last began or ended."""
        listening = self._listening
        return (listening.buffer.heard - listening.voice_edge) / self.config.input_format.rate_hz

    def open(self) -> list[Output]:
        """The first events of every session."""
        return [
            sess.SessionCreated(event_id=self._event_id(), session_id=self.id, session=self.config),
            conv.ConversationCreated(event_id=self._event_id(), conversation_id=self.conversation.id),
        ]

    def receive(self, event: ClientEvent) -> list[Output]:
        """All that follows from one event of the peer. A bad event becomes an `error` event; it never raises."""
        match event:
            case heard.InputAudioBufferAppend(audio=audio):
                return self.hear(audio)
            case heard.InputAudioBufferCommit():
                return self._commit_by_hand(event.event_id)
            case heard.InputAudioBufferClear():
                dropped = self._listening.drop()
                cleared: Output = heard.InputAudioBufferCleared(event_id=self._event_id())
                return [commands.DropTranscription(dropped.item_id), cleared] if dropped else [cleared]
            case conv.ConversationItemCreate():
                return [*self._items.create(event)]
            case conv.ConversationItemRetrieve():
                return [*self._items.retrieve(event)]
            case conv.ConversationItemTruncate():
                return self._truncate(event)
            case conv.ConversationItemDelete():
                return [*self._items.delete(event)]
            case resp.ResponseCreate():
                return self._respond_by_hand(event)
            case resp.ResponseCancel():
                return self._cancel_by_hand(event)
            case sess.SessionUpdate(session=config):
                return self._update(config, event.event_id)
            case _:
                assert_never(event)

    def hear(self, audio: bytes) -> list[Output]:
        """More of the caller's sound, in the input format. The hot path: almost always nothing follows."""
        listening = self._listening
        listening.hear(audio)
        if listening.current is not None:
            ended = listening.end_if_silent()
            return self._end(ended) if ended is not None else []
        digits = listening.take_digits()
        return self._enter(digits) if digits else []

    def report(self, report: Report) -> list[Output]:
        """All that follows from what a worker did. What belongs to a response no longer active is passed over."""
        match report:
            case reports.SpeechScored():
                return self._judge(report)
            case reports.Transcribed():
                return self._understand(report) if report.is_final else []
            case reports.TranscriptionFailed():
                return self._misunderstand(report)
            case reports.TextMade():
                return [*self._answers.think(report)]
            case reports.AudioMade():
                return [*self._answers.speak(report, self.config.output_format.samples_in(report.audio))]
            case reports.ToolRequested():
                return [*self._answers.request(report)]
            case reports.Finished():
                return [*self._answers.finish(report), *self._what_is_due()]
            case reports.Failed():
                return [*self._answers.fail(report, self.config), *self._what_is_due()]
            case reports.Played(position=position):
                self.ledger.play(position)
                return [*self._answers.hang_up_if_due()]
            case reports.Flushed(position=position):
                return [event for cut in self.ledger.flush(position) for event in self._items.cut(cut)]
            case reports.ToolReturned():
                return self._take_result(report)
            case reports.DigitPressed(digit=digit):
                return self._press(digit)
            case _:
                assert_never(report)

    def say(self, script: str) -> list[Output]:
        """Speak these very words as the next answer, without asking a model: a greeting, an announcement."""
        return self._answers.respond(self.config, script=script) if self._answers.is_free else []

    def close(self) -> list[Output]:
        """The other end is gone: every response has its `done`, and items keep only what was heard of them."""
        return self._answers.close()

    # The caller's side

    def _judge(self, score: reports.SpeechScored) -> list[Output]:
        utterance = self._listening.judge(score)
        if utterance is None:
            return []
        if utterance is self._listening.current:
            return self._begin(utterance)
        return self._end(utterance)

    def _end(self, utterance: Utterance) -> list[Output]:
        end_ms = self._input_ms(self._listening.buffer.heard)
        stopped = heard.SpeechStopped(event_id=self._event_id(), audio_end_ms=end_ms, item_id=utterance.item_id)
        return [stopped, *self._commit(utterance)]

    def _begin(self, utterance: Utterance) -> list[Output]:
        started = heard.SpeechStarted(
            event_id=self._event_id(),
            audio_start_ms=self._input_ms(utterance.begins),
            item_id=utterance.item_id,
        )
        audio = self._listening.buffer.since(utterance.begins)
        transcribe = commands.Transcribe(item_id=utterance.item_id, audio=audio)
        rule = self._listening.rule
        stops, closers = self._answers.interrupt() if rule and rule.interrupt_response else ([], [])
        utterance.has_interrupted = bool(stops)
        return [*stops, started, *closers, transcribe]

    def _commit_by_hand(self, event_id: str | None) -> list[Output]:
        kept_ms = self._listening.buffer.kept_ms
        if kept_ms < SHORTEST_COMMIT_MS:
            text = (
                "Error committing input audio buffer: buffer too small. "
                f"Expected at least {SHORTEST_COMMIT_MS}ms of audio, but buffer only has {kept_ms:.2f}ms of audio."
            )
            return [*self._items.refused("input_audio_buffer_commit_empty", text, event_id=event_id)]
        outputs: list[Output] = []
        if self._listening.current is None:
            utterance = self._listening.take_all()
            audio = self._listening.buffer.since(utterance.begins)
            outputs.append(commands.Transcribe(item_id=utterance.item_id, audio=audio))
        ended = self._listening.end_utterance()
        return outputs + (self._commit(ended) if ended else [])

    def _commit(self, utterance: Utterance) -> list[Output]:
        item = Message(id=utterance.item_id, role="user", content=(InputAudio(transcript=None),))
        committed = heard.InputAudioBufferCommitted(
            event_id=self._event_id(), previous_item_id=self.conversation.last_id, item_id=item.id
        )
        outputs = [committed, *self._items.added(item), commands.EndTranscription(utterance.item_id)]
        return outputs + (self.report(utterance.verdict) if utterance.verdict else [])

    def _understand(self, transcribed: reports.Transcribed) -> list[Output]:
        utterance = self._listening.understood(transcribed)
        if utterance is None:
            return []
        item_id, text = transcribed.item_id, transcribed.text
        self.conversation.hear(item_id, text)
        completed = conv.TranscriptionCompleted(
            event_id=self._event_id(),
            item_id=item_id,
            transcript=text,
            seconds=utterance.samples / self.config.input_format.rate_hz,
        )
        rule = self._listening.rule
        # Noise is not answered, unless it has cut off an answer: then somebody must still speak.
        if (text or utterance.has_interrupted) and rule is not None and rule.create_response:
            self._listening.has_unanswered = True
        return [completed, *self._what_is_due()]

    def _misunderstand(self, why: reports.TranscriptionFailed) -> list[Output]:
        if self._listening.understood(why) is None:
            return []
        failed = conv.TranscriptionFailedEvent(event_id=self._event_id(), item_id=why.item_id, message=why.message)
        if self._listening.current is not None:
            return [failed]  # the caller speaks again; what is said now may be understood
        return [failed, *self._answers.apologise(self.config, is_voiceless=False)]

    def _press(self, digit: str) -> list[Output]:
        """A key interrupts like a word, and waits for the keys that belong to it."""
        self._listening.press(digit)
        at_ms = self._input_ms(self._listening.buffer.heard)
        pressed = heard.DtmfEventReceived(event_id=self._event_id(), event=digit, received_at=at_ms)
        rule = self._listening.rule
        stops, closers = self._answers.interrupt() if rule is None or rule.interrupt_response else ([], [])
        digits = self._listening.take_digits()
        return [*stops, pressed, *closers, *(self._enter(digits) if digits else [])]

    def _enter(self, digits: str) -> list[Output]:
        """A finished entry of the keypad is something the caller has said."""
        text = InputText(text=f"[keypad] {digits}")
        item = Message(id=self._make_id("item"), role="user", content=(text,))
        rule = self._listening.rule
        self._listening.has_unanswered |= rule is not None and rule.create_response
        return [*self._items.added(item), *self._what_is_due()]

    # Our side

    def _what_is_due(self) -> list[Output]:
        """An answer, once nobody speaks and all is understood; the end, once the farewell is heard."""
        if self._listening.has_unanswered and self._listening.is_settled and self._answers.is_free:
            self._listening.has_unanswered = False
            return self._answers.respond(self.config)
        return [*self._answers.hang_up_if_due()]

    def _respond_by_hand(self, event: resp.ResponseCreate) -> list[Output]:
        if active := self._answers.active:
            text = f"Conversation already has an active response in progress: {active.id}"
            code = "conversation_already_has_active_response"
            return [*self._items.refused(code, text, event_id=event.event_id)]
        self._listening.has_unanswered = False
        return self._answers.respond(self.config, instructions=event.instructions, metadata=event.metadata)

    def _cancel_by_hand(self, event: resp.ResponseCancel) -> list[Output]:
        active = self._answers.active
        if active is None or event.response_id not in (None, active.id):
            text = "Cancellation failed: no active response found"
            return [*self._items.refused("response_cancel_not_active", text, event_id=event.event_id)]
        stops, closers = self._answers.cancel("client_cancelled")
        return [*stops, *closers]

    def _truncate(self, event: conv.ConversationItemTruncate) -> list[Output]:
        if refusal := self._items.refusal_of(event):
            return [*refusal]
        active = self._answers.active
        is_being_spoken = active is not None and active.spoken_item_id == event.item_id
        stops, closers = self._answers.cancel("client_cancelled", cut_follows=True) if is_being_spoken else ([], [])
        return [*stops, *closers, *self._items.truncate(event)]

    def _take_result(self, returned: reports.ToolReturned) -> list[Output]:
        """Who speaks while a farewell is being arranged has objected to it."""
        ends_call = returned.ends_call and self._listening.is_settled
        events = self._answers.keep_result(returned, ends_call=ends_call)
        self._listening.has_unanswered |= bool(events) and not ends_call
        return [*events, *self._what_is_due()]

    def _update(self, config: SessionConfig, event_id: str | None) -> list[Output]:
        old = self.config
        if (config.input_format, config.output_format) != (old.input_format, old.output_format):
            text = "The audio formats of a session cannot change once it is open."
            return [*self._items.refused("invalid_value", text, "session.audio", event_id)]
        if config.turn_detection != old.turn_detection:
            self._listening.follow(config.turn_detection)
        self.config = config
        return [sess.SessionUpdated(event_id=self._event_id(), session_id=self.id, session=config)]

    def _input_ms(self, samples: int) -> int:
        return samples * 1000 // self.config.input_format.rate_hz

    def _event_id(self) -> str:
        return self._make_id("event")
