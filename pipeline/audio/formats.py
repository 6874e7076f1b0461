"""Sound as bytes: which encoding, how many samples a second, and the sums between bytes, samples and time.

Everything here is mono. The names on the wire are the Realtime protocol's (`audio/pcm`, `audio/pcmu`,
`audio/pcma`) and the carrier's (`audio/x-mulaw`); both are spelled where they are used, not here.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Encoding(enum.Enum):
    """How one sample is written: signed 16-bit little-endian, or one of the two G.711 laws (ITU-T G.711)."""

    PCM16 = "pcm16"
    ULAW = "ulaw"
    ALAW = "alaw"

    @property
    def bytes_per_sample(self) -> int:
        return 2 if self is Encoding.PCM16 else 1


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """One way to write mono sound."""

    encoding: Encoding
    rate_hz: int

    @property
    def bytes_per_second(self) -> int:
        return self.rate_hz * self.encoding.bytes_per_sample

    @property
    def silence(self) -> bytes:
        """One sample of silence: µ-law's positive zero is 0xFF, A-law's 0xD5."""
        return {Encoding.PCM16: b"\x00\x00", Encoding.ULAW: b"\xff", Encoding.ALAW: b"\xd5"}[self.encoding]

    def samples_in(self, audio: bytes) -> int:
        """Whole samples in `audio`."""
        return len(audio) // self.encoding.bytes_per_sample

    def seconds_of(self, audio: bytes) -> float:
        return len(audio) / self.bytes_per_second

    def bytes_in(self, ms: float) -> int:
        """Bytes that last `ms` milliseconds, whole samples only."""
        return int(ms * self.rate_hz / 1000) * self.encoding.bytes_per_sample

    def ms_in(self, samples: int) -> float:
        """Milliseconds that `samples` last."""
        return samples * 1000 / self.rate_hz


PCMU = AudioFormat(Encoding.ULAW, 8_000)
PCMA = AudioFormat(Encoding.ALAW, 8_000)
PCM_8K = AudioFormat(Encoding.PCM16, 8_000)
PCM_16K = AudioFormat(Encoding.PCM16, 16_000)
PCM_24K = AudioFormat(Encoding.PCM16, 24_000)
