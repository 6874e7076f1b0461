"""Reading one Media Stream: frames become sound, keys and marks. The hot path of the process begins here.

Knows nothing of who may call or what becomes of the call; it says how the stream ended, and no frame ends it alone.
"""

from __future__ import annotations

import asyncio
import enum
import logging

from starlette.types import Receive

from gateway.fast_lane import Direct
from gateway.media_stream import messages
from gateway.media_stream.pacer import Pacer
from gateway.media_stream.phone import Phone
from gateway.media_stream.tap import Tap
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


FRAMES_PER_COUNT = 50
"""Frames are counted a second at a time: a counter that is safe for threads costs as much as half the decoding."""


class Reader:
    """Hears one stream until it ends. `direct` is the server's short way for frames, where it has one, and `tap`
    whoever listens in."""

    def __init__(
        self,
        engine: Engine,
        phone: Phone,
        timeline: Timeline,
        pacer: Pacer,
        metrics: Metrics,
        receive: Receive,
        direct: Direct | None,
        tap: Tap | None = None,
    ) -> None:
        self._engine = engine
        self._phone = phone
        self._timeline = timeline
        self._pacer = pacer
        self._metrics = metrics
        self._receive = receive
        self._direct = direct
        self._tap = tap
        self._now = pacer.now
        self._last_frame_s = pacer.now()
        self._uncounted = 0
        self._bad_frames = 0
        self._bad_since_s = 0.0
        self._end: asyncio.Future[StreamEnd] = asyncio.get_running_loop().create_future()

    @property
    def end(self) -> StreamEnd | None:
        """How the stream ended; None if that was not its own doing."""
        return self._end.result() if self._end.done() and not self._end.cancelled() else None

    async def read(self) -> StreamEnd:
        """Until the end of the stream, which also stops the engine."""
        self._pacer.wake_at(self._last_frame_s + QUIET_S, self._fill_quiet)
        try:
            if self._direct is not None:
                self._direct.listen(self._hear_frame)
            return await self._until_end()
        except asyncio.CancelledError as cancelled:
            cancelled.__traceback__ = None  # in it stands a frame of the group, which holds this very task
            raise
        finally:
            if not self._end.done():
                self._end.cancel()
            self._metrics.frames_in.inc(self._uncounted)
            self._engine.stop()
            if self._direct is not None:
                self._direct.listen(_pass_over)  # the socket outlives the stream, and must not keep it

    async def _until_end(self) -> StreamEnd:
        async with asyncio.TaskGroup() as tasks:
            receiving = tasks.create_task(self._receive_all())
            end = await self._end
            receiving.cancel()
        return end

    async def _receive_all(self) -> None:
        """What does not come directly: the end of the socket at least."""
        while True:
            received = await self._receive()
            if received["type"] == "websocket.disconnect":
                return self._finish(StreamEnd.LOST)
            self._hear_frame(received.get("text") or b"")

    def _finish(self, end: StreamEnd) -> None:
        if not self._end.done():
            self._end.set_result(end)

    def _hear_frame(self, text: bytes | bytearray | str) -> None:
        """The hot path: fifty times a second for each call."""
        message = messages.decode(text)
        if type(message) is messages.Media:
            self._last_frame_s = now = self._now()
            self._uncounted += 1
            if self._tap is not None:
                self._tap.hear(message.payload, message.timestamp_ms, now)
            audio = self._timeline.place(message.payload, message.timestamp_ms, now * 1000)
            if audio is None:
                self._metrics.frames_dropped.labels("out_of_time").inc()
            elif not self._end.done():
                self._engine.hear(audio)
            if self._uncounted >= FRAMES_PER_COUNT:
                self._metrics.frames_in.inc(self._uncounted)
                self._uncounted = 0
        elif not self._end.done():
            self._obey(message)

    def _obey(self, message: messages.Message) -> None:
        match message:
            case messages.Mark(name=name):
                self._phone.marked(name)
            case messages.Dtmf(digit=digit):
                self._engine.report(DigitPressed(digit))
            case messages.Stop():
                self._finish(StreamEnd.STOPPED)
            case messages.Bad(reason=reason):
                if self._is_too_much(reason):
                    self._finish(StreamEnd.ABUSED)
            case _:
                pass  # a second `connected` or `start`, or an event this version does not know

    def _fill_quiet(self) -> None:
        if self._end.done():
            return
        now = self._now()
        if now - self._last_frame_s >= QUIET_S and (silence := self._timeline.fill(now * 1000)):
            self._engine.hear(silence)
        self._pacer.wake_at(now + QUIET_S, self._fill_quiet)

    def _is_too_much(self, reason: str) -> bool:
        """Count a bad frame; True once there are too many in a short time."""
        now = self._now()
        self._metrics.frames_dropped.labels(reason).inc()
        if now - self._bad_since_s > BAD_FRAMES_WINDOW_S:
            self._bad_frames, self._bad_since_s = 0, now
            log.warning("bad frame on the media stream: %s", reason)
        self._bad_frames += 1
        return self._bad_frames > MOST_BAD_FRAMES


def _pass_over(_frame: bytes | bytearray) -> None:
    """A frame that came when all was over."""
