"""One session of the Realtime load generator, with as little work per frame as can be; and its like for an echo.

`RealtimeSession` talks as a client of the Realtime protocol does: it streams its microphone, and in turns speaks a
phrase or asks in writing, listens to the answer to its end, and pauses. `EchoSession` sends the same frames to a
server that only returns them. Both are pure: no socket, no clock. Times are seconds of one clock that is handed in.

Events are written by hand and of those that come only what is measured is read.
"""

from __future__ import annotations

import enum
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import msgspec

RATE_HZ: Final = 24_000
FRAME_S: Final = 0.020
BYTES_PER_S: Final = 2 * RATE_HZ

PROBE_EVERY_FRAMES: Final = 50
"""Once a second something is sent that is answered at once: a way there and back that can be measured."""

SESSION_UPDATE: Final = (
    b'{"type":"session.update","session":{"type":"realtime","output_modalities":["audio"],"audio":{'
    b'"input":{"format":{"type":"audio/pcm","rate":24000},"turn_detection":{"type":"server_vad",'
    b'"silence_duration_ms":500}},"output":{"format":{"type":"audio/pcm","rate":24000}}}}}'
)
PROBE_CREATE: Final = (
    b'{"type":"conversation.item.create","item":{"id":"item_probe","type":"message","role":"user",'
    b'"content":[{"type":"input_text","text":"Is anybody there?"}]}}'
)
PROBE: Final = b'{"type":"conversation.item.retrieve","item_id":"item_probe"}'
TEXT: Final = (
    b'{"type":"conversation.item.create","item":{"type":"message","role":"user",'
    b'"content":[{"type":"input_text","text":"What are your opening hours?"}]}}'
)
ASK: Final = b'{"type":"response.create"}'


class _Error(msgspec.Struct):
    message: str = ""
    code: str | None = None


class _Response(msgspec.Struct):
    status: str = ""


class _Event(msgspec.Struct):
    """Any event of the server."""

    type: str
    delta: msgspec.Raw = msgspec.Raw()
    """As it stands in the JSON, in its quotes: a sound's length is known without copying it."""
    error: _Error | None = None
    response: _Response | None = None


@dataclass(slots=True)
class RealtimeTally:
    """What all sessions of a run have measured; milliseconds unless another unit is told."""

    round_trip: list[float] = field(default_factory=list)
    """From an event that is answered at once to its answer; of an echo, of each frame of sound."""
    delta: list[float] = field(default_factory=list)
    """From `response.create` to the first delta of sound; of an echo, there and back of a frame of that size."""
    further_delta: list[float] = field(default_factory=list)
    """From each delta of an answer to the next."""
    lateness: list[float] = field(default_factory=list)
    """Of each further delta against the instant at which a loudspeaker needs it; negative is early."""
    stop_to_delta: list[float] = field(default_factory=list)
    """From `speech_stopped` to the first delta of sound."""
    voice_to_voice: list[float] = field(default_factory=list)
    """From the last sound of a phrase to the first delta of its answer."""
    delta_bytes: list[int] = field(default_factory=list)
    """Size of each message that carries sound, or of the echo in its place."""
    unanswered: int = 0
    errors: int = 0
    first_error: str | None = None
    frames_sent: int = 0
    own_lateness: list[float] = field(default_factory=list)
    """How late the generator itself sent its frames: with much of it, nothing else here is to be believed."""


class Mood(enum.Enum):
    """What the client is doing."""

    JOINING = "joining"
    """Until its configuration is accepted."""
    PAUSING = "pausing"
    SPEAKING = "speaking"
    WAITING = "waiting"
    """It has spoken, and waits for the answer to begin."""
    ASKING = "asking"
    """It has asked in writing, and waits for the answer to begin."""
    HEARING = "hearing"
    """Until the answer is whole and has been played."""


@dataclass(frozen=True, slots=True)
class RealtimeScript:
    """How the clients of a run behave; sounds are `input_audio_buffer.append` events of 20 ms, ready to send."""

    clips: tuple[tuple[bytes, ...], ...]
    noise: tuple[bytes, ...]
    delta: bytes
    """A message of the size of a delta of sound, for an echo."""
    text_share: float = 0.5
    """Of the turns, those asked in writing."""
    first_pause_s: float = 6.0
    """At most, before the first turn: about the length of a turn, so that sessions do not take theirs together."""
    pause_s: tuple[float, float] = (0.3, 1.5)
    patience_s: float = 10.0


class RealtimeSession:
    """`tick` every 20 ms gives the messages to send; `receive` takes what came."""

    def __init__(self, script: RealtimeScript, tally: RealtimeTally, rng: random.Random) -> None:
        self._script = script
        self._tally = tally
        self._rng = rng
        self._mood = Mood.JOINING
        self._until: float | None = None
        """When patience or a pause is over; None before the first tick."""
        self._spoken: tuple[bytes, ...] = ()
        self._at = 0
        self._noise_at = rng.randrange(len(script.noise))
        self._frames = rng.randrange(PROBE_EVERY_FRAMES)
        self._asked_at: float | None = None
        """When the answer could be begun: it was asked for, or the caller had been silent long enough."""
        self._spoke_until = 0.0
        self._probed_at: float | None = None
        self._last_delta_at: float | None = None
        self._plays_until = 0.0
        self._is_whole = True
        self.is_measured = False

    @property
    def is_joined(self) -> bool:
        return self._mood is not Mood.JOINING

    def receive(self, text: bytes, now: float) -> None:
        event = _decoder.decode(text)
        match event.type:
            case "response.output_audio.delta":
                self._hear(event, len(text), now)
            case "conversation.item.retrieved":
                self._probe_answered(now)
            case "session.updated" if self._mood is Mood.JOINING:
                self._pause(now, self._rng.uniform(0, self._script.first_pause_s))
            case "input_audio_buffer.speech_stopped" if self._mood is Mood.WAITING:
                self._asked_at = now
            case "response.done":
                self._is_whole = True
                if event.response is not None and event.response.status == "failed":
                    self._note_error("response.done: failed")
            case "error":
                error = event.error or _Error()
                self._note_error(f"{error.code}: {error.message}")

    def tick(self, now: float) -> list[bytes]:
        """The frame of sound that has just been recorded, and what else there is to say."""
        if self._until is None:
            self._until = now + self._script.patience_s
            return [SESSION_UPDATE, PROBE_CREATE]
        if self._mood is not Mood.SPEAKING:
            messages = self._decide(now, self._until)
            if self._mood is Mood.JOINING:
                return messages
        else:
            messages = []
        messages.append(self._sound(now))
        self._frames += 1
        if self._frames % PROBE_EVERY_FRAMES == 0 and self._probed_at is None:
            self._probed_at = now
            messages.append(PROBE)
        return messages

    def outstanding(self, now: float) -> list[float]:
        """How long, in milliseconds, what is not answered yet has waited for its round trip."""
        return [] if self._probed_at is None else [(now - self._probed_at) * 1000]

    def _decide(self, now: float, until: float) -> list[bytes]:
        match self._mood:
            case Mood.PAUSING if now >= until:
                return self._take_turn(now)
            case Mood.HEARING if self._is_whole and now >= self._plays_until:
                self._pause(now, self._rng.uniform(*self._script.pause_s))
            case Mood.JOINING | Mood.WAITING | Mood.ASKING | Mood.HEARING if now >= until:
                if self.is_measured:
                    self._tally.unanswered += 1
                if self._mood is Mood.JOINING:
                    self._until = now + self._script.patience_s
                else:
                    self._pause(now, self._rng.uniform(*self._script.pause_s))
        return []

    def _take_turn(self, now: float) -> list[bytes]:
        self._asked_at, self._last_delta_at, self._is_whole = None, None, False
        self._until = now + self._script.patience_s
        if self._rng.random() < self._script.text_share:
            self._mood, self._asked_at = Mood.ASKING, now
            return [TEXT, ASK]
        self._mood, self._at = Mood.SPEAKING, 0
        self._spoken = self._script.clips[self._rng.randrange(len(self._script.clips))]
        return []

    def _sound(self, now: float) -> bytes:
        if self._mood is Mood.SPEAKING:
            frame = self._spoken[self._at]
            self._at += 1
            if self._at == len(self._spoken):
                self._mood, self._until, self._spoke_until = Mood.WAITING, now + self._script.patience_s, now
            return frame
        self._noise_at = (self._noise_at + 1) % len(self._script.noise)
        return self._script.noise[self._noise_at]

    def _hear(self, event: _Event, size_bytes: int, now: float) -> None:
        if self._mood in (Mood.WAITING, Mood.ASKING) and self._asked_at is not None:
            self._begin_answer(now, self._asked_at)
        elif self._mood is not Mood.HEARING or self._last_delta_at is None:
            return
        elif self.is_measured:
            self._tally.further_delta.append((now - self._last_delta_at) * 1000)
            self._tally.lateness.append((now - self._plays_until) * 1000)
        if self.is_measured:
            self._tally.delta_bytes.append(size_bytes)
        self._last_delta_at = now
        self._until = now + self._script.patience_s
        self._plays_until = max(self._plays_until, now) + _length_s(event.delta)

    def _begin_answer(self, now: float, asked_at: float) -> None:
        if self.is_measured and self._mood is Mood.ASKING:
            self._tally.delta.append((now - asked_at) * 1000)
        elif self.is_measured:
            self._tally.stop_to_delta.append((now - asked_at) * 1000)
            self._tally.voice_to_voice.append((now - self._spoke_until) * 1000)
        self._mood, self._plays_until = Mood.HEARING, now

    def _probe_answered(self, now: float) -> None:
        if self._probed_at is not None and self.is_measured:
            self._tally.round_trip.append((now - self._probed_at) * 1000)
        self._probed_at = None

    def _pause(self, now: float, length_s: float) -> None:
        self._mood, self._until = Mood.PAUSING, now + length_s

    def _note_error(self, words: str) -> None:
        self._tally.errors += 1
        self._tally.first_error = self._tally.first_error or words


class EchoSession:
    """The same frames for a server that returns each: what a way there and back costs at the least."""

    def __init__(self, script: RealtimeScript, tally: RealtimeTally, rng: random.Random) -> None:
        self._script = script
        self._tally = tally
        self._noise_at = rng.randrange(len(script.noise))
        self._frames = rng.randrange(PROBE_EVERY_FRAMES)
        self._sent: deque[tuple[float, bool]] = deque()
        """When, and whether it was of a delta's size. As long as the server is behind."""
        self.is_joined = True
        self.is_measured = False

    def receive(self, text: bytes, now: float) -> None:
        sent_at, is_delta = self._sent.popleft()
        if not self.is_measured:
            return
        if is_delta:
            self._tally.delta.append((now - sent_at) * 1000)
            self._tally.delta_bytes.append(len(text))
        else:
            self._tally.round_trip.append((now - sent_at) * 1000)

    def tick(self, now: float) -> list[bytes]:
        """See `RealtimeSession`; a message of a delta's size instead of the probe."""
        self._noise_at = (self._noise_at + 1) % len(self._script.noise)
        self._frames += 1
        self._sent.append((now, False))
        if self._frames % PROBE_EVERY_FRAMES:
            return [self._script.noise[self._noise_at]]
        self._sent.append((now, True))
        return [self._script.noise[self._noise_at], self._script.delta]

    def outstanding(self, now: float) -> list[float]:
        """See `RealtimeSession`."""
        return [(now - sent_at) * 1000 for sent_at, is_delta in self._sent if not is_delta]


_decoder = msgspec.json.Decoder(_Event)


def _length_s(delta: msgspec.Raw) -> float:
    """Of base64 in its quotes: four characters are three bytes."""
    text = memoryview(delta)[1:-1]
    return (len(text) * 3 // 4 - bytes(text[-2:]).count(b"=")) / BYTES_PER_S
