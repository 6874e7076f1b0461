"""One call of the load generator: a phone and a caller, with as little work per frame as can be.

It talks: it waits for the agent to fall silent, pauses, speaks, listens, and sometimes cuts in. It keeps a true
playback clock, so that it knows when marks are due and when sound came too late. Times are seconds of one clock.
"""

from __future__ import annotations

import enum
import random
from collections import deque
from dataclasses import dataclass, field

import msgspec

SAMPLES_PER_S = 8_000
FRAME_S = 0.020
QUIET_S = 0.4
"""The agent has finished when nothing has been audible for so long."""


class _Payload(msgspec.Struct):
    payload: str


class _Mark(msgspec.Struct):
    name: str


class Message(msgspec.Struct):
    """Any message of the gateway."""

    event: str
    media: _Payload | None = None
    mark: _Mark | None = None


@dataclass(slots=True)
class Tally:
    """What all calls of a run have measured; milliseconds."""

    voice_to_voice: list[float] = field(default_factory=list)
    """From the caller's last sound to the first of the answer."""
    barge_in_to_clear: list[float] = field(default_factory=list)
    """From the first sound of a caller who cuts in to `clear`."""
    clears_by_phrase: dict[str, list[float]] = field(default_factory=dict)
    """The same, by what the caller says: a word that begins with a hiss is noticed later than one with a vowel."""
    lateness: list[float] = field(default_factory=list)
    """Of each outbound message against the pace of its utterance."""
    underruns: int = 0
    """Messages that came after the phone had nothing left to play of the utterance."""
    unanswered: int = 0
    unstopped: int = 0
    """Barge-ins that no `clear` followed."""
    messages_in: int = 0
    seconds_in: float = 0.0
    """Sound received."""
    frames_sent: int = 0
    own_lateness: list[float] = field(default_factory=list)
    """How late the generator itself sent its frames: with much of it, nothing else here is to be believed."""


class Mood(enum.Enum):
    """What the caller is doing."""

    LISTENING = "listening"
    """Until the agent has spoken and fallen silent."""
    PAUSING = "pausing"
    SPEAKING = "speaking"
    WAITING = "waiting"
    """For the answer to begin."""
    BIDING = "biding"
    """The answer has begun and will be cut into."""


@dataclass(frozen=True, slots=True)
class Script:
    """How callers of a run behave; sounds are base64 payloads of 20 ms, ready to send."""

    clips: tuple[tuple[str, ...], ...]
    phrases: tuple[str, ...]
    """What each of the clips says."""
    noise: tuple[str, ...]
    lead_s: float
    """The gateway's playback lead: messages are expected no later than this before they are due."""
    barge_in_share: float
    pause_s: tuple[float, float] = (0.3, 1.5)
    barge_in_after_s: tuple[float, float] = (1.0, 2.0)
    patience_s: float = 10.0


class LoadCall:
    """`tick` every 20 ms gives the messages to send; `receive` takes what came."""

    def __init__(self, stream_sid: str, script: Script, tally: Tally, rng: random.Random) -> None:
        self._script = script
        self._tally = tally
        self._rng = rng
        self._mood = Mood.LISTENING
        self._until = 0.0
        self._spoken: tuple[str, ...] = ()
        self._phrase = ""
        self._at = 0
        self._chunk = 0
        self._noise_at = rng.randrange(len(script.noise))
        self._head = f'{{"event":"media","streamSid":"{stream_sid}","sequenceNumber":"'
        self._mark_head = f'{{"event":"mark","streamSid":"{stream_sid}","sequenceNumber":"0","mark":{{"name":"'
        self._marks: deque[tuple[float, str]] = deque()
        self._plays_until = 0.0
        self._utterance_began = 0.0
        self._utterance_s = 0.0
        self._stopped_at: float | None = None
        self._cut_in_at: float | None = None
        self.is_measured = False

    def receive(self, text: bytes | memoryview, now: float) -> None:
        message = _decoder.decode(text)
        self._tally.messages_in += 1
        if message.media is not None:
            self._hear(_length_s(message.media.payload), now)
        elif message.mark is not None:
            self._marks.append((max(now, self._plays_until), message.mark.name))
        elif message.event == "clear":
            self._clear(now)

    def tick(self, now: float) -> list[str]:
        """The frame of sound that has just been spoken, and the marks that have just been played."""
        messages = [self._frame(now)]
        while self._marks and self._marks[0][0] <= now:
            messages.append(f'{self._mark_head}{self._marks.popleft()[1]}"}}}}')
        return messages

    def _frame(self, now: float) -> str:
        payload = self._sound(now)
        self._chunk += 1
        return (
            f'{self._head}{self._chunk + 1}","media":{{"track":"inbound","chunk":"{self._chunk}",'
            f'"timestamp":"{(self._chunk - 1) * 20}","payload":"{payload}"}}}}'
        )

    def _sound(self, now: float) -> str:
        if self._mood is not Mood.SPEAKING:
            self._decide(now)
        if self._mood is Mood.SPEAKING:
            payload = self._spoken[self._at]
            self._at += 1
            if self._at == len(self._spoken):
                self._finish_speaking(now)
            return payload
        self._noise_at = (self._noise_at + 1) % len(self._script.noise)
        return self._script.noise[self._noise_at]

    def _decide(self, now: float) -> None:
        quiet = now - self._plays_until
        match self._mood:
            case Mood.LISTENING if self._plays_until and quiet > QUIET_S:
                self._mood, self._until = Mood.PAUSING, now + self._rng.uniform(*self._script.pause_s)
            case Mood.PAUSING if now >= self._until:
                self._speak(now)
            case Mood.BIDING if now >= self._until:
                self._speak(now)
                # This frame was spoken in the 20 ms before now.
                self._cut_in_at = now - FRAME_S
            case Mood.WAITING if now >= self._until:
                if self.is_measured:
                    self._tally.unanswered += 1
                self._mood, self._stopped_at = Mood.PAUSING, None

    def _speak(self, now: float) -> None:
        chosen = self._rng.randrange(len(self._script.clips))
        self._phrase = self._script.phrases[chosen]
        self._mood, self._spoken, self._at = Mood.SPEAKING, self._script.clips[chosen], 0

    def _finish_speaking(self, now: float) -> None:
        if self._cut_in_at is not None:
            # No clear came while the whole sentence was spoken.
            if self.is_measured:
                self._tally.unstopped += 1
            self._cut_in_at = None
        self._mood, self._until, self._stopped_at = Mood.WAITING, now + self._script.patience_s, now

    def _hear(self, length_s: float, now: float) -> None:
        self._tally.seconds_in += length_s
        if now - self._plays_until > QUIET_S:
            self._begin_utterance(now)
        elif now > self._plays_until and self.is_measured:
            self._tally.underruns += 1
        # A message may leave once its end is no further ahead of the ear than the lead.
        expected = self._utterance_began + max(0.0, self._utterance_s + length_s - self._script.lead_s)
        if self.is_measured:
            self._tally.lateness.append((now - expected) * 1000)
        self._utterance_s += length_s
        self._plays_until = max(self._plays_until, now) + length_s

    def _begin_utterance(self, now: float) -> None:
        self._utterance_began, self._utterance_s = now, 0.0
        if self._mood is not Mood.WAITING or self._stopped_at is None:
            return
        if self.is_measured:
            self._tally.voice_to_voice.append((now - self._stopped_at) * 1000)
        self._stopped_at = None
        if self._rng.random() < self._script.barge_in_share:
            self._mood, self._until = Mood.BIDING, now + self._rng.uniform(*self._script.barge_in_after_s)
        else:
            self._mood = Mood.LISTENING

    def _clear(self, now: float) -> None:
        self._plays_until = min(self._plays_until, now)
        self._marks = deque((now, name) for _, name in self._marks)
        if self._cut_in_at is not None:
            if self.is_measured:
                took_ms = (now - self._cut_in_at) * 1000
                self._tally.barge_in_to_clear.append(took_ms)
                self._tally.clears_by_phrase.setdefault(self._phrase, []).append(took_ms)
            self._cut_in_at = None


_decoder = msgspec.json.Decoder(Message)


def _length_s(payload: str) -> float:
    """Of base64: four characters are three bytes, and one byte is a sample."""
    return (len(payload) * 3 // 4 - payload.count("=", len(payload) - 2)) / SAMPLES_PER_S
