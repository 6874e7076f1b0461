"""The loudspeaker of one peer connection: a session's sound as RTP packets, one every 20 ms while it lives.

The RTP clock runs from the beginning without end. Where nothing is said, silence is sent: the peer's jitter buffer
never starves, and what is said next starts without a hitch. The clock drives the playback ledger as well:
`position` is how much of the sound has left. That will be heard, and nothing else: no packet can be called back.

Reads no clock, opens nothing and draws no number: times, in seconds of one clock, and the random starts come from
its owner.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.webrtc.coding import make_encoder
from gateway.webrtc.payload import FRAME_MS, Payload
from gateway.webrtc.rtcp import SenderReport, ntp_of
from gateway.webrtc.rtp import header
from pipeline.audio.formats import AudioFormat
from pipeline.audio.transcode import Transcoder

FRAME_S: Final = FRAME_MS / 1000

EARLY_S: Final = 0.010
"""A packet may leave so much before it is due: who wakes us does it in ticks of this length, and never late."""

MOST_AT_ONCE: Final = 10
"""Packets after a stall, 200 ms: more would only fill the peer's jitter buffer, and stay there as delay."""

LONGEST_QUEUE_MS: Final = 5_000
"""Sound that may wait here; above it `has_room` is False and the voice is made to wait."""

SETTLING_FRAMES: Final = 5
"""Of silence that are really coded after sound, until the decoder has come to rest. Then the last is repeated."""


class Loudspeaker:
    """See the module's docstring. Positions are samples of the session's output format since the connection began,
    not counting what was thrown away."""

    def __init__(
        self,
        payload: Payload,
        ssrc: int,
        format: Callable[[], AudioFormat],
        began_s: float,
        *,
        sequence: int,
        timestamp: int,
    ) -> None:
        """`format` is asked until the first sound has come; from then on it does not change. `sequence` and
        `timestamp` are those of the first packet, random ones (RFC 3550, section 5.1)."""
        self._payload = payload
        self._ssrc = ssrc
        self._format = format
        self._began_s = began_s
        self._first_sequence = sequence
        self._first_timestamp = timestamp
        self._ticks_per_frame = payload.codec.clock_hz * FRAME_MS // 1000
        self._step = 0
        """Frames that the clock has come along: what was sent, and what was skipped after stalls."""
        self._packets = 0
        self._octets = 0
        """Of payloads, as sender reports count them."""
        self._sent_before = 0
        """Position where the present run began: sound without a hole, through the filter in one piece."""
        self._has_begun = False
        self._follow(format())

    def _follow(self, source: AudioFormat) -> None:
        """Sound comes in this format, and nothing has come yet."""
        self._encoder = make_encoder(self._payload.codec, source.rate_hz)
        self._transcoder = Transcoder(source, self._encoder.format)
        self._frame_bytes = self._encoder.format.bytes_in(FRAME_MS)
        self._longest = self._encoder.format.bytes_in(LONGEST_QUEUE_MS)
        self._silence = self._encoder.format.silence * self._encoder.format.samples_in(bytes(self._frame_bytes))
        self._queue = bytearray()
        """What is to be coded, in the encoder's format."""
        self._silent_payload = b""
        self._silent_frames = 0
        """Coded since the last sound, up to `SETTLING_FRAMES`."""
        self._is_talkspurt = False
        """The packet before was one of sound, and the clock has not jumped since."""
        self._begin_run()

    def _begin_run(self) -> None:
        self._run_pushed = self._run_sent = 0
        """Samples of the source."""
        self._run_coded = 0
        """Samples of the encoder's format."""
        self._run_ahead = 0
        """Samples of the source that the rest of the run before seems to have too many: the filter rounds up."""

    def _end_run(self) -> None:
        """The filter is as new. What of its rest did not fit into a frame is the beginning of the next run."""
        unsent = self._run_pushed - self._run_sent
        self._sent_before = self.position
        self._begin_run()
        self._run_pushed = unsent
        self._run_ahead = self._to_source(self._encoder.format.samples_in(bytes(self._queue))) - unsent

    @property
    def position(self) -> int:
        """How far the sound has left."""
        return self._sent_before + self._run_sent

    @property
    def is_sounding(self) -> bool:
        """There is sound that has not left."""
        return self._run_pushed > self._run_sent

    @property
    def has_room(self) -> bool:
        return len(self._queue) < self._longest

    @property
    def due_at_s(self) -> float:
        """When the next packet must leave."""
        return self._began_s + self._step * FRAME_S

    def push(self, audio: bytes) -> None:
        """Sound to play after all before: whole samples of the session's output format."""
        if not audio:
            return
        if not self._has_begun:
            source = self._format()
            if source != self._transcoder.source:
                self._follow(source)
            self._has_begun = True
        self._run_pushed += self._transcoder.source.samples_in(audio)
        self._queue += self._transcoder.push(audio)

    def flush(self, now_s: float) -> int:
        """Forget all that has not left; returns the position. The time, for a transport that would have to ask what
        is on its way, changes nothing here."""
        self._sent_before = self.position
        self._transcoder.flush()
        self._queue.clear()
        self._begin_run()
        return self._sent_before

    def due(self, now_s: float) -> list[bytes]:
        """The packets that must leave by `now_s`, in order. After a stall of more than `MOST_AT_ONCE` the clock
        jumps: the peer hears a hole instead of falling behind for good."""
        count = int((now_s + EARLY_S - self._began_s) / FRAME_S) + 1 - self._step
        if count > MOST_AT_ONCE:
            self._step += count - MOST_AT_ONCE
            self._is_talkspurt = False
            count = MOST_AT_ONCE
        return [self._next_packet() for _ in range(count)]

    def sender_report(self, now_s: float, now_unix_s: float) -> SenderReport:
        """What has been sent by now. Both times are now, by our clock and by the world's."""
        ticks = int((now_s - self._began_s) * self._payload.codec.clock_hz)
        return SenderReport(
            ssrc=self._ssrc,
            ntp=ntp_of(now_unix_s),
            timestamp=(self._first_timestamp + ticks) & 0xFFFF_FFFF,
            packets=self._packets & 0xFFFF_FFFF,
            octets=self._octets & 0xFFFF_FFFF,
        )

    def _next_packet(self) -> bytes:
        frame = self._next_frame()
        if frame is None:
            payload = self._still()
        else:
            payload = self._encoder.encode(frame)
            self._silent_frames = 0
        # The marker is set on the first packet after silence (RFC 3551, section 4.1): there a receiver may adjust
        # its delay unheard.
        packet = header(
            self._payload.number,
            self._first_sequence + self._packets,
            self._first_timestamp + self._step * self._ticks_per_frame,
            self._ssrc,
            frame is not None and not self._is_talkspurt,
        )
        self._is_talkspurt = frame is not None
        self._step += 1
        self._packets += 1
        self._octets += len(payload)
        return packet + payload

    def _still(self) -> bytes:
        if self._silent_frames < SETTLING_FRAMES:
            self._silent_frames += 1
            self._silent_payload = self._encoder.encode(self._silence)
        return self._silent_payload

    def _next_frame(self) -> bytes | None:
        """20 ms off the front of the queue; None without sound. What does not fill a frame has waited until now,
        and is filled up with silence."""
        if not self.is_sounding:
            return None
        is_end = len(self._queue) < self._frame_bytes
        if is_end:
            # Silence follows, so the filter need not wait for what comes. Its rest may be more than fits.
            self._queue += self._transcoder.flush()
        sound = bytes(self._queue[: self._frame_bytes])
        del self._queue[: self._frame_bytes]
        self._run_coded += self._encoder.format.samples_in(sound)
        self._run_sent = min(self._to_source(self._run_coded) - self._run_ahead, self._run_pushed)
        if is_end:
            self._end_run()
        return sound + self._silence[len(sound) :]

    def _to_source(self, samples: int) -> int:
        return samples * self._transcoder.source.rate_hz // self._encoder.format.rate_hz
