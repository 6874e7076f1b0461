"""The RTP packets a WebRTC client has received, as they came out of SRTP and before any jitter buffer.

Under loss a stock aiortc plays far less than what arrives: its buffer gives out a packet only with four more behind
it. So what a better client would hear, and when each packet came, is told here. Decodes when it is asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import av

from simulator.sound import RATE_HZ, Codec, Sound
from simulator.webrtc_rates import at_rate

OPUS_RATE_HZ: Final = 48_000
G711: Final = {0: Codec.PCMU, 8: Codec.PCMA}
"""By their numbers in packets, which are fixed (RFC 3551, section 6); any other number is Opus."""
MOST_PACKETS: Final = 60_000
"""Kept: 20 minutes; the oldest go first."""
LONGEST_GAP_S: Final = 5.0
"""That is filled with silence; a longer jump of timestamps is a new beginning."""
_CYCLE: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of sound."""

    at_s: float
    """When it came, `time.monotonic`."""
    sequence: int
    timestamp: int
    payload_type: int
    is_marked: bool
    ssrc: int
    payload: bytes


class RtpPacket(Protocol):
    """What of aiortc's packet is read."""

    sequence_number: int
    timestamp: int
    payload_type: int
    marker: int
    ssrc: int
    payload: bytes


class Packets:
    """All that came, in the order of their coming."""

    def __init__(self) -> None:
        self.all: deque[Packet] = deque(maxlen=MOST_PACKETS)

    def take(self, packet: RtpPacket, at_s: float) -> None:
        """Note one as it comes."""
        self.all.append(
            Packet(
                at_s,
                packet.sequence_number,
                packet.timestamp,
                packet.payload_type,
                bool(packet.marker),
                packet.ssrc,
                packet.payload,
            )
        )

    def since(self, since_s: float) -> list[Packet]:
        """Those that came since an instant, in the order they were sent, each once."""
        came = [packet for packet in self.all if packet.at_s >= since_s]
        if not came:
            return []
        first = came[0].timestamp
        by_time = {_distance(packet.timestamp, first): packet for packet in reversed(came)}
        return [by_time[distance] for distance in sorted(by_time)]

    def sound(self, since_s: float = 0.0) -> Sound:
        """What came since an instant, at 8 kHz. What never came is silence, as long as it was."""
        packets = self.since(since_s)
        if not packets:
            return Sound("", b"")
        law = G711.get(packets[0].payload_type)
        rate_hz = RATE_HZ if law else OPUS_RATE_HZ
        pieces = [law.decode(packet.payload) for packet in packets] if law else _opus(packets)
        places = (packet.timestamp for packet in packets)
        pcm = in_a_row(zip(places, pieces, strict=True), rate_hz)
        return Sound("", at_rate(pcm, rate_hz, RATE_HZ))


def _opus(packets: Sequence[Packet]) -> list[bytes]:
    decoder = av.CodecContext.create("libopus", "r")
    decoder.format, decoder.layout, decoder.sample_rate = "s16", "mono", OPUS_RATE_HZ
    pieces = []
    for packet in packets:
        frames = decoder.decode(av.Packet(packet.payload))
        pieces.append(b"".join(frame.to_ndarray().tobytes() for frame in frames))
    return pieces


def in_a_row(pieces: Iterable[tuple[int, bytes]], rate_hz: int) -> bytes:
    """Mono PCM16 made of pieces, each with its place on the sender's clock; what is missing between is silence."""
    row: list[bytes] = []
    wanted: int | None = None
    for position, pcm in pieces:
        gap = 0 if wanted is None else _distance(position, wanted)
        if 0 < gap <= LONGEST_GAP_S * rate_hz:
            row.append(bytes(2 * gap))
        row.append(pcm)
        wanted = position + len(pcm) // 2
    return b"".join(row)


def _distance(timestamp: int, reference: int) -> int:
    """From one to the other on a clock of 32 bits that goes round (RFC 3550, section 5.1); negative is earlier."""
    return (timestamp - reference + _CYCLE // 2) % _CYCLE - _CYCLE // 2
