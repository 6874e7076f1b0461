"""What a peer connection's RTP packets carry: one of three codecs, agreed on in the offer and answer."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from pipeline.audio.formats import PCMA, PCMU, AudioFormat, Encoding

FRAME_MS: Final = 20
"""Of sound in each packet that we send."""


class Codec(enum.Enum):
    """By their names in SDP."""

    OPUS = "opus"
    PCMU = "PCMU"
    PCMA = "PCMA"

    @property
    def clock_hz(self) -> int:
        """What timestamps count in: for Opus always 48,000, whatever is coded (RFC 7587, section 4.1)."""
        return 48_000 if self is Codec.OPUS else 8_000

    @property
    def format(self) -> AudioFormat:
        """Sound as we code it and get it decoded."""
        match self:
            case Codec.OPUS:
                return PCM_48K
            case Codec.PCMU:
                return PCMU
            case Codec.PCMA:
                return PCMA


PCM_48K: Final = AudioFormat(Encoding.PCM16, 48_000)


@dataclass(frozen=True, slots=True)
class Payload:
    """The codec of a connection and the number it goes by in packets."""

    codec: Codec
    number: int
    """0 to 127 (RFC 3550, section 5.1)."""
