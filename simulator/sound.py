"""Sound on a telephone line: 8 kHz mono PCM16 inside the simulator, G.711 on the wire.

Pure. Knows no voice, no file name and no socket; `voices.py` finds sounds, this file only changes their form.
"""

from __future__ import annotations

import audioop
import enum
import io
import wave
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RATE_HZ = 8_000
FRAME_MS = 20
FRAME_SAMPLES = RATE_HZ * FRAME_MS // 1000
SAMPLES_PER_MS = RATE_HZ // 1000

Samples = npt.NDArray[np.int16]
"""Mono at 8 kHz, full scale 32 768."""
Waveform = npt.NDArray[np.float64]
"""Mono at a rate told beside it, full scale 1.0."""

_ZERO_CROSSINGS = 16
"""Half the length of the low-pass, in zero crossings of its sinc."""
_KAISER_BETA = 8.0
_PASS_SHARE = 0.92
"""Cut-off as a share of half the lower rate, so that the filter's slope ends before anything folds back."""
_BLOCK_SAMPLES = 4_000
"""Output samples computed at once: bounds the memory of a long file."""


class Codec(enum.Enum):
    """The two G.711 laws; the value is the name a person types."""

    PCMU = "pcmu"
    PCMA = "pcma"

    @property
    def encoding(self) -> str:
        """The name in `start.mediaFormat.encoding`."""
        return "audio/x-mulaw" if self is Codec.PCMU else "audio/x-alaw"

    @property
    def silence(self) -> bytes:
        """One sample of digital silence."""
        return b"\xff" if self is Codec.PCMU else b"\xd5"

    def encode(self, pcm: bytes) -> bytes:
        return audioop.lin2ulaw(pcm, 2) if self is Codec.PCMU else audioop.lin2alaw(pcm, 2)

    def decode(self, law: bytes) -> bytes:
        return audioop.ulaw2lin(law, 2) if self is Codec.PCMU else audioop.alaw2lin(law, 2)


@dataclass(frozen=True, slots=True)
class Sound:
    """Something a caller can say."""

    text: str
    """The words, as far as they are known; a WAV file's name otherwise."""
    pcm: bytes
    """PCM16 little-endian, mono, 8 kHz."""

    @property
    def duration_ms(self) -> float:
        return len(self.pcm) / 2 / SAMPLES_PER_MS


def rms(pcm: bytes) -> int:
    """Root mean square of PCM16, 0 to 32 768."""
    return audioop.rms(pcm, 2)


def samples_of(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, dtype="<i2").astype(np.int16, copy=False)


def pcm_of(waveform: Waveform) -> bytes:
    """PCM16 of a waveform; what exceeds full scale is clipped."""
    return np.clip(np.rint(waveform * 32768), -32768, 32767).astype("<i2").tobytes()


def resample(waveform: Waveform, rate_hz: int, to_hz: int = RATE_HZ) -> Waveform:
    """The same sound at another rate, any ratio, by a Kaiser-windowed sinc.

    Down-sampling cuts at 92 % of half the lower rate, so nothing above folds back into the speech band.
    """
    if rate_hz == to_hz or waveform.size == 0:
        return waveform
    cutoff = min(rate_hz, to_hz) / rate_hz * _PASS_SHARE
    half = int(np.ceil(_ZERO_CROSSINGS / cutoff))
    taps = np.arange(-half, half + 1)
    padded = np.concatenate([np.zeros(half), waveform, np.zeros(half + 1)])
    length = int(round(waveform.size * to_hz / rate_hz))
    blocks = []
    for first in range(0, length, _BLOCK_SAMPLES):
        centre = np.arange(first, min(first + _BLOCK_SAMPLES, length)) * (rate_hz / to_hz)
        whole = np.minimum(np.floor(centre).astype(np.int64), waveform.size - 1)
        away = taps[None, :] - (centre - whole)[:, None]
        weights = np.sinc(away * cutoff) * _kaiser(away / (half + 1)) * cutoff
        blocks.append((padded[whole[:, None] + taps[None, :] + half] * weights).sum(axis=1))
    return np.concatenate(blocks)


def _kaiser(share: Waveform) -> Waveform:
    """The Kaiser window at `share` of its half width, -1 to 1."""
    window: Waveform = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - share**2, 0, 1))) / np.i0(_KAISER_BETA)
    return window


def read_wav(content: bytes) -> bytes:
    """PCM16 at 8 kHz of a WAV file's content: any rate, 8/16/24/32-bit integers, any number of channels.

    Channels are averaged. Raises `wave.Error` or `EOFError` for what is not such a file.
    """
    with wave.open(io.BytesIO(content)) as file:
        width, channels, rate_hz = file.getsampwidth(), file.getnchannels(), file.getframerate()
        frames = file.readframes(file.getnframes())
    if width == 1:
        frames = audioop.bias(frames, 1, -128)  # 8-bit WAV is unsigned, every other width signed
    wide = np.frombuffer(audioop.lin2lin(frames, width, 4), dtype="<i4")
    mono = wide[: wide.size // channels * channels].reshape(-1, channels).mean(axis=1) / 2**31
    return pcm_of(resample(mono, rate_hz))


def trim(pcm: bytes, floor_rms: int = 150, piece_ms: int = 5) -> bytes:
    """Without the quiet before the first and after the last audible piece.

    Otherwise "the caller stops" would lie before the end of the sound, and every latency would be told too short.
    """
    step = piece_ms * SAMPLES_PER_MS * 2
    loud = [at for at in range(0, len(pcm), step) if rms(pcm[at : at + step]) >= floor_rms]
    return pcm[loud[0] : loud[-1] + step] if loud else b""
