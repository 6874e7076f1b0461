"""Sound in the payloads of RTP packets: Opus by PyAV's libopus (RFC 6716, RFC 7587), G.711 as it is (RFC 3551).

One encoder and one decoder per connection; each remembers the sound before, so packets pass in order. Dropped, they
free what libopus holds. They know no sequence numbers, no clock and nothing of what a payload travelled in.

Opus goes by the name of 48 kHz stereo on the wire, whatever is coded (RFC 7587, section 7). Libopus takes mono of
the voice's own rate, so nothing is resampled, and mixes a stereo packet down where mono is asked for.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final, Protocol

from av import AudioFrame, CodecContext, Packet
from av.audio.codeccontext import AudioCodecContext
from av.error import FFmpegError

from gateway.errors import GatewayError
from gateway.webrtc.payload import FRAME_MS, PCM_48K, Codec
from pipeline.audio.formats import AudioFormat, Encoding

OPUS_RATES_HZ: Final = (8_000, 12_000, 16_000, 24_000, 48_000)
"""Libopus takes sound of these and no others (RFC 6716, section 2.1.3)."""

VOICE_RATE_HZ: Final = 24_000
"""What voices make and the Realtime protocol carries: nothing needs to be resampled for Opus."""

BIT_RATE: Final = 32_000
"""Bits a second; RFC 7587, section 3.1.1, has 28,000 to 40,000 for speech of full band."""

COMPLEXITY: Final = 1
"""Of libopus's 0 to 10. Frames of speech at 24 kHz cost half of what they do at 5, and two thirds of 2, for a log-
spectral distance to the original of 3.3 dB: at 2 it is 3.2, at 5 it is 2.8, at 10, four times as dear, 2.7."""

LONGEST_PAYLOAD: Final = 1_500
"""Bytes. 120 ms of 510 kbit/s are more; nothing that fits into a datagram of the internet is."""


class CodingFault(GatewayError):
    """A payload that is no sound in the codec it claims. The decoder goes on with the next one."""


class Encoder(Protocol):
    """Frames of sound to payloads, one for one."""

    @property
    def format(self) -> AudioFormat:
        """Of the sound it takes."""
        ...

    def encode(self, frame: bytes) -> bytes:
        """The payload for exactly `FRAME_MS` of sound in `format`; ValueError for another length."""
        ...


class Decoder(Protocol):
    """Payloads to sound in `format`, which is that of the codec."""

    @property
    def format(self) -> AudioFormat: ...

    def decode(self, payload: bytes) -> bytes:
        """The sound of one payload, of Opus 2.5 to 120 ms. Raises `CodingFault`."""
        ...

    def conceal(self) -> bytes:
        """`FRAME_MS` for a packet that did not come: in Opus what was said goes on and fades, in G.711 silence."""
        ...


def make_encoder(codec: Codec, rate_hz: int = VOICE_RATE_HZ) -> Encoder:
    """For sound made at `rate_hz`. Opus takes it at that rate, or at the next higher it knows; see `format`."""
    if codec is Codec.OPUS:
        return _OpusEncoder(next((rate for rate in OPUS_RATES_HZ if rate >= rate_hz), OPUS_RATES_HZ[-1]))
    return _Law(codec.format)


def make_decoder(codec: Codec) -> Decoder:
    """Opus comes out as PCM16 at 48 kHz, G.711 as it came."""
    return _OpusDecoder() if codec is Codec.OPUS else _Law(codec.format)


class _Law:
    """G.711 both ways: its payloads are its samples (RFC 3551, section 4.5.14)."""

    def __init__(self, law: AudioFormat) -> None:
        self.format = law
        self._frame_bytes = law.bytes_in(FRAME_MS)

    def encode(self, frame: bytes) -> bytes:
        _check_length(frame, self._frame_bytes)
        return frame

    def decode(self, payload: bytes) -> bytes:
        _check_payload(payload)
        return payload

    def conceal(self) -> bytes:
        return self.format.silence * self._frame_bytes


class _OpusEncoder:
    def __init__(self, rate_hz: int) -> None:
        self.format = AudioFormat(Encoding.PCM16, rate_hz)
        self._frame_bytes = self.format.bytes_in(FRAME_MS)
        self._codec = _opened("w", rate_hz)
        self._codec.bit_rate = BIT_RATE
        self._codec.time_base = Fraction(1, rate_hz)
        self._codec.options = {
            "application": "voip",
            "compression_level": str(COMPLEXITY),
            "frame_duration": str(FRAME_MS),
        }
        # One frame for all: libopus has read it when `encode` returns, and keeps nothing of it.
        self._frame = AudioFrame(format="s16", layout="mono", samples=rate_hz * FRAME_MS // 1000)
        self._frame.sample_rate = rate_hz

    def encode(self, frame: bytes) -> bytes:
        _check_length(frame, self._frame_bytes)
        self._frame.planes[0].update(frame)
        # One packet for a frame: with `frame_duration` as long as the frames nothing is ever held back.
        (packet,) = self._codec.encode(self._frame)
        return bytes(packet)


class _OpusDecoder:
    def __init__(self) -> None:
        self.format = PCM_48K
        self._codec = _opened("r", PCM_48K.rate_hz)
        self._toc: int | None = None
        """First byte of the last good packet."""

    def decode(self, payload: bytes) -> bytes:
        _check_payload(payload)
        sound = self._decode(payload)
        self._toc = payload[0]
        return sound

    def conceal(self) -> bytes:
        # A frame may have no bytes: it was not sent, and the decoder makes it up (RFC 6716, section 3.1).
        if self._toc is None:
            return self.format.silence * (self.format.rate_hz * FRAME_MS // 1000)
        return self._decode(bytes((_toc_of_one_frame(self._toc),)))

    def _decode(self, payload: bytes) -> bytes:
        try:
            frames = self._codec.decode(Packet(payload))
        except FFmpegError as error:
            raise CodingFault(f"{len(payload)} bytes are no Opus packet: {error.strerror}") from error
        # A plane is larger than the sound in it.
        bytes_per_sample = self.format.encoding.bytes_per_sample
        return b"".join([bytes(memoryview(f.planes[0])[: f.samples * bytes_per_sample]) for f in frames])


def _opened(mode: str, rate_hz: int) -> AudioCodecContext:
    codec = CodecContext.create("libopus", "w" if mode == "w" else "r")
    codec.format = "s16"
    codec.layout = "mono"
    codec.sample_rate = rate_hz
    return codec


def _toc_of_one_frame(toc: int) -> int:
    """The same mode, bandwidth and channels with one frame of 20 ms (RFC 6716, section 3.1, table 2)."""
    config, rest = toc >> 3, toc & 0b100
    if config < 12:  # 10, 20, 40, 60 ms
        config = config & ~3 | 1
    elif config < 16:  # 10, 20 ms
        config |= 1
    else:  # 2.5, 5, 10, 20 ms
        config |= 3
    return config << 3 | rest


def _check_length(frame: bytes, frame_bytes: int) -> None:
    if len(frame) != frame_bytes:
        raise ValueError(f"A frame has {FRAME_MS} ms, {frame_bytes} bytes; got {len(frame)}")


def _check_payload(payload: bytes) -> None:
    # Handed on, no bytes would tell libavcodec that the stream is over, and end the decoder.
    if not 0 < len(payload) <= LONGEST_PAYLOAD:
        raise CodingFault(f"A payload has 1 to {LONGEST_PAYLOAD} bytes; got {len(payload)}")
