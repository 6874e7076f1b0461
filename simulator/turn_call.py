"""One call of the benchmark of turns: it says what is planned, turn by turn, and times when it is answered.

It plays no tricks: it waits for the agent to fall silent, pauses, speaks, listens. Whether what it hears is the
answer or only something said while one waits, it tells by the pitch. Times are seconds of one clock.
"""

from __future__ import annotations

import enum
import random
from base64 import b64decode
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from simulator.load_call import FRAME_S, QUIET_S, SAMPLES_PER_S, Message
from simulator.turn_plan import Spoken

ANSWER_HZ: Final = 250
FILLER_HZ: Final = 500
"""An octave higher: the stand-in voice hums everything that is no answer like this."""

PITCH_BYTES: Final = 80
"""10 ms: five crossings of zero in an answer, ten in a filler."""

MOST_CROSSINGS: Final = 7

PAUSE_S: Final = (0.3, 1.0)
PATIENCE_S: Final = 12.0
"""Longer than any provider may be silent before the gateway asks another or apologises."""


class Mood(enum.Enum):
    LISTENING = "listening"
    """Until the agent has spoken and fallen silent."""
    PAUSING = "pausing"
    SPEAKING = "speaking"
    WAITING = "waiting"
    """For the answer."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Waited:
    """One turn as the caller had it; seconds from the last sound of the caller. None: it never came."""

    number: int
    first_sound_s: float | None
    answer_s: float | None
    fillers: int


class TurnCall:
    """`tick` every 20 ms gives the messages to send; `receive` takes what came. See `LoadCall`."""

    is_measured = True

    def __init__(
        self, stream_sid: str, turns: Sequence[Spoken], noise: Sequence[str], draws: random.Random
    ) -> None:
        self.waited: list[Waited] = []
        self._turns = deque(turns)
        self._noise = noise
        self._draws = draws
        self._mood = Mood.LISTENING
        self._until = 0.0
        self._at = 0
        self._chunk = 0
        self._head = f'{{"event":"media","streamSid":"{stream_sid}","sequenceNumber":"'
        self._mark_head = f'{{"event":"mark","streamSid":"{stream_sid}","sequenceNumber":"0","mark":{{"name":"'
        self._marks: deque[tuple[float, str]] = deque()
        self._plays_until = 0.0
        self._stopped = 0.0
        self._first_sound_s: float | None = None
        self._fillers = 0

    @property
    def is_done(self) -> bool:
        """All was said, and answered or given up."""
        return self._mood is Mood.DONE

    def receive(self, text: bytes | memoryview, now: float) -> None:
        message = _decoder.decode(text)
        if message.media is not None:
            self._hear(b64decode(message.media.payload), now)
        elif message.mark is not None:
            self._marks.append((max(now, self._plays_until), message.mark.name))
        elif message.event == "clear":
            self._plays_until = min(self._plays_until, now)
            self._marks = deque((now, name) for _, name in self._marks)

    def tick(self, now: float) -> list[str]:
        """The frame of sound that has just been spoken, and the marks that have just been played."""
        payload = self._sound(now)
        self._chunk += 1
        messages = [
            f'{self._head}{self._chunk + 1}","media":{{"track":"inbound","chunk":"{self._chunk}",'
            f'"timestamp":"{(self._chunk - 1) * 20}","payload":"{payload}"}}}}'
        ]
        while self._marks and self._marks[0][0] <= now:
            messages.append(f'{self._mark_head}{self._marks.popleft()[1]}"}}}}')
        return messages

    def _sound(self, now: float) -> str:
        self._decide(now)
        if self._mood is not Mood.SPEAKING:
            return self._noise[self._chunk % len(self._noise)]
        payloads = self._turns[0].payloads
        self._at += 1
        if self._at == len(payloads):
            self._mood, self._until, self._stopped = Mood.WAITING, now + PATIENCE_S, now
            self._first_sound_s, self._fillers = None, 0
        return payloads[self._at - 1]

    def _decide(self, now: float) -> None:
        match self._mood:
            case Mood.LISTENING if self._plays_until and now - self._plays_until > QUIET_S:
                self._mood, self._until = Mood.PAUSING, now + self._draws.uniform(*PAUSE_S)
                if not self._turns:
                    self._mood = Mood.DONE
            case Mood.PAUSING if now >= self._until:
                self._mood, self._at = Mood.SPEAKING, 0
            case Mood.WAITING if now >= self._until:
                self._answered(None, now)
            case _:
                pass

    def _hear(self, sound: bytes, now: float) -> None:
        was_quiet = now - self._plays_until > FRAME_S
        begins = max(now, self._plays_until)
        self._plays_until = begins + len(sound) / SAMPLES_PER_S
        if self._mood is not Mood.WAITING:
            return
        if self._first_sound_s is None:
            self._first_sound_s = begins - self._stopped
        if not is_filler(sound):
            self._answered(begins - self._stopped, now)
        elif was_quiet:
            self._fillers += 1

    def _answered(self, answer_s: float | None, now: float) -> None:
        spoken = self._turns.popleft()
        self.waited.append(Waited(spoken.number, self._first_sound_s, answer_s, self._fillers))
        self._mood = Mood.LISTENING
        self._plays_until = max(self._plays_until, now)


_decoder = msgspec.json.Decoder(Message)


def is_filler(law: bytes) -> bool:
    """Whether µ-law sound ends in the hum of a filler; the sign of a sample is its first bit."""
    signs = [byte & 0x80 for byte in law[-PITCH_BYTES:]]
    return sum(one != other for one, other in zip(signs, signs[1:], strict=False)) > MOST_CROSSINGS
