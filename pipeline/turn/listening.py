"""Listening: the caller's side of a session. Sound and scores go in; utterances come out, with who waits for whom.

An utterance lives from the first detected sound until its words are known. Several may be on their way at once:
the caller speaks again while the last sentence is still being transcribed. The session answers when nobody
speaks, nothing is being transcribed and something is unanswered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pipeline.audio.formats import AudioFormat
from pipeline.events.config import SemanticVad, ServerVad, TurnDetection
from pipeline.input_buffer import InputBuffer
from pipeline.reports import SpeechScored, Transcribed, TranscriptionFailed, TurnJudged
from pipeline.turn.early_end import EarlyEnd, Guess
from pipeline.turn.growing_transcript import GrowingTranscript
from pipeline.turn.semantic_vad import PREFIX_PADDING_MS, SemanticTurns
from pipeline.turn.server_vad import ServerVadTurns, SpeechBegan, SpeechEnded

SCORE_LAG_MS = 300
"""How late a score may come after its sound: two windows of the model and a busy moment. Sound is kept that long
beyond the prefix padding, so that an utterance never loses its beginning."""

JUDGED_MS = 8_000
"""What the end-of-turn model hears of an utterance: its newest eight seconds."""

DIGITS_PAUSE_MS = 2_000
"""Keys pressed within this time of one another are one entry, as in a telephone menu."""


@dataclass(slots=True)
class Utterance:
    """Something the caller says, from its first sound until its words are known."""

    item_id: str
    begins: int
    """First sample that belongs to it, padding included."""
    has_interrupted: bool = False
    """It stopped an answer; if it turns out to be noise, somebody must still speak."""
    samples: int = 0
    """Its length, once it has ended."""
    voiced: int = 0
    """From the first to the last of its voice, once it has ended by itself."""
    audio: bytes = b""
    """Its sound, from its end until somebody has taken it."""
    is_turn: bool = True
    """It came through the input buffer, and wants an answer where turns do."""
    verdict: Transcribed | TranscriptionFailed | None = None
    """What its transcription came to, where that was over before the caller was."""
    transcript: GrowingTranscript = field(default_factory=GrowingTranscript)


class Listening:
    """What has been heard, who is speaking, and what is not yet understood or answered. Positions are samples."""

    def __init__(
        self,
        audio_format: AudioFormat,
        rule: TurnDetection | None,
        make_id: Callable[[str], str],
        *,
        most_bytes: int,
        keeps_sound: bool,
        hears_sound: bool = False,
    ) -> None:
        """At most `most_bytes` wait for a commit. `keeps_sound`: an ended utterance carries its sound.
        `hears_sound`: whoever answers hears the caller itself, and nobody waits for words."""
        self._keeps_sound = keeps_sound
        self.hears_sound = hears_sound
        self.buffer = InputBuffer(audio_format, most_bytes)
        self.judged = 0
        """How far the input has been scored."""
        self.current: Utterance | None = None
        """What is being said now."""
        self.has_unanswered = False
        self.voice_edge = 0
        """Where the voice last began or ended, without padding and without the silence that proves an end."""
        self._make_id = make_id
        self._waiting: dict[str, Utterance] = {}
        self._was_brought_sound = False
        self._digits = ""
        self._last_digit = 0
        self._turns: ServerVadTurns | SemanticTurns | None = None
        self.follow(rule)

    def follow(self, rule: TurnDetection | None) -> None:
        """Detect turns by this rule from now on; None: the peer commits by itself."""
        self.rule = rule
        rate_hz = self.buffer.format.rate_hz
        spoken_until = self.buffer.heard if self.current else None
        if self._turns is None:
            self.judged = self.buffer.heard  # what came before, nobody judges
        self._turns = None
        self._semantic: SemanticTurns | None = None
        self._early = EarlyEnd(rate_hz)
        padding_ms = 0
        match rule:
            case ServerVad():
                self._turns, padding_ms = ServerVadTurns(rule, rate_hz, spoken_until), rule.prefix_padding_ms
            case SemanticVad():
                self._turns = self._semantic = SemanticTurns(rule, rate_hz, spoken_until)
                padding_ms = PREFIX_PADDING_MS
            case None:
                pass
        self._padding = padding_ms * rate_hz // 1000
        self._kept = self._padding + SCORE_LAG_MS * rate_hz // 1000
        self._digits_pause = DIGITS_PAUSE_MS * rate_hz // 1000

    def hear_in(self, audio_format: AudioFormat) -> None:
        """Another format from now on; only before the first sound."""
        self.buffer = InputBuffer(audio_format, self.buffer.most_bytes)
        self.follow(self.rule)

    @property
    def has_sound(self) -> bool:
        """Something has come in the input format, through the buffer or by the way."""
        return self.buffer.heard > 0 or self._was_brought_sound

    @property
    def is_waiting(self) -> bool:
        """Something that was said is not yet understood, and whoever answers needs its words."""
        return bool(self._waiting) and not self.hears_sound

    @property
    def waiting(self) -> Iterable[Utterance]:
        """What was said and is not yet understood."""
        return self._waiting.values()

    @property
    def keys(self) -> str:
        """Pressed, of an entry that is not finished."""
        return self._digits

    @property
    def unjudged_ms(self) -> float:
        """Sound heard whose score is still to come."""
        return self.buffer.format.ms_in(self.buffer.heard - self.judged)

    @property
    def s_since_voice(self) -> float:
        """Seconds of sound since the voice last began or ended."""
        return (self.buffer.heard - self.voice_edge) / self.buffer.format.rate_hz

    @property
    def is_settled(self) -> bool:
        """Nobody speaks and all that was said is understood."""
        return self.current is None and not self.is_waiting and not self._digits

    def hear(self, audio: bytes) -> None:
        """Hot path: fifty times a second for each call."""
        buffer = self.buffer
        buffer.append(audio)
        if self._turns is not None and self.current is None:
            buffer.keep_from(buffer.heard - self._kept)

    def judge(self, score: SpeechScored) -> Utterance | None:
        """The utterance that begins with this window, or the one that ended with it; None for most windows.

        A new one is `current` afterwards; an ended one no longer is, and waits for its words.
        """
        self.judged = score.end
        # A late score of sound that was committed or cleared by hand is no new utterance.
        if self._turns is None or score.end <= self.buffer.start:
            return None
        boundary = self._turns.judge(score)
        if boundary is None:
            return None
        if isinstance(boundary, SpeechBegan):
            self.voice_edge = boundary.start
            return self._begin(boundary.start - self._padding)
        return self._end(boundary)

    def end_if_silent(self) -> Utterance | None:
        """The utterance that ended with the frame just heard, though the next score is still to come."""
        if self._turns is None or self.current is None or not self._turns.is_over(self.buffer.heard):
            return None
        boundary = self._turns.end()
        return self._end(boundary) if boundary else None

    def end_now(self) -> Utterance | None:
        """What is being said is over, somebody else has found."""
        boundary = self._turns.end() if self._turns is not None and self.current is not None else None
        return self._end(boundary) if boundary else None

    def take_all(self) -> Utterance:
        """The peer commits by hand: all that is kept is one utterance, begun and not yet ended."""
        return self.current or self._begin(self.buffer.start)

    def end_utterance(self) -> Utterance | None:
        """What was being said is complete; it waits for its words from now on."""
        utterance, self.current = self.current, None
        if utterance is not None:
            utterance.samples = self.buffer.heard - utterance.begins
            utterance.audio = self.buffer.since(utterance.begins) if self._keeps_sound else b""
            self._waiting[utterance.item_id] = utterance
        self._fresh()
        return utterance

    def drop(self) -> Utterance | None:
        """The peer cleared the buffer: what was being said is void."""
        utterance, self.current = self.current, None
        self._fresh()
        return utterance

    def expect(self, item_id: str, samples: int) -> None:
        """Sound that did not come through the buffer is being transcribed too."""
        self._was_brought_sound = True
        self._waiting[item_id] = Utterance(item_id, begins=self.buffer.heard, samples=samples, is_turn=False)

    def guess(self, guessed: Transcribed) -> Utterance | None:
        """The recogniser's present idea of an utterance, which is returned if it has ended: it may be told of."""
        if self.current is not None and self.current.item_id == guessed.item_id:
            self.current.transcript.guess(guessed.text)
            if self._semantic is not None:
                self._semantic.words(guessed.text)
            return None
        utterance = self._waiting.get(guessed.item_id)
        if utterance is not None:
            utterance.transcript.guess(guessed.text)
        return utterance

    def unjudged_pause(self) -> tuple[str, bytes] | None:
        """The utterance in whose pause the end-of-turn model should be asked, once, and its newest sound."""
        if self._semantic is None or self.current is None or not self._semantic.wants_judgement(self.buffer.heard):
            return None
        newest = self.buffer.heard - JUDGED_MS * self.buffer.format.rate_hz // 1000
        return self.current.item_id, self.buffer.since(max(newest, self.current.begins))

    def early_end(self, *, is_hinted: bool = False) -> Guess | None:
        """News of whether the caller seems to have finished, though the turn is not over."""
        if self.current is None or self._turns is None:
            return None
        text = self.current.transcript.latest
        return self._early.look(self.buffer.heard, self._turns.voice_end, text, is_hinted=is_hinted)

    def goes_on(self) -> bool:
        """The transcriber takes back its hint. True if the caller had seemed to have finished."""
        return self._early.take_back()

    def judge_turn(self, judged: TurnJudged) -> None:
        """What the end-of-turn model thinks of a pause; late verdicts are of no use."""
        if self._semantic is not None and self.current is not None and self.current.item_id == judged.item_id:
            self._semantic.judged(judged.probability)

    def understood(self, verdict: Transcribed | TranscriptionFailed) -> Utterance | None:
        """The words of a waiting utterance are known, or never will be. None if nobody waits for them: it is void,
        or still being said; then it keeps the verdict until its end."""
        if self.current is not None and self.current.item_id == verdict.item_id:
            self.current.verdict = verdict
            if self._semantic is not None and isinstance(verdict, Transcribed):
                self._semantic.words(verdict.text)
            return None
        return self._waiting.pop(verdict.item_id, None)

    def press(self, digit: str) -> None:
        """A key was pressed."""
        self._digits += digit
        self._last_digit = self.buffer.heard

    def take_digits(self) -> str:
        """The keys of a finished entry (a pause, or `#`), once; empty while there is none."""
        if not self._digits:
            return ""
        if self._digits[-1] != "#" and self.buffer.heard - self._last_digit < self._digits_pause:
            return ""
        digits, self._digits = self._digits, ""
        return digits

    def _end(self, boundary: SpeechEnded) -> Utterance | None:
        self.voice_edge = boundary.voice_end
        if self.current is not None:
            self.current.voiced = boundary.voice_end - self.current.begins - self._padding
        return self.end_utterance()

    def _begin(self, start: int) -> Utterance:
        self.current = Utterance(item_id=self._make_id("item"), begins=max(start, self.buffer.start))
        return self.current

    def _fresh(self) -> None:
        self.buffer.clear()
        self._early.forget()
        if self._turns is not None:
            self._turns.reset()
