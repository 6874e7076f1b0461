"""Reading one Media Stream: frames become sound, keys and marks. The hot path of the process begins here.

Knows nothing of who may call or what becomes of the call; it says how the stream ended, and no frame ends it alone.
"""

from __future__ import annotations

import enum
import logging

from starlette.types import Receive

from gateway.media_stream import messages
from gateway.media_stream.pacer import Pacer
from gateway.media_stream.phone import Phone
from gateway.media_stream.timeline import Timeline
from gateway.metrics import Metrics
from pipeline.engine import Engine
from pipeline.reports import DigitPressed

log = logging.getLogger(__name__)

QUIET_S = 0.75
"""Without a frame for so long, silence is put in its place: a muted line must not hold a turn open."""

MOST_BAD_FRAMES = 50
"""Within `BAD_FRAMES_WINDOW_S`; more is not an accident."""

BAD_FRAMES_WINDOW_S = 10.0


class StreamEnd(enum.Enum):
    """How a stream ended."""

    STOPPED = "stopped"
    """Twilio said `stop`: the call is over."""
    LOST = "lost"
    """The socket went away without a word: the call may still be there."""
    ABUSED = "abused"
    """It sent mostly what no stream sends."""


class Reader:
    """Hears one stream until it ends."""

    def __init__(
        self, engine: Engine, phone: Phone, timeline: Timeline, pacer: Pacer, metrics: Metrics, receive: Receive
    ) -> None:
        self._engine = engine
        self._phone = phone
        self._timeline = timeline
        self._pacer = pacer
        self._metrics = metrics
        self._receive = receive
        self._last_frame_s = pacer.now()
        self._bad_frames = 0
        self._bad_since_s = 0.0
        self._has_ended = False

    async def read(self) -> StreamEnd:
        """Until the end of the stream, which also stops the engine."""
        self._pacer.wake_at(self._last_frame_s + QUIET_S, self._fill_quiet)
        try:
            return await self._read()
        finally:
            self._has_ended = True
            self._engine.stop()

    async def _read(self) -> StreamEnd:
        receive, decode = self._receive, messages.decode
        while True:
            received = await receive()
            if received["type"] == "websocket.disconnect":
                return StreamEnd.LOST
            match decode(received.get("text") or ""):
                case messages.Media(payload=payload, timestamp_ms=timestamp_ms):
                    self._hear(payload, timestamp_ms)
                case messages.Mark(name=name):
                    self._phone.marked(name)
                case messages.Dtmf(digit=digit):
                    self._engine.report(DigitPressed(digit))
                case messages.Stop():
                    return StreamEnd.STOPPED
                case messages.Bad(reason=reason):
                    if self._is_too_much(reason):
                        return StreamEnd.ABUSED
                case _:
                    pass  # a second `connected` or `start`, or an event this version does not know

    def _hear(self, payload: bytes, timestamp_ms: int) -> None:
        self._last_frame_s = now = self._pacer.now()
        self._metrics.frames_in.inc()
        audio = self._timeline.place(payload, timestamp_ms, now * 1000)
        if audio is None:
            self._metrics.frames_dropped.labels("out_of_time").inc()
        else:
            self._engine.hear(audio)

    def _fill_quiet(self) -> None:
        if self._has_ended:
            return
        now = self._pacer.now()
        if now - self._last_frame_s >= QUIET_S and (silence := self._timeline.fill(now * 1000)):
            self._engine.hear(silence)
        self._pacer.wake_at(now + QUIET_S, self._fill_quiet)

    def _is_too_much(self, reason: str) -> bool:
        """Count a bad frame; True once there are too many in a short time."""
        now = self._pacer.now()
        self._metrics.frames_dropped.labels(reason).inc()
        if now - self._bad_since_s > BAD_FRAMES_WINDOW_S:
            self._bad_frames, self._bad_since_s = 0, now
            log.warning("bad frame on the media stream: %s", reason)
        self._bad_frames += 1
        return self._bad_frames > MOST_BAD_FRAMES
