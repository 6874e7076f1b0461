"""The caller's turns: sound, scores, words and keys in; what the caller said, as items and events, out. Pure.

Where a turn begins it interrupts the answer under way; where one ends it becomes an item of the conversation, and
its words follow. Whether an answer is due then, the session decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from pipeline import commands, reports
from pipeline.answers import Answers
from pipeline.commands import Command
from pipeline.conversation import Conversation
from pipeline.events import conversation as conv
from pipeline.events import input_audio as heard
from pipeline.events.config import SemanticVad, ServerVad, SessionConfig
from pipeline.events.event import ServerEvent
from pipeline.events.items import InputAudio, InputText, Message
from pipeline.item_requests import ItemRequests
from pipeline.limits import Limits
from pipeline.output_line import OutputLine
from pipeline.provider import TurnSignal
from pipeline.turn.early_end import Guess
from pipeline.turn.idle import Idle
from pipeline.turn.listening import Listening, Utterance
from pipeline.turn.misheard import UNINTELLIGIBLE, Misheard

Output: TypeAlias = ServerEvent | Command

SHORTEST_COMMIT_MS = 100
"""Realtime reference: a manual commit of less is `input_audio_buffer_commit_empty`."""


class Turns:
    """See the module's docstring. `config` is the session's, from its last update."""

    def __init__(
        self,
        config: SessionConfig,
        conversation: Conversation,
        items: ItemRequests,
        answers: Answers,
        line: OutputLine,
        make_id: Callable[[str], str],
        limits: Limits,
        *,
        hears_sound: bool = False,
        anticipates: bool = False,
    ) -> None:
        self._anticipates = anticipates
        self._misheard = Misheard()
        self._conversation = conversation
        self._items = items
        self._answers = answers
        self._line = line
        self._make_id = make_id
        self._config = config
        self.listening = Listening(
            config.input_format,
            config.turn_detection,
            make_id,
            most_bytes=limits.buffered_bytes,
            keeps_sound=limits.kept_audio_bytes > 0,
            hears_sound=hears_sound,
        )
        self._idle = Idle(config.input_format.rate_hz)

    def follow(self, config: SessionConfig) -> None:
        """Another configuration from now on; another format only before the first sound."""
        old, self._config = self._config, config
        if config.input_format != old.input_format:
            self.listening.hear_in(config.input_format)
            self._idle.follow(config.input_format.rate_hz)
        if config.turn_detection != old.turn_detection:
            self.listening.follow(config.turn_detection)
            self._idle.restart(self.listening.buffer.heard)

    @property
    def answers_turns(self) -> bool:
        """What the caller says is answered without the peer asking for it."""
        rule = self.listening.rule
        return rule is not None and rule.create_response and self._config.type == "realtime"

    def hear(self, audio: bytes) -> list[Output]:
        """More of the caller's sound, in the input format. The hot path: almost always nothing follows."""
        listening = self.listening
        listening.hear(audio)
        if listening.current is not None:
            ended = listening.end_if_silent()
            if ended is not None:
                return self._end(ended)
            outputs = self._anticipate() if self._anticipates else []
            pause = listening.unjudged_pause()
            return [*outputs, commands.JudgeTurn(*pause)] if pause is not None else outputs
        if self._idle.is_armed and self._has_idled():
            return self._time_out()
        digits = listening.take_digits()
        return self._enter(digits) if digits else []

    def append(self, audio: bytes, event_id: str | None) -> list[Output]:
        """Sound by event. What nobody would ever commit for the peer is refused before it fills the memory."""
        if self.listening.rule is None and len(audio) > self.listening.buffer.room_bytes:
            most_bytes = self.listening.buffer.most_bytes
            text = f"The input audio buffer holds at most {most_bytes} bytes. Commit or clear it first."
            return [*self._items.refused("input_audio_buffer_full", text, "audio", event_id)]
        return self.hear(audio)

    def judge(self, score: reports.SpeechScored) -> list[Output]:
        utterance = self.listening.judge(score)
        if utterance is None:
            return []
        if utterance is self.listening.current:
            return self._begin(utterance)
        return self._end(utterance)

    def _end(self, utterance: Utterance) -> list[Output]:
        end_ms = self._input_ms(self.listening.buffer.heard)
        stopped = heard.SpeechStopped(event_id=self._event_id(), audio_end_ms=end_ms, item_id=utterance.item_id)
        return [stopped, *self._commit(utterance)]

    def _begin(self, utterance: Utterance) -> list[Output]:
        started = heard.SpeechStarted(
            event_id=self._event_id(),
            audio_start_ms=self._input_ms(utterance.begins),
            item_id=utterance.item_id,
        )
        audio = self.listening.buffer.since(utterance.begins)
        transcribe = commands.Transcribe(item_id=utterance.item_id, audio=audio)
        rule = self.listening.rule
        stops, closers = self._answers.interrupt() if rule and rule.interrupt_response else ([], [])
        utterance.has_interrupted = bool(stops)
        self._idle.restart(self.listening.buffer.heard)
        return [*stops, started, *closers, transcribe]

    def commit_by_hand(self, event_id: str | None) -> list[Output]:
        kept_ms = self.listening.buffer.kept_ms
        if kept_ms < SHORTEST_COMMIT_MS:
            text = (
                "Error committing input audio buffer: buffer too small. "
                f"Expected at least {SHORTEST_COMMIT_MS}ms of audio, but buffer only has {kept_ms:.2f}ms of audio."
            )
            return [*self._items.refused("input_audio_buffer_commit_empty", text, event_id=event_id)]
        outputs: list[Output] = []
        if self.listening.current is None:
            utterance = self.listening.take_all()
            audio = self.listening.buffer.since(utterance.begins)
            outputs.append(commands.Transcribe(item_id=utterance.item_id, audio=audio))
        ended = self.listening.end_utterance()
        return outputs + (self._commit(ended) if ended else [])

    def _commit(self, utterance: Utterance) -> list[Output]:
        item = Message(id=utterance.item_id, role="user", content=(InputAudio(transcript=None),))
        self._line.kept.write(item.id, utterance.audio)
        utterance.audio = b""
        self._idle.restart(self.listening.buffer.heard)
        if self.listening.hears_sound and self.answers_turns:
            self.listening.has_unanswered = True  # its words may come whenever they like
        committed = self._committed(item.id)
        outputs = [committed, *self._items.added(item), commands.EndTranscription(utterance.item_id)]
        if utterance.verdict is not None:
            return outputs + self._weigh(utterance.verdict)
        return outputs + self._tell_news(utterance)

    def _committed(self, item_id: str) -> ServerEvent:
        previous = self._conversation.last_id
        return heard.InputAudioBufferCommitted(
            event_id=self._event_id(), previous_item_id=previous, item_id=item_id
        )

    def guess(self, guessed: reports.Transcribed) -> list[Output]:
        utterance = self.listening.guess(guessed)
        if utterance is not None:
            return self._tell_news(utterance)
        current = self.listening.current
        if guessed.turn == "going_on" or current is None or current.item_id != guessed.item_id:
            return []
        return self._heed(guessed.turn)

    def _heed(self, signal: TurnSignal) -> list[Output]:
        """The transcriber finds turns by itself. Where turns end by what was said, its word is as good as ours; a
        silence that the peer has asked for is waited for all the same."""
        if signal == "over" and isinstance(self.listening.rule, SemanticVad):
            ended = self.listening.end_now()
            return self._end(ended) if ended is not None else []
        if not self._anticipates:
            return []
        if signal == "resumed":
            return [commands.Abandon()] if self.listening.goes_on() else []
        return self._anticipate(is_hinted=True)

    def _anticipate(self, *, is_hinted: bool = False) -> list[Output]:
        """Once the caller seems to have finished, an answer is begun that nobody hears of yet."""
        listening, current = self.listening, self.listening.current
        if listening.is_waiting or not self.answers_turns:
            return []
        news = listening.early_end(is_hinted=is_hinted)
        if news is None or current is None:
            return []
        if news is Guess.GOES_ON:
            return [commands.Abandon()]
        said = InputAudio(transcript=current.transcript.latest)
        return [*self._answers.anticipate(self._config, Message(id=current.item_id, role="user", content=(said,)))]

    def _tell_news(self, utterance: Utterance) -> list[Output]:
        """What has become certain of a transcript; only a peer that asked for transcripts is told."""
        if self._config.transcription is None:
            return []
        return self._delta(utterance.item_id, utterance.transcript.news())

    def _delta(self, item_id: str, words: str) -> list[Output]:
        if not words:
            return []
        return [conv.TranscriptionDelta(event_id=self._event_id(), item_id=item_id, delta=words)]

    def _completed(self, item_id: str, text: str, samples: int = 0, rest: str = "") -> list[Output]:
        """The transcript is known; `rest` of it was not told before."""
        if self._config.transcription is None:
            return []
        seconds = samples / self._config.input_format.rate_hz
        return [
            *self._delta(item_id, rest),
            conv.TranscriptionCompleted(
                event_id=self._event_id(), item_id=item_id, transcript=text, seconds=seconds
            ),
        ]

    def understand(self, transcribed: reports.Transcribed) -> list[Output]:
        utterance = self.listening.understood(transcribed)
        if utterance is None:
            return []
        item_id, text = transcribed.item_id, transcribed.text
        wants_answer = utterance.is_turn and not self.listening.hears_sound and self.answers_turns
        # On the telephone; a client of the protocol sees the empty transcript.
        is_asked = wants_answer and self._line.is_telephone
        is_asked = is_asked and self._misheard.is_to_be_asked(text, self._input_ms(utterance.voiced))
        self._conversation.hear(item_id, UNINTELLIGIBLE if is_asked else text)
        # Noise is not answered, unless it has cut off an answer: then somebody must still speak.
        if wants_answer and (text or utterance.has_interrupted or is_asked):
            self.listening.has_unanswered = True
        return self._completed(item_id, text, utterance.samples, utterance.transcript.rest(text))

    def misunderstand(self, why: reports.TranscriptionFailed) -> list[Output]:
        utterance = self.listening.understood(why)
        if utterance is None:
            return []
        events: list[Output] = []
        if self._config.transcription is not None:
            failed = conv.TranscriptionFailedEvent(
                event_id=self._event_id(), item_id=why.item_id, message=why.message
            )
            events.append(failed)
        if not utterance.is_turn or self._config.type != "realtime" or self.listening.hears_sound:
            return events
        if self.listening.current is not None:
            return events  # the caller speaks again; what is said now may be understood
        return [*events, *self._answers.apologise(self._config, is_voiceless=False)]

    def press(self, digit: str, *, is_collected: bool = False) -> list[Output]:
        """A key interrupts like a word, and waits for the keys that belong to it."""
        if not is_collected:
            self.listening.press(digit)
        self._idle.restart(self.listening.buffer.heard)
        at_ms = self._input_ms(self.listening.buffer.heard)
        pressed = heard.DtmfEventReceived(event_id=self._event_id(), event=digit, received_at=at_ms)
        rule = self.listening.rule
        stops, closers = self._answers.interrupt() if rule is None or rule.interrupt_response else ([], [])
        digits = self.listening.take_digits()
        return [*stops, pressed, *closers, *(self._enter(digits) if digits else [])]

    def _enter(self, digits: str) -> list[Output]:
        """A finished entry of the keypad is something the caller has said."""
        text = InputText(text=f"[keypad] {digits}")
        item = Message(id=self._make_id("item"), role="user", content=(text,))
        self.listening.has_unanswered |= self.answers_turns
        return [*self._items.added(item)]

    def _has_idled(self) -> bool:
        rule, now = self.listening.rule, self.listening.buffer.heard
        if not isinstance(rule, ServerVad) or rule.idle_timeout_ms is None:
            return False
        if self._line.is_sounding or not self._answers.is_free or not self.listening.is_settled:
            self._idle.arm(now)  # it begins once the last word was heard
            return False
        return self._idle.is_over(now, rule.idle_timeout_ms)

    def _time_out(self) -> list[Output]:
        """Nobody spoke for a long time: that silence is the caller's turn."""
        now = self.listening.buffer.heard
        start_ms, end_ms = self._input_ms(self._idle.take()), self._input_ms(now)
        item = Message(id=self._make_id("item"), role="user", content=(InputAudio(transcript=None),))
        timed_out = heard.TimeoutTriggered(
            event_id=self._event_id(), audio_start_ms=start_ms, audio_end_ms=end_ms, item_id=item.id
        )
        outputs: list[Output] = [timed_out, self._committed(item.id), *self._items.added(item)]
        self._conversation.hear(item.id, "")
        outputs += self._completed(item.id, "")
        if self.answers_turns:
            remark = f"The caller has said nothing for {(end_ms - start_ms) // 1000} seconds."
            outputs += self._answers.respond(self._config, remark=remark)
        return outputs

    def clear(self) -> list[Output]:
        """The peer wants what it said forgotten."""
        abandon = [commands.Abandon()] if self._anticipates and self.listening.goes_on() else []
        dropped = self.listening.drop()
        cleared: Output = heard.InputAudioBufferCleared(event_id=self._event_id())
        drop = [commands.DropTranscription(dropped.item_id)] if dropped else []
        return [*abandon, *drop, cleared]

    def expect(self, item_id: str, sound: bytes) -> list[Output]:
        """Sound that came with an item: its words are wanted too."""
        self.listening.expect(item_id, self._config.input_format.samples_in(sound))
        return [commands.Transcribe(item_id, sound), commands.EndTranscription(item_id)]

    def reckon(self, made: reports.AudioMade) -> None:
        """The active answer sounds: the caller is not idle while it does."""
        active = self._answers.active
        if active is not None and active.id == made.response_id:
            self._idle.sound(self.listening.buffer.heard, active.config.output_format.seconds_of(made.audio))

    @property
    def is_over_answer(self) -> bool:
        """Whether the caller hears an answer just now, into which what they say would cut."""
        return self._line.is_sounding if self._line.plays else self._idle.is_playing(self.listening.buffer.heard)

    @property
    def is_owing_words(self) -> bool:
        """What the caller said is being understood, and will be answered."""
        return self.listening.is_waiting and self.answers_turns

    def wait(self) -> None:
        """If no answer runs any more, the wait for the caller begins."""
        if self._answers.active is None and self.listening.current is None:
            self._idle.arm(self.listening.buffer.heard)

    def _weigh(self, verdict: reports.Transcribed | reports.TranscriptionFailed) -> list[Output]:
        if isinstance(verdict, reports.Transcribed):
            return self.understand(verdict)
        return self.misunderstand(verdict)

    def _input_ms(self, samples: int) -> int:
        return samples * 1000 // self._config.input_format.rate_hz

    def _event_id(self) -> str:
        return self._make_id("event")
