"""The sound of one peer connection, both ways, by one clock of 20 ms: microphone in, loudspeaker out.

Everything is done when the clock ticks: packets that are due are sent, what has come is played out of the jitter
buffer, and the session is told how far its sound has left.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from typing import Final

from gateway.media_stream.pacer import Pacer
from gateway.webrtc.loudspeaker import Loudspeaker
from gateway.webrtc.microphone import Microphone
from gateway.webrtc.offer import Audio
from gateway.webrtc.rtcp import Reports
from pipeline.session import Session

log = logging.getLogger(__name__)

REPORT_EVERY_S: Final = 5.0
"""Sender and receiver reports (RFC 3550, section 6.2: at least five seconds apart)."""

PLAYED_EVERY: Final = 5
"""Frames between two words to the session on how far its sound has left, in the middle of it: a tenth of a second.
Its first frame and its last are told at once."""


class Track:
    """See the module's docstring. Used from the event loop only."""

    def __init__(
        self,
        audio: Audio,
        pacer: Pacer,
        *,
        ssrc: int,
        name: str,
        send_rtp: Callable[[bytes], None],
        send_rtcp: Callable[[bytes], None],
        hear: Callable[[bytes], None],
        played: Callable[[int], None],
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """`failed` is called when there is no more sound, by a fault of ours."""
        self._audio = audio
        self._pacer = pacer
        self._ssrc = ssrc
        self._send_rtp = send_rtp
        self._send_rtcp = send_rtcp
        self._hear = hear
        self._played = played
        self._failed = failed
        self._microphone: Microphone | None = None
        self._loudspeaker: Loudspeaker | None = None
        self._reports = Reports(ssrc, name, audio.payload.codec.clock_hz)
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._told = 0
        self._since_told = 0
        self._report_due_s = 0.0
        self._is_stopped = False

    def begin(self, session: Session) -> None:
        """The peer is there: run until `stop`."""
        if self._is_stopped:
            return
        payload, now_s = self._audio.payload, self._pacer.now()
        if self._audio.hears:
            self._microphone = Microphone(payload, self._hear, lambda: session.config.input_format, self._pacer.now)
        self._loudspeaker = Loudspeaker(
            payload,
            self._ssrc,
            lambda: session.config.output_format,
            now_s,
            sequence=secrets.randbits(16),
            timestamp=secrets.randbits(32),
        )
        self._report_due_s = now_s + REPORT_EVERY_S
        self._tick()

    def stop(self) -> None:
        """No more sound, either way."""
        self._is_stopped = True
        self._has_room.set()

    def push(self, audio: bytes) -> None:
        """Sound of the session, after all before."""
        if self._loudspeaker is None or self._is_stopped:
            return
        self._loudspeaker.push(audio)
        if not self._loudspeaker.has_room:
            self._has_room.clear()

    def flush(self) -> int:
        """Throw away what has not left; how far it had come, in samples of the session's output format."""
        if self._loudspeaker is None:
            return 0
        self._has_room.set()
        self._told = self._loudspeaker.flush(self._pacer.now())
        return self._told

    async def room(self) -> None:
        """Wait until more sound may be pushed."""
        await self._has_room.wait()

    def receive(self, packet: bytes) -> None:
        """A packet of the peer's sound."""
        if self._microphone is not None and not self._is_stopped:
            self._reports.note_packet(packet, self._pacer.now())
            self._microphone.receive(packet)

    def receive_report(self, packet: bytes) -> None:
        """What the peer tells of our sound and its own (RTCP)."""
        self._reports.receive(packet, self._pacer.now())

    def _tick(self) -> None:
        loudspeaker = self._loudspeaker
        if self._is_stopped or loudspeaker is None:
            return
        try:
            self._turn(loudspeaker)
        except Exception:
            # The edge: the clock calls nobody again who has failed, and the session would go on in silence.
            log.exception("the sound of a session failed by a fault of ours")
            self.stop()
            self._failed()
        else:
            self._pacer.wake_at(loudspeaker.due_at_s, self._tick)

    def _turn(self, loudspeaker: Loudspeaker) -> None:
        now_s = self._pacer.now()
        for packet in loudspeaker.due(now_s):
            if self._audio.speaks:
                self._send_rtp(packet)
        self._tell(loudspeaker)
        if now_s >= self._report_due_s:
            self._report_due_s = now_s + REPORT_EVERY_S
            self._send_rtcp(self._reports.made(now_s, loudspeaker.sender_report(now_s, time.time())))
        if self._microphone is not None:
            self._microphone.tick()

    def _tell(self, loudspeaker: Loudspeaker) -> None:
        if loudspeaker.has_room:
            self._has_room.set()
        position = loudspeaker.position
        if position == self._told:
            self._since_told = PLAYED_EVERY
            return
        self._since_told += 1
        if self._since_told >= PLAYED_EVERY or not loudspeaker.is_sounding:
            self._since_told = 0
            self._told = position
            self._played(position)
