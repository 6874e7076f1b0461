"""The caller: a script of steps, a mouth and an ear.

Pure, stepped every 20 ms. The caller knows only what was heard; no message of the stream and no gateway. One
caller lives as long as the call, over all its streams; the milliseconds are those of the call's sound clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from simulator.ear import Ear
from simulator.sound import FRAME_SAMPLES, Sound

QUIET_MS = 700
"""How long a polite caller waits after the agent's last sound."""
PATIENCE_MS = 15_000
"""How long a caller waits for an agent who says nothing, before going on with the script."""
DIGIT_MS = 200
"""From one key to the next."""
DIGIT_PAUSE_MS = 500
"""What a `w` among the digits means, as in Twilio's `<Play digits>`."""
STILL_SPEAKING_MS = 1_000
"""An agent whose utterance goes on this long after the caller began to listen is answering; a shorter rest is the
tail of an interrupted one, and the answer is still to come."""
LONG_WINDED = 4
"""So many times as long as in silence a caller listens to somebody who speaks."""
KEYS = frozenset("0123456789*#ABCDw")


@dataclass(frozen=True, slots=True)
class Listen:
    """Wait until the agent has begun to speak and has then been silent for `quiet_ms`.

    Patience ends after `patience_ms` of silence, or four times as long with an agent who never ends.
    """

    quiet_ms: int = QUIET_MS
    patience_ms: int = PATIENCE_MS


@dataclass(frozen=True, slots=True)
class Say:
    sound: Sound


@dataclass(frozen=True, slots=True)
class BargeIn:
    """Wait until `after_ms` of the agent's speech were heard and the agent still speaks, then say `sound`.

    An agent who does not speak that long within `patience_ms` is spoken to all the same.
    """

    after_ms: int
    sound: Sound
    patience_ms: int = PATIENCE_MS


@dataclass(frozen=True, slots=True)
class Dtmf:
    """Press keys, 200 ms apart; `w` waits half a second."""

    digits: str

    def __post_init__(self) -> None:
        if not self.digits or not set(self.digits) <= KEYS:
            raise ValueError(f"digits are 0-9, *, #, A-D and w for a pause, got {self.digits!r}")


@dataclass(frozen=True, slots=True)
class Wait:
    ms: int


@dataclass(frozen=True, slots=True)
class HangUp:
    pass


Step: TypeAlias = Listen | Say | BargeIn | Dtmf | Wait | HangUp


@dataclass(frozen=True, slots=True)
class Press:
    """One key: a step, and the act that follows from it."""

    digit: str


@dataclass(frozen=True, slots=True)
class StartSpeaking:
    text: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class StopSpeaking:
    text: str
    at_ms: float


@dataclass(frozen=True, slots=True)
class LosePatience:
    """The agent did not do what the script waited for."""

    waited_ms: int


@dataclass(frozen=True, slots=True)
class PutDown:
    """The caller hangs up."""


Act: TypeAlias = Press | StartSpeaking | StopSpeaking | LosePatience | PutDown


def conversation(
    sounds: Sequence[Sound], *, barge_in_s: float | None = None, dtmf: str | None = None
) -> tuple[Step, ...]:
    """A plain talk: each sound after the agent's last word, then the digits, then goodbye.

    With `barge_in_s` the last sound does not wait: it comes after that many seconds of the agent's speech.
    """
    steps: list[Step] = []
    for index, sound in enumerate(sounds):
        if barge_in_s is not None and index == len(sounds) - 1:
            steps.append(BargeIn(round(barge_in_s * 1000), sound))
        else:
            steps += [Listen(), Say(sound)]
    if dtmf is not None:
        steps += [Listen(), Dtmf(dtmf)]
    return (*steps, Listen(), HangUp())


class Caller:
    """Plays a script. A script that does not hang up listens once more and then does."""

    def __init__(self, steps: Iterable[Step], ear: Ear | None = None) -> None:
        self.ear = ear or Ear()
        self._steps: deque[Step | Press] = deque(steps)
        if not self._steps or not isinstance(self._steps[-1], HangUp):
            self._steps += [Listen(), HangUp()]
        self._step_since_ms: int | None = None
        self._heard_before_ms = 0
        self._onsets_before = 0
        self._speaking: Sound | None = None
        self._speaking_since_ms = 0
        self._spoken_bytes = 0
        self._has_hung_up = False

    @property
    def is_speaking(self) -> bool:
        return self._speaking is not None

    @property
    def has_hung_up(self) -> bool:
        return self._has_hung_up

    @property
    def next_step(self) -> Step | Press | None:
        """What the script has next; None when it is over. For verbs, which are played without a stream."""
        return self._steps[0] if self._steps else None

    def take_step(self) -> Step | Press:
        """The next step, done outside a stream. There must be one."""
        self._step_since_ms = None
        step = self._steps.popleft()
        self._has_hung_up = isinstance(step, HangUp)
        return step

    def decide(self, now_ms: int) -> list[Act]:
        """What the caller does now. Then take `breath` for the 20 ms that begin now."""
        acts: list[Act] = []
        if self._speaking is not None:
            if self._spoken_bytes < len(self._speaking.pcm):
                return acts
            acts.append(self._stop_speaking(self._speaking_since_ms + self._speaking.duration_ms))
        while not self._has_hung_up and not self.is_speaking:
            if self._step_since_ms is None:
                self._step_since_ms = now_ms
                self._heard_before_ms = self.ear.heard_ms
                self._onsets_before = self.ear.onsets
            step = self._steps[0]
            if not self._is_due(step, now_ms, acts):
                return acts
            self._steps.popleft()
            self._step_since_ms = None
            self._do(step, now_ms, acts)
        return acts

    def breath(self) -> bytes:
        """PCM16 of the next 20 ms; empty in silence, and short where a sound ends."""
        if self._speaking is None:
            return b""
        frame = self._speaking.pcm[self._spoken_bytes : self._spoken_bytes + FRAME_SAMPLES * 2]
        self._spoken_bytes += FRAME_SAMPLES * 2
        return frame

    def fall_silent(self, now_ms: float) -> list[Act]:
        """The line is gone: a sound half said stays so."""
        return [] if self._speaking is None else [self._stop_speaking(now_ms)]

    def _is_due(self, step: Step | Press, now_ms: int, acts: list[Act]) -> bool:
        """Whether `step` can be done now; tells in `acts` when it only is because patience ended."""
        assert self._step_since_ms is not None
        waited_ms = now_ms - self._step_since_ms
        heard_ms = self.ear.heard_ms - self._heard_before_ms
        match step:
            case Listen(quiet_ms=quiet_ms, patience_ms=patience_ms):
                has_spoken = self.ear.onsets > self._onsets_before or heard_ms >= STILL_SPEAKING_MS
                is_quiet = self.ear.quiet_ms(now_ms) >= quiet_ms
                is_due = has_spoken and is_quiet
                is_spoken_to = self.ear.is_hearing or (has_spoken and not is_quiet)
                if is_spoken_to and waited_ms < LONG_WINDED * patience_ms:
                    return is_due
            case BargeIn(after_ms=after_ms, patience_ms=patience_ms):
                is_due = self.ear.is_hearing and heard_ms >= after_ms
            case Wait(ms=ms):
                return waited_ms >= ms
            case Say() | Dtmf() | Press() | HangUp():
                return True
            case _:
                assert_never(step)
        if not is_due and waited_ms >= patience_ms:
            acts.append(LosePatience(waited_ms))
            return True
        return is_due

    def _do(self, step: Step | Press, now_ms: int, acts: list[Act]) -> None:
        match step:
            case Say(sound=sound) | BargeIn(sound=sound):
                self._speaking, self._speaking_since_ms, self._spoken_bytes = sound, now_ms, 0
                acts.append(StartSpeaking(sound.text, now_ms))
            case Dtmf(digits=digits):
                self._steps.extendleft(reversed(_keystrokes(digits)))
            case Press():
                acts.append(step)
            case HangUp():
                self._has_hung_up = True
                acts.append(PutDown())
            case Listen() | Wait():
                pass
            case _:
                assert_never(step)

    def _stop_speaking(self, at_ms: float) -> StopSpeaking:
        assert self._speaking is not None
        text, self._speaking = self._speaking.text, None
        return StopSpeaking(text, at_ms)


def _keystrokes(digits: str) -> list[Step | Press]:
    steps: list[Step | Press] = []
    for digit in digits:
        steps += [Wait(DIGIT_PAUSE_MS)] if digit == "w" else [Press(digit), Wait(DIGIT_MS)]
    return steps
