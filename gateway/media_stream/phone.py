"""The phone as a transport: a session's sound becomes Media Streams messages, paced, and can be taken back.

Messages wait in a small outbox for one writer task per call, the only place that waits for the peer to read. A peer
that stops reading is hung up on after a few seconds; until then the outbox holds no more than the pacing lets out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from gateway.fast_lane import Direct
from gateway.media_stream.messages import StreamWriter
from gateway.media_stream.pacer import Pacer
from gateway.media_stream.playback import Playback
from gateway.media_stream.tap import Tap
from gateway.metrics import Metrics
from pipeline.events.backchannel import BackchannelAudioDelta
from pipeline.events.event import ServerEvent
from pipeline.events.response import OutputAudioDelta
from pipeline.reports import Played, Report

WRITE_STALL_S = 3.0
"""A peer that reads nothing for so long will play nothing either; its call is better resumed on a new socket."""


class Phone:
    """`Transport` of one Media Stream. `send_text` sends a text frame; `lost` is called once if the peer stalls.
    `tap`: whoever listens in."""

    plays = True

    def __init__(
        self,
        writer: StreamWriter,
        playback: Playback,
        pacer: Pacer,
        metrics: Metrics,
        send_text: Callable[[str], Awaitable[None]],
        lost: Callable[[], None],
        direct: Direct | None,
        tap: Tap | None = None,
    ) -> None:
        self._writer = writer
        self._playback = playback
        self._pacer = pacer
        self._metrics = metrics
        self._send_text = send_text
        self._lost = lost
        self._direct = direct
        self._tap = tap
        self._report: Callable[[Report], None] | None = None
        self._outbox: deque[str] = deque()
        self._has_mail = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._wakes_at: float | None = None
        self._writing_since: float | None = None
        self._is_closed = False

    def report_to(self, report: Callable[[Report], None]) -> None:
        """Where to say what has been played."""
        self._report = report

    def send(self, event: ServerEvent) -> None:
        """Queue sound; a phone has no use for any other event."""
        if type(event) is OutputAudioDelta:
            self._push(event.delta)
        elif type(event) is BackchannelAudioDelta:
            self._push(event.line)

    def flush(self) -> int:
        now = self._pacer.now()
        position = self._playback.flush(now)
        if self._tap is not None:
            self._tap.flushed(position, now)
        self._outbox.clear()
        self._outbox.append(self._writer.clear)
        self._post()
        self._has_room.set()
        return position

    async def room(self) -> None:
        await self._has_room.wait()

    def close(self) -> None:
        """Say nothing more; the socket's owner closes it."""
        self._is_closed = True
        self._outbox.clear()
        self._has_room.set()

    def marked(self, name: str) -> None:
        """A mark came back."""
        now = self._pacer.now()
        if self._tap is not None and (position := self._playback.returned(name)) is not None:
            self._tap.returned(position, now)
        self._tell(self._playback.marked(name, now), now, by_mark=True)

    async def write(self) -> None:
        """Send what is in the outbox, for as long as the stream lives. Its owner cancels it."""
        outbox, has_mail = self._outbox, self._has_mail
        try:
            while True:
                await has_mail.wait()
                has_mail.clear()
                while outbox:
                    self._writing_since = self._pacer.now()
                    await self._send_text(outbox.popleft())
                self._writing_since = None
        except OSError:
            self.close()  # the socket is gone, and whoever reads it is told so
        except RuntimeError:
            self._give_up()  # the server has closed it for its own reasons, and tells nobody

    def _push(self, audio: bytes) -> None:
        if self._is_closed or not audio:
            return
        self._playback.push(audio)
        if not self._playback.has_room:
            self._has_room.clear()
        self._pump()

    def _tell(self, position: int | None, now: float, *, by_mark: bool) -> None:
        """What has been played, if that is news."""
        if position is None:
            return
        if self._tap is not None:
            self._tap.played(position, now, by_mark=by_mark)
        if self._report is not None:
            self._report(Played(position))

    def _give_up(self) -> None:
        """Nobody will hear any more of this."""
        self.close()
        self._lost()

    def _post(self) -> None:
        """See that the outbox is sent: at once if the server can, else by the writer task, in order."""
        if self._direct is not None and self._writing_since is None and self._direct.send_now(self._outbox):
            self._outbox.clear()
        else:
            self._has_mail.set()

    def _is_stalled(self, now: float) -> bool:
        """The peer takes nothing more; or the kernel takes it for the peer, and marks that used to come do not."""
        if self._writing_since is not None and now - self._writing_since > WRITE_STALL_S:
            return True
        return self._playback.overdue_s(now) > WRITE_STALL_S

    def _pump(self) -> None:
        """Send what is due, and be woken when more is."""
        now = self._pacer.now()
        if self._is_stalled(now):
            self._give_up()
            return
        underruns = self._playback.underruns
        for piece in self._playback.take_due(now):
            self._outbox.append(self._writer.media(piece.audio))
            self._outbox.append(self._writer.mark(piece.mark))
            if self._tap is not None:
                self._tap.sent(piece.audio, piece.position, now)
            self._metrics.frames_out.inc()
        if self._outbox:
            self._post()
        if self._playback.underruns > underruns:
            self._metrics.playout_underruns.inc()
        if self._playback.has_room:
            self._has_room.set()
        due = self._playback.due_at(now)
        if due is not None and (self._wakes_at is None or due < self._wakes_at):
            self._wakes_at = due
            self._pacer.wake_at(due, self._wake)

    def _wake(self) -> None:
        self._wakes_at = None
        if self._is_closed:
            return
        now = self._pacer.now()
        self._tell(self._playback.give_up_marks(now), now, by_mark=False)
        self._pump()
