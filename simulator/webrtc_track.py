"""The sound of a WebRTC client: a microphone that plays what it is given, and an ear that keeps what comes.

Both are what aiortc wants of a media track or gives as one. They know no signalling and no data channel.
All instants are seconds of `time.monotonic`.
"""

from __future__ import annotations

import asyncio
import audioop
import fractions
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame
from av.frame import Frame

from simulator.sound import FRAME_MS, RATE_HZ, Sound, rms
from simulator.webrtc_packets import in_a_row
from simulator.webrtc_rates import at_rate

FRAME_S: Final = FRAME_MS / 1000
MOST_BEHIND_S: Final = 1.0
"""A microphone that was held up delivers what it has recorded at once; after longer it has lost it."""
MOST_SOUNDS: Final = 100
"""Waiting to be spoken."""
MOST_HEARD: Final = 60_000
"""Frames kept, 20 minutes; the oldest go first."""


@dataclass(slots=True)
class Spoken:
    """A sound the microphone has begun to play."""

    sound: Sound
    began_s: float
    """When its first frame was recorded, as it were: the end of the 20 ms that hold it."""
    ended_s: float | None = None
    """When its last frame was; None while it plays."""


class Microphone:
    """A track that plays sounds one after another on its own 20 ms clock, and silence between them.

    It is a `MediaStreamTrack` to those who use one: `RTCRtpSender.replaceTrack` takes it.
    """

    kind = "audio"

    def __init__(self, rate_hz: int = RATE_HZ, now: Callable[[], float] = time.monotonic) -> None:
        """The rate of its frames, and the clock. At the codec's own rate aiortc adds no delay by resampling."""
        self._now = now
        self._rate_hz = rate_hz
        self._frame_samples = rate_hz * FRAME_MS // 1000
        self.id = str(uuid.uuid4())
        self.spoken: list[Spoken] = []
        self.frames = 0
        """Delivered so far."""
        self._waiting: deque[tuple[Sound, bytes]] = deque()
        """Each with what it is at the track's rate."""
        self._rest = b""
        self._due_s: float | None = None
        self._is_live = True
        self._quiet = asyncio.Event()
        self._quiet.set()

    def speak(self, sound: Sound) -> None:
        """Play this after what waits already. Raises `ValueError` when `MOST_SOUNDS` wait, or there is no sound."""
        if len(self._waiting) >= MOST_SOUNDS:
            raise ValueError(f"{MOST_SOUNDS} sounds wait to be spoken already")
        if not sound.pcm:
            raise ValueError(f"there is no sound in {sound.text!r}")
        self._waiting.append((sound, at_rate(sound.pcm, RATE_HZ, self._rate_hz)))
        self._quiet.clear()

    def hush(self) -> None:
        """Stop in the middle of the word, and forget what waits."""
        self._waiting.clear()
        self._rest = b""
        self._end_sound()

    async def quiet(self) -> None:
        """Until all that was given has been spoken. The caller bounds the wait."""
        await self._quiet.wait()

    async def recv(self) -> Frame:
        """The next frame, when it is due: 20 ms of PCM16. Raises `MediaStreamError` once stopped.

        Both channels of two are the same. From one channel aiortc's Opus encoder would make two 3 dB weaker ones.
        """
        if not self._is_live:
            raise MediaStreamError
        now_s = self._now()
        if self._due_s is None or now_s - self._due_s > MOST_BEHIND_S:
            self._due_s = now_s
        self._due_s += FRAME_S
        await asyncio.sleep(self._due_s - now_s)
        return self._frame(self._next_pcm(self._due_s))

    def stop(self) -> None:
        """No frame follows."""
        self._is_live = False
        self._quiet.set()

    def _next_pcm(self, now_s: float) -> bytes:
        if not self._rest and self._waiting:
            sound, self._rest = self._waiting.popleft()
            self.spoken.append(Spoken(sound, now_s))
        size = 2 * self._frame_samples
        pcm, self._rest = self._rest[:size], self._rest[size:]
        if pcm and not self._rest:
            self._end_sound(now_s)
        return pcm.ljust(size, b"\x00")

    def _end_sound(self, now_s: float | None = None) -> None:
        if self.spoken and self.spoken[-1].ended_s is None:
            self.spoken[-1].ended_s = self._now() if now_s is None else now_s
        if not self._waiting:
            self._quiet.set()

    def _frame(self, pcm: bytes) -> AudioFrame:
        frame = AudioFrame(format="s16", layout="stereo", samples=self._frame_samples)
        frame.planes[0].update(audioop.tostereo(pcm, 2, 1, 1))
        frame.sample_rate = self._rate_hz
        frame.pts = self.frames * self._frame_samples
        frame.time_base = fractions.Fraction(1, self._rate_hz)
        self.frames += 1
        return frame


@dataclass(frozen=True, slots=True)
class Heard:
    """One decoded frame."""

    at_s: float
    """When aiortc gave it out: 80 ms after its packet came, its jitter buffer's prefetch, or more."""
    position: int
    """Of its first sample on the sender's clock, in samples from the first packet."""
    rate_hz: int
    pcm: bytes
    """Mono PCM16."""
    level: int
    """Root mean square, 0 to 32 768."""


class Ear:
    """All sound that came on the remote track, as aiortc decoded it."""

    def __init__(self) -> None:
        self.heard: deque[Heard] = deque(maxlen=MOST_HEARD)
        self.frames = 0
        """Decoded so far."""
        self._news = asyncio.Event()

    async def listen(self, track: MediaStreamTrack) -> None:
        """Keep what the track gives until it ends; a task of the client's."""
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, AudioFrame), "an audio track gives audio"
            self.hear(frame, time.monotonic())

    def hear(self, frame: AudioFrame, at_s: float) -> None:
        channels = len(frame.layout.channels)
        samples = frame.to_ndarray().reshape(-1, channels)
        pcm = samples.mean(axis=1).astype("<i2").tobytes() if channels > 1 else samples.astype("<i2").tobytes()
        self.heard.append(Heard(at_s, frame.pts or 0, frame.sample_rate, pcm, rms(pcm)))
        self.frames += 1
        self._news.set()

    async def more(self) -> None:
        """Until another frame has come. The caller bounds the wait."""
        self._news.clear()
        await self._news.wait()

    def received_ms(self, since_s: float = 0.0) -> float:
        """How much sound and silence came since an instant."""
        return sum(len(one.pcm) / 2 / one.rate_hz for one in self.heard if one.at_s >= since_s) * 1000

    def sound(self, since_s: float = 0.0) -> Sound:
        """What came since an instant, at 8 kHz; frames that never came are silence, as long as they were."""
        heard = [one for one in self.heard if one.at_s >= since_s]
        if not heard:
            return Sound("", b"")
        rate_hz = heard[0].rate_hz
        pcm = in_a_row(((one.position, one.pcm) for one in heard), rate_hz)
        return Sound("", at_rate(pcm, rate_hz, RATE_HZ))

    def energy(self, since_s: float = 0.0) -> int:
        """Root mean square of what came since an instant, 0 to 32 768; 0 if nothing came."""
        return rms(b"".join(one.pcm for one in self.heard if one.at_s >= since_s))

    def audible_at_s(self, since_s: float = 0.0, least_rms: int = 150) -> float | None:
        """When the first frame came that is as loud as this; None if none has."""
        loud = (one.at_s for one in self.heard if one.at_s >= since_s and one.level >= least_rms)
        return next(loud, None)
