"""The peer's sound on its way to the session: RTP packets in, sound in the session's input format out, by clock.

Above it stands whoever receives packets and ticks every 20 ms; below it the jitter buffer and a decoder. From the
first packet on, what is handed to `hear` lasts as long as time goes on: a peer that stops sending is heard as
silent, so that turn detection sees the end of what was said. It does not know the connection or the session.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, assert_never

from gateway.webrtc.coding import CodingFault, make_decoder
from gateway.webrtc.jitter_buffer import JitterBuffer, Lost, Nothing, Piece, Sound
from gateway.webrtc.payload import FRAME_MS, Codec, Payload
from gateway.webrtc.rtp import read_rtp
from pipeline.audio import g711
from pipeline.audio.formats import AudioFormat
from pipeline.audio.gain import scaled
from pipeline.audio.transcode import Transcoder

log = logging.getLogger(__name__)

FADE: Final = (0.5, 0.25, 0.125)
"""How loud the last frame is when it is repeated for the first lost one (-6 dB), the second and the third. After
them is silence: what is made up for longer than 60 ms is heard as a machine's hum."""


class Microphone:
    """See the module's docstring. Used from one thread."""

    def __init__(
        self,
        payload: Payload,
        hear: Callable[[bytes], None],
        format: Callable[[], AudioFormat],
        now: Callable[[], float],
    ) -> None:
        """`now` tells seconds. `hear` gets sound in the format that `format` names at the time."""
        self._number = payload.number
        self._hear = hear
        self._format = format
        self._now = now
        self._is_opus = payload.codec is Codec.OPUS
        self._clock_hz = payload.codec.clock_hz
        self._decoder = make_decoder(payload.codec)
        self._coded = self._decoder.format
        self._frame_bytes = self._coded.bytes_in(FRAME_MS)
        self._transcoder = Transcoder(self._coded, format())
        self._last = b""
        """The last sound that came; nothing after silence."""
        self._made_up = 0
        """Frames in a row."""
        self._is_ticking = False
        self.buffer: Final = JitterBuffer(payload.codec.clock_hz)
        """To be read for its counters."""
        self.malformed = 0
        """Packets that are not RTP."""
        self.ignored = 0
        """Packets of another payload number than what was agreed on, as comfort noise (RFC 3389) is."""
        self.coding_faults = 0
        """Packets whose payload is no sound; made up as if they were lost."""
        self.unheard = 0
        """Times that `hear` failed."""

    def receive(self, packet: bytes) -> None:
        """One packet from the network, whatever it is."""
        rtp = read_rtp(packet)
        if rtp is None:
            self.malformed += 1
        elif rtp.number != self._number:
            self.ignored += 1
        else:
            samples = opus_samples_in(rtp.payload) if self._is_opus else len(rtp.payload)
            self.buffer.put(rtp, samples, self._now())

    def tick(self) -> None:
        """Play out what is due. Whatever `hear` does, this raises nothing and does not begin again inside."""
        if self._is_ticking:
            return
        pieces = self.buffer.tick(self._now())
        if not pieces:
            return
        sound = b"".join([self._sound_of(piece) for piece in pieces])
        target = self._format()
        if target != self._transcoder.target:
            self._transcoder = Transcoder(self._coded, target)
        heard = self._transcoder.push(sound)
        self._is_ticking = True
        try:
            self._hear(heard)
        except Exception:
            # Once: fifty a second would hide everything else.
            if not self.unheard:
                log.exception("= the session did not take its peer's sound")
            self.unheard += 1
        finally:
            self._is_ticking = False

    def _sound_of(self, piece: Piece) -> bytes:
        match piece:
            case Sound(payload, samples):
                try:
                    self._last = self._decoder.decode(payload)
                except CodingFault:
                    self.coding_faults += 1
                    return self._make_up(samples)
                self._made_up = 0
                return self._last
            case Lost(samples):
                return self._make_up(samples)
            case Nothing(samples):
                self._last = b""
                return self._silence(samples)
            case _:
                assert_never(piece)

    def _silence(self, samples: int) -> bytes:
        return self._coded.silence * (samples * self._coded.rate_hz // self._clock_hz)

    def _make_up(self, samples: int) -> bytes:
        """Sound for so many samples that are missing, softer with every frame."""
        silence, made = self._silence(samples), b""
        while self._last and self._made_up < len(FADE) and len(made) < len(silence):
            made += self._conceal() if self._is_opus else self._repeat(FADE[self._made_up])
            self._made_up += 1
        return made[: len(silence)] + silence[len(made) :]

    def _conceal(self) -> bytes:
        """Libopus goes on with the pitch it heard: on speech with a tenth of its packets lost, 5 dB nearer to what
        was said than repeating."""
        return self._decoder.conceal()

    def _repeat(self, gain: float) -> bytes:
        """The last frame again, softer. Shorter sound is repeated until it fills a frame."""
        last = self._last[-self._frame_bytes :]
        pcm16 = scaled(g711.decode(last, self._coded.encoding), gain)
        return (g711.encode(pcm16, self._coded.encoding) * -(-self._frame_bytes // len(last)))[: self._frame_bytes]


def _opus_frame(toc: int) -> int:
    """Samples at 48 kHz in each frame of a packet that begins with `toc` (RFC 6716, section 3.1, table 2)."""
    config = toc >> 3
    if config < 12:  # SILK
        return (480, 960, 1_920, 2_880)[config & 3]
    if config < 16:  # hybrid
        return (480, 960)[config & 1]
    return (120, 240, 480, 960)[config & 3]  # CELT


_OPUS_FRAMES: Final = tuple(_opus_frame(toc) for toc in range(256))


def opus_samples_in(payload: bytes) -> int:
    """How long an Opus packet lasts, in samples at 48 kHz; 0 if it is none (RFC 6716, section 3.2)."""
    if not payload:
        return 0
    toc = payload[0]
    code = toc & 3
    if code == 0:
        return _OPUS_FRAMES[toc]
    if code < 3:
        return 2 * _OPUS_FRAMES[toc]
    # "M" frames, in the low six bits of the second byte.
    return _OPUS_FRAMES[toc] * (payload[1] & 0x3F) if len(payload) > 1 else 0
