"""One session of the WebRTC load, with as little work per packet as can be; and its like for a server that echoes.

`TalkSession` takes turns as a client of the Realtime protocol does: it speaks a phrase or asks in writing, hears
the answer to its end, and pauses. `EchoSession` says the same phrases to a server that returns all it hears. Both
are pure: no socket, no clock. Times are seconds of one clock that is handed in.

Nothing that comes is decoded: a frame with sound in it is told from silence by its size.
"""

from __future__ import annotations

import enum
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from simulator.webrtc_mark import Mark

PROBE_EVERY_FRAMES: Final = 50
"""Once a second something is sent that is answered at once: a way there and back of the data channel."""

LOUD_BYTES: Final = 45
"""Of a payload: speech in Opus of 32 kbit/s has 50 and more, digital silence 31."""

SILENCE_MS: Final = 500
"""That ends a turn, as the session is configured."""

SESSION_UPDATE: Final = json.dumps(
    {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": SILENCE_MS}}},
        },
    }
)
PROBE_CREATE: Final = (
    '{"type":"conversation.item.create","item":{"id":"item_probe","type":"message","role":"user",'
    '"content":[{"type":"input_text","text":"Is anybody there?"}]}}'
)
PROBE: Final = '{"type":"conversation.item.retrieve","item_id":"item_probe"}'
TEXT: Final = (
    '{"type":"conversation.item.create","item":{"type":"message","role":"user",'
    '"content":[{"type":"input_text","text":"What are your opening hours?"}]}}'
)
ASK: Final = '{"type":"response.create"}'


@dataclass(slots=True)
class TalkTally:
    """What all sessions of a level have measured; milliseconds unless another unit is told."""

    round_trip: list[float] = field(default_factory=list)
    """On the data channel, of an event that is answered at once; of an echo, of the same message."""
    mouth_to_ear: list[float] = field(default_factory=list)
    """Of an echo: from a mark's leaving this process to its coming back."""
    ask_to_sound: list[float] = field(default_factory=list)
    """From `response.create` to the first packet with sound."""
    stop_to_sound: list[float] = field(default_factory=list)
    """From the coming of `speech_stopped` to the first packet with sound."""
    voice_to_voice: list[float] = field(default_factory=list)
    """From the last packet of a phrase to the first packet with sound."""
    unanswered: int = 0
    errors: int = 0
    first_error: str | None = None
    sent: int = 0
    """Packets."""
    sent_loud: int = 0
    """Of them, those of phrases."""
    received: int = 0
    received_loud: int = 0
    """Of them, those with sound; an echo's are not told apart."""


@dataclass(frozen=True, slots=True)
class TalkScript:
    """How the clients of a run behave; sounds are packets of 20 ms of Opus."""

    clips: tuple[tuple[bytes, ...], ...]
    noise: tuple[bytes, ...]
    mark: Mark
    text_share: float = 0.25
    """Of the turns, those asked in writing."""
    first_pause_s: float = 6.0
    """At most, before the first turn: about the length of a turn, so that sessions do not take theirs together."""
    pause_s: tuple[float, float] = (0.3, 1.5)
    echo_pause_s: tuple[float, float] = (0.3, 1.5)
    """Between the phrases of a client that has nobody to wait for: as much is spoken as an agent and its caller
    speak together, and the server codes as many loud packets."""
    patience_s: float = 10.0


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
    """Until the answer has been played to its end."""


class _Error(msgspec.Struct):
    message: str = ""
    code: str | None = None


class _Response(msgspec.Struct):
    status: str = ""


class _Event(msgspec.Struct):
    """Any event of the server."""

    type: str
    error: _Error | None = None
    response: _Response | None = None


_decoder = msgspec.json.Decoder(_Event)


class Voice:
    """What a client says, packet by packet: noise, and phrases when it is told to."""

    def __init__(self, noise: Sequence[bytes], rng: random.Random) -> None:
        self._noise = noise
        self._noise_at = rng.randrange(len(noise))
        self._phrase: Sequence[bytes] = ()
        self._at = 0

    def say(self, phrase: Sequence[bytes]) -> None:
        self._phrase, self._at = phrase, 0

    @property
    def is_speaking(self) -> bool:
        return self._at < len(self._phrase)

    def next(self) -> bytes:
        if self._at < len(self._phrase):
            self._at += 1
            return self._phrase[self._at - 1]
        self._noise_at = (self._noise_at + 1) % len(self._noise)
        return self._noise[self._noise_at]


class Probe:
    """When to ask for a round trip, and how long it took."""

    def __init__(self, rng: random.Random) -> None:
        self._frames = rng.randrange(PROBE_EVERY_FRAMES)
        self._asked_at: float | None = None

    def is_due(self, now: float) -> bool:
        """Once a frame. If it says so, the question must be sent now."""
        self._frames += 1
        if self._frames % PROBE_EVERY_FRAMES or self._asked_at is not None:
            return False
        self._asked_at = now
        return True

    def answered(self, now: float) -> list[float]:
        """The milliseconds since it was asked; nothing if it was not."""
        took = self.outstanding(now)
        self._asked_at = None
        return took

    def outstanding(self, now: float) -> list[float]:
        return [] if self._asked_at is None else [(now - self._asked_at) * 1000]


class TalkSession:
    """`tick` every 20 ms gives what to send; `receive` takes events, `hear` tells of each packet that came."""

    wants: Literal["sizes", "payloads"] = "sizes"

    def __init__(self, script: TalkScript, tally: TalkTally, rng: random.Random) -> None:
        self._script = script
        self._tally = tally
        self._rng = rng
        self._voice = Voice(script.noise, rng)
        self._probe = Probe(rng)
        self._mood = Mood.JOINING
        self._until: float | None = None
        """When patience or a pause is over; None before the first tick."""
        self._asked_at: float | None = None
        """When the answer could be begun: it was asked for, or the caller had been silent long enough."""
        self._spoke_until = 0.0
        self.is_measured = False

    @property
    def is_joined(self) -> bool:
        return self._mood is not Mood.JOINING

    def receive(self, text: str, now: float) -> None:
        event = _decoder.decode(text)
        match event.type:
            case "conversation.item.retrieved":
                took = self._probe.answered(now)
                if self.is_measured:
                    self._tally.round_trip += took
            case "session.updated" if self._mood is Mood.JOINING:
                self._pause(now, self._rng.uniform(0, self._script.first_pause_s))
            case "input_audio_buffer.speech_stopped" if self._mood is Mood.WAITING:
                self._asked_at = now
            case "output_audio_buffer.stopped" if self._mood is Mood.HEARING:
                self._pause(now, self._rng.uniform(*self._script.pause_s))
            case "response.done" if event.response is not None and event.response.status == "failed":
                self._note_error("response.done: failed")
            case "error":
                error = event.error or _Error()
                self._note_error(f"{error.code}: {error.message}")

    def hear(self, size_bytes: int, payload: bytes, now: float) -> None:
        """Of a packet of sound: how long its payload is, the payload itself if that is wanted, and when it came."""
        is_loud = size_bytes >= LOUD_BYTES
        if self.is_measured:
            self._tally.received += 1
            self._tally.received_loud += is_loud
        if is_loud and self._asked_at is not None:
            self._begin_answer(now, self._asked_at)

    def tick(self, now: float) -> tuple[bytes, list[str]]:
        """The packet of sound that has just been recorded, and what else there is to say."""
        messages = self._decide(now)
        if self._mood is not Mood.JOINING and self._probe.is_due(now):
            messages.append(PROBE)
        was_speaking = self._voice.is_speaking
        packet = self._voice.next()
        if self.is_measured:
            self._tally.sent += 1
            self._tally.sent_loud += was_speaking
        if self._mood is Mood.SPEAKING and not self._voice.is_speaking:
            self._mood, self._until, self._spoke_until = Mood.WAITING, now + self._script.patience_s, now
        return packet, messages

    def outstanding(self, now: float) -> list[float]:
        """How long, in milliseconds, what is not answered yet has waited for its round trip."""
        return self._probe.outstanding(now)

    def _decide(self, now: float) -> list[str]:
        if self._until is None:
            self._until = now + self._script.patience_s
            return [SESSION_UPDATE, PROBE_CREATE]
        if self._mood is Mood.SPEAKING or now < self._until:
            return []
        if self._mood is Mood.PAUSING:
            return self._take_turn(now)
        if self.is_measured:
            self._tally.unanswered += 1
        if self._mood is Mood.JOINING:
            self._until = now + self._script.patience_s
        else:
            self._pause(now, self._rng.uniform(*self._script.pause_s))
        return []

    def _take_turn(self, now: float) -> list[str]:
        self._until = now + self._script.patience_s
        if self._rng.random() < self._script.text_share:
            self._mood, self._asked_at = Mood.ASKING, now
            return [TEXT, ASK]
        self._mood, self._asked_at = Mood.SPEAKING, None
        self._voice.say(self._rng.choice(self._script.clips))
        return []

    def _begin_answer(self, now: float, asked_at: float) -> None:
        if self.is_measured and self._mood is Mood.ASKING:
            self._tally.ask_to_sound.append((now - asked_at) * 1000)
        elif self.is_measured:
            self._tally.stop_to_sound.append((now - asked_at) * 1000)
            self._tally.voice_to_voice.append((now - self._spoke_until) * 1000)
        self._mood, self._until, self._asked_at = Mood.HEARING, now + self._script.patience_s, None

    def _pause(self, now: float, length_s: float) -> None:
        self._mood, self._until, self._asked_at = Mood.PAUSING, now + length_s, None

    def _note_error(self, words: str) -> None:
        self._tally.errors += 1
        self._tally.first_error = self._tally.first_error or words


class EchoSession:
    """See the module's docstring. Phrase after phrase, whatever comes."""

    wants: Literal["sizes", "payloads"] = "sizes"

    def __init__(self, script: TalkScript, tally: TalkTally, rng: random.Random) -> None:
        self._script = script
        self._tally = tally
        self._rng = rng
        self._voice = Voice(script.noise, rng)
        self._probe = Probe(rng)
        self._pause_until: float | None = None
        self.is_joined = True
        self.is_measured = False

    def receive(self, text: str, now: float) -> None:
        took = self._probe.answered(now)
        if self.is_measured:
            self._tally.round_trip += took

    def hear(self, size_bytes: int, payload: bytes, now: float) -> None:
        """See `TalkSession`."""
        if self.is_measured:
            self._tally.received += 1

    def tick(self, now: float) -> tuple[bytes, list[str]]:
        """See `TalkSession`."""
        if self._pause_until is None:
            self._pause_until = now + self._rng.uniform(0, self._script.first_pause_s)
        elif not self._voice.is_speaking and now >= self._pause_until:
            phrase = self._rng.choice(self._script.clips)
            self._voice.say(phrase)
            self._pause_until = now + len(phrase) / 50 + self._rng.uniform(*self._script.echo_pause_s)
        if self.is_measured:
            self._tally.sent += 1
            self._tally.sent_loud += self._voice.is_speaking
        return self._voice.next(), [PROBE] if self._probe.is_due(now) else []

    def outstanding(self, now: float) -> list[float]:
        """See `TalkSession`."""
        return self._probe.outstanding(now)
