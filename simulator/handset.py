"""The telephone in the caller's hand for one stream: microphone, loudspeaker, keys.

Pure, stepped every 20 ms: `tick` when a frame's time is over, `receive` when a message arrives, `marks_due` in
between. Each returns what follows, in order. It joins the playback buffer (what was truly heard) to the caller
(what is said because of it), and knows neither the socket nor the form of a message.

Two clocks: `now_s` is the steady clock handed in; `media_ms` in all outputs is the call's sound clock, which begins
with the first stream and goes on through later ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from simulator.call_result import Json
from simulator.caller import Act, Caller, LosePatience, Press, PutDown, StartSpeaking, StopSpeaking
from simulator.ear import AgentHeard, Impression
from simulator.messages import Clear, Heard, Mark, Media
from simulator.noise import ComfortNoise
from simulator.playback import BYTES_PER_MS, Playback
from simulator.recording import StreamSound
from simulator.sound import FRAME_MS, FRAME_SAMPLES, Codec


@dataclass(frozen=True, slots=True)
class Frame:
    """20 ms of the caller, ready to be sent."""

    law: bytes
    timestamp_ms: int
    """Of its first sample, since the stream's start."""


@dataclass(frozen=True, slots=True)
class MarkBack:
    name: str
    is_played: bool
    """False when a `clear` sent it back."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Something worth telling happened."""

    name: str
    media_ms: float
    detail: Mapping[str, Json]


Output: TypeAlias = Frame | MarkBack | Press | PutDown | Noted


class Handset:
    """One stream's phone; the caller who holds it outlives it."""

    def __init__(
        self, caller: Caller, codec: Codec, noise: ComfortNoise | None, *, start_s: float, opened_ms: int
    ) -> None:
        """`opened_ms`: where on the call's sound clock this stream begins."""
        self.playback = Playback(start_s)
        self._caller = caller
        self._codec = codec
        self._noise = noise
        self._start_s = start_s
        self._opened_ms = opened_ms
        self._ticks = 0
        self._spoken: list[bytes] = []
        self._breath = b""
        self._quiet_pcm = bytes(FRAME_SAMPLES * 2)
        self._quiet_law = codec.silence * FRAME_SAMPLES
        self._last_speech_ms: float | None = None
        self._ended_s = start_s

    @property
    def next_tick_s(self) -> float:
        return self._start_s + (self._ticks + 1) * FRAME_MS / 1000

    def begin(self) -> list[Output]:
        """The line is open: what the caller does in the first frame."""
        return self._decide(self._opened_ms)

    def tick(self) -> list[Output]:
        """A frame's time is over: judge what was heard in it, hand over what was said in it, decide the next."""
        first_ms = self._ticks * FRAME_MS
        self._ticks += 1
        outputs = self._listen(first_ms)
        pcm = self._breath + self._quiet_pcm[len(self._breath) :]
        if self._noise is not None:
            pcm = self._noise.under(pcm)
            outputs.append(Frame(self._codec.encode(pcm), first_ms))
        else:
            outputs.append(Frame(self._codec.encode(pcm) if self._breath else self._quiet_law, first_ms))
        self._spoken.append(pcm)
        return outputs + self._decide(self._opened_ms + first_ms + FRAME_MS)

    def receive(self, message: Heard, now_s: float) -> list[Output]:
        """A message of the gateway has reached the phone."""
        match message:
            case Media(audio=audio):
                self.playback.receive(audio, now_s)
                return []
            case Mark(name=name):
                self.playback.mark(name, now_s)
                return self.marks_due(now_s)
            case Clear():
                return self._clear(now_s)
            case _:
                assert_never(message)

    def marks_due(self, now_s: float) -> list[Output]:
        return [MarkBack(name, is_played=True) for name in self.playback.marks_due(now_s)]

    def end(self, now_s: float) -> list[Output]:
        """The stream is over: what was buffered is never heard, what was half said stays so."""
        self._ended_s = now_s
        media_ms = self._media_ms(now_s)
        outputs = self._listen(self._ticks * FRAME_MS, until_ms=int(media_ms) - self._opened_ms)
        self.playback.clear(now_s)
        outputs += [self._impression(one) for one in self._caller.ear.close()]
        return outputs + self._act(self._caller.fall_silent(media_ms))

    def sound(self) -> StreamSound:
        """What was said and heard over the whole stream; after `end`."""
        end_s = self._ended_s
        return StreamSound(
            opened_ms=self._opened_ms,
            spoken=b"".join(self._spoken),
            heard=self._codec.decode(self.playback.sound(end_s, self._codec.silence)),
            underruns=self.playback.underruns,
            received_bytes=self.playback.received_bytes,
            heard_bytes=self.playback.heard_bytes(until_s=end_s),
        )

    def _media_ms(self, now_s: float) -> float:
        return self._opened_ms + self.playback.position(now_s) / BYTES_PER_MS

    def _listen(self, first_ms: int, until_ms: int | None = None) -> list[Output]:
        last_ms = first_ms + FRAME_MS if until_ms is None else min(until_ms, first_ms + FRAME_MS)
        if last_ms <= first_ms:
            return []
        law = self.playback.window(first_ms * BYTES_PER_MS, last_ms * BYTES_PER_MS, self._codec.silence)
        pcm = None if law is None else self._codec.decode(law)
        impressions = self._caller.ear.hear(pcm, self._opened_ms + first_ms, last_ms - first_ms)
        return [self._impression(one) for one in impressions]

    def _impression(self, impression: Impression) -> Noted:
        if isinstance(impression, AgentHeard):
            return Noted("agent.heard", impression.at_ms, {"media_ms": impression.at_ms})
        detail: dict[str, Json] = {"start_ms": impression.start_ms, "media_ms": impression.end_ms}
        return Noted("agent.silent", impression.end_ms, detail)

    def _decide(self, now_ms: int) -> list[Output]:
        outputs = self._act(self._caller.decide(now_ms))
        self._breath = self._caller.breath()
        return outputs

    def _act(self, acts: list[Act]) -> list[Output]:
        outputs: list[Output] = []
        for act in acts:
            match act:
                case Press() | PutDown():
                    outputs.append(act)
                case LosePatience(waited_ms=waited_ms):
                    outputs.append(Noted("caller.impatient", self._now_ms(), {"waited_ms": waited_ms}))
                case StartSpeaking(text=text, at_ms=at_ms):
                    outputs += self._start_speaking(text, at_ms)
                case StopSpeaking(text=text, at_ms=stopped_ms):
                    outputs.append(Noted("caller.stops", stopped_ms, {"text": text, "media_ms": stopped_ms}))
                case _:
                    assert_never(act)
        return outputs

    def _now_ms(self) -> int:
        return self._opened_ms + self._ticks * FRAME_MS

    def _start_speaking(self, text: str, at_ms: int) -> list[Output]:
        self._last_speech_ms = at_ms
        outputs: list[Output] = [Noted("caller.speaks", at_ms, {"text": text, "media_ms": at_ms})]
        if self._caller.ear.is_hearing:
            heard_ms = self._caller.ear.utterance_ms
            outputs.append(Noted("barge_in", at_ms, {"media_ms": at_ms, "agent_heard_ms": heard_ms}))
        return outputs

    def _clear(self, now_s: float) -> list[Output]:
        media_ms = self._media_ms(now_s)
        cleared = self.playback.clear(now_s)
        since_ms = None if self._last_speech_ms is None else media_ms - self._last_speech_ms
        detail: dict[str, Json] = {
            "media_ms": media_ms,
            "since_caller_spoke_ms": since_ms,
            "heard_bytes": cleared.heard_bytes,
            "utterance_heard_bytes": cleared.utterance_heard_bytes,
            "discarded_bytes": cleared.discarded_bytes,
            "marks": list(cleared.marks),
        }
        noted = Noted("clear", media_ms, detail)
        return [noted, *(MarkBack(name, is_played=False) for name in cleared.marks)]
